// Random ranges of one object that is not stored at first, with restarts and full requests in between: every
// byte is compared, and what is stored is not asked for again.

import test from 'ava';
import fc from 'fast-check';
import { bodyBytes } from '../support/bytes.js';
import { withProxy } from '../support/harness.js';
import type { Script } from '../support/scripted-origin.js';

const mib = 1024 * 1024;
const body = bodyBytes(3 * mib + 333);

const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      start: fc.nat({ max: body.length - 1 }),
      size: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 2 * mib })),
    }),
  },
  { weight: 1, arbitrary: fc.constant('whole' as const) },
  { weight: 2, arbitrary: fc.constant('restart' as const) },
);

for (const store of ['none', 'raw', 'file'] as const) {
  test(`random ranges: every byte is the origin's (store ${store})`, async (t) => {
    const origin: Script = (request, reply) => {
      const fields = ['Cache-Control', 'max-age=600', 'ETag', '"r"', 'Accept-Ranges', 'bytes'];
      const match = /^bytes=(\d+)-(\d+)$/.exec(request.field('range') ?? '');
      if (match === null) return reply.send({ fields, body });
      const [start, end] = [Number(match[1]), Math.min(Number(match[2]) + 1, body.length)];
      const range = `bytes ${start}-${end - 1}/${body.length}`;
      return reply.send({
        status: 206,
        fields: [...fields, 'Content-Range', range],
        body: body.subarray(start, end),
      });
    };
    let repeated = 0;
    let fetchedAgain = 0;
    const steps = fc.array(step, { minLength: 10, maxLength: 25 });
    await fc.assert(
      fc.asyncProperty(steps, async (plan) => {
        await withProxy(t, { origin, store }, async (scene) => {
          for (const next of plan) {
            if (next === 'restart') {
              if (store !== 'none') await scene.restart();
              continue;
            }
            const start = next === 'whole' ? 0 : next.start;
            const end = next === 'whole' ? body.length : Math.min(start + next.size, body.length);
            const range = next === 'whole' ? [] : ['Range', `bytes=${start}-${end - 1}`];
            const got = await scene.get('/a', range);
            await scene.settled();
            t.is(got.status, next === 'whole' ? 200 : 206);
            t.true(got.body.equals(body.subarray(start, end)), `${start} to ${end}`);
            const asked = scene.origin.requests.length;
            const again = await scene.get('/a', range);
            t.true(again.body.equals(body.subarray(start, end)), `${start} to ${end} again`);
            repeated += 1;
            fetchedAgain += scene.origin.requests.length - asked;
          }
        });
      }),
      { numRuns: 4 },
    );
    t.true(repeated >= 20);
    // Just fetched: nobody has to be asked.
    t.is(fetchedAgain, 0);
  });
}
