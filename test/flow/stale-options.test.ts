// What a route adds to the rules about stale responses: how long one stands in for an origin that is gone,
// that fails, or that is asked too often. What HTTP itself says is in stale.test.ts.

import test from 'ava';
import type { ConfigInput } from '../../ts/config/schema.js';
import { withProxy } from '../support/harness.js';
import { always, type Script } from '../support/scripted-origin.js';
import { firstThen, makeStale, unchanged } from '../support/stale.js';
import { until } from '../support/until.js';

type StaleInput = NonNullable<NonNullable<ConfigInput['routes']>[number]['cache']>['stale'];

const withStale = (stale: StaleInput) => () => ({ routes: [{ cache: { stale: stale ?? {} } }] });
const broken = always({ status: 503, reason: 'Service Unavailable', body: 'down' });

test('stale option: max bounds what stands in for an origin that is gone', async (t) => {
  const config = withStale({ max: '10s' });
  await withProxy(t, { origin: firstThen(unchanged), config }, async (scene) => {
    await makeStale(scene);
    await scene.origin.stop();
    t.is((await scene.get('/a')).field('x-cache'), 'STALE');
    scene.clock.advance(10_000);
    t.is((await scene.get('/a')).status, 502);
  });
});

test('stale option: if_error grants what the origin does not', async (t) => {
  const config = withStale({ if_error: '10s' });
  await withProxy(t, { origin: firstThen(broken), config }, async (scene) => {
    await makeStale(scene);
    const got = await scene.get('/a');
    t.is(got.body.toString(), 'version 1');
    t.is(
      got.field('cache-status'),
      'millrace; fwd=stale; fwd-status=503; ttl=-1; detail=origin-failed',
    );
    scene.clock.advance(10_000);
    t.is((await scene.get('/a')).status, 503);
  });
  const bound = ['Cache-Control', 'max-age=60, must-revalidate', 'ETag', '"v1"'];
  await withProxy(t, { origin: firstThen(broken, bound), config }, async (scene) => {
    await makeStale(scene);
    t.is((await scene.get('/a')).status, 503, 'the response forbids it');
  });
});

test('stale option: while_revalidate grants what the origin does not', async (t) => {
  const config = withStale({ while_revalidate: '10s' });
  await withProxy(t, { origin: firstThen(unchanged), config }, async (scene) => {
    await makeStale(scene);
    t.is((await scene.get('/a')).field('x-cache'), 'STALE');
    await scene.settled();
    t.is((await scene.get('/a')).field('x-cache'), 'HIT');
    scene.clock.advance(70_000);
    t.is((await scene.get('/a')).field('x-cache'), 'REVALIDATED');
  });
});

test('stale: a request may ask for stale-if-error itself', async (t) => {
  await withProxy(t, { origin: firstThen(broken) }, async (scene) => {
    await makeStale(scene);
    t.is((await scene.get('/a')).status, 503);
    const asking = ['Cache-Control', 'stale-if-error=5'];
    t.is((await scene.get('/a', asking)).body.toString(), 'version 1');
    scene.clock.advance(5000);
    t.is((await scene.get('/a', asking)).status, 503);
  });
});

test('stale: an error that might be stored does not push out what stands in for it', async (t) => {
  const storable = always({ status: 503, fields: ['Cache-Control', 'max-age=60'], body: 'down' });
  const fields = ['Cache-Control', 'max-age=60, stale-if-error=30', 'ETag', '"v1"'];
  await withProxy(t, { origin: firstThen(storable, fields) }, async (scene) => {
    await makeStale(scene);
    t.is((await scene.get('/a')).body.toString(), 'version 1');
    await scene.settled();
    t.is((await scene.get('/a')).body.toString(), 'version 1');
    scene.clock.advance(30_000);
    t.is((await scene.get('/a')).status, 503);
    await scene.settled();
    t.is((await scene.get('/a')).field('x-cache'), 'HIT', 'then it is stored');
  });
});

test('stale: what the background answer forbids holds for the next request', async (t) => {
  const secret = always({ fields: ['Cache-Control', 'no-store'], body: 'for you' });
  const fields = ['Cache-Control', 'max-age=60, stale-while-revalidate=600', 'ETag', '"v1"'];
  await withProxy(t, { origin: firstThen(secret, fields) }, async (scene) => {
    await makeStale(scene);
    t.is((await scene.get('/a')).body.toString(), 'version 1');
    await scene.settled();
    for (const _ of [1, 2]) {
      const got = await scene.get('/a');
      t.is(got.body.toString(), 'for you');
      t.is(got.field('x-cache'), 'MISS');
    }
    await scene.origin.stop();
    t.is((await scene.get('/a')).status, 502, 'nothing stands in any more');
  });
});

test('stale: a request that wants nothing stored makes nobody ask alone', async (t) => {
  const answers: Array<() => void> = [];
  const slow: Script = (request, reply) =>
    new Promise((resolve) => {
      answers.push(() => {
        void reply
          .send({ fields: ['Cache-Control', 'max-age=60'], body: request.target })
          .then(resolve);
      });
    });
  await withProxy(t, { origin: slow }, async (scene) => {
    const asked = async (count: number) => {
      while (answers.length < count) await new Promise((resolve) => setImmediate(resolve));
    };
    const odd = scene.get('/a', ['Cache-Control', 'no-store']);
    await asked(1);
    const others = [scene.get('/a'), scene.get('/a')];
    await asked(2);
    answers[0]!();
    await odd;
    answers[1]!();
    const words = (await Promise.all(others)).map((got) => got.field('cache-status'));
    t.is(scene.origin.requests.length, 2);
    t.is(words.filter((word) => word?.includes('collapsed')).length, 1);
  });
});

for (const [what, fields] of [
  ['no-store', ['Cache-Control', 'no-cache, no-store']],
  ['Authorization', ['Cache-Control', 'no-cache', 'Authorization', 'x']],
] as const) {
  test(`stale: ${what} of a request keeps its answer out of the store and nothing else`, async (t) => {
    const origin = firstThen((request, reply) =>
      request.method === 'HEAD'
        ? reply.head(200, ['ETag', '"v1"', 'Content-Length', '9'])
        : unchanged(request, reply),
    );
    await withProxy(t, { origin }, async (scene) => {
      await makeStale(scene);
      for (const method of ['GET', 'HEAD']) {
        t.is((await scene.send('/a', { method, fields })).status, 200);
        await scene.settled();
      }
      t.is(scene.origin.requests.length, 3);
      t.is((await scene.get('/a')).field('x-cache'), 'REVALIDATED', 'it is still there, and stale');
      await scene.settled();
      t.is((await scene.get('/a')).field('x-cache'), 'HIT');
    });
  });
}

test('stale: while the origin fails, one question at a time is asked in the background', async (t) => {
  let waiting: Array<() => void> = [];
  const failing: Script = (_request, reply) =>
    new Promise((resolve) => {
      waiting.push(() => void reply.send({ status: 500, body: 'down' }).then(resolve));
    });
  const fields = ['Cache-Control', 'max-age=60, stale-while-revalidate=600', 'ETag', '"v1"'];
  await withProxy(t, { origin: firstThen(failing, fields) }, async (scene) => {
    await makeStale(scene);
    for (const asked of [2, 3]) {
      for (let at = 0; at < 3; at += 1) {
        t.is((await scene.get('/a')).body.toString(), 'version 1');
      }
      await until('the question', () => scene.origin.requests.length === asked);
      for (const answer of waiting) answer();
      waiting = [];
      await scene.settled();
      t.is(scene.origin.requests.length, asked);
    }
  });
});

const busy: Script = (_request, reply) =>
  reply.send({ status: 429, fields: ['Retry-After', '30'], body: 'too many' });

test('stale option: on_429 keeps Retry-After and lets stale stand in', async (t) => {
  const config = withStale({ on_429: true, if_error: '1h' });
  await withProxy(t, { origin: firstThen(busy), config }, async (scene) => {
    await makeStale(scene);
    t.is((await scene.get('/a')).body.toString(), 'version 1');
    const asked = scene.origin.requests.length;
    t.is((await scene.get('/a')).body.toString(), 'version 1');
    const other = await scene.get('/b');
    t.is(other.status, 503);
    t.is(other.field('retry-after'), '30');
    t.regex(other.body.toString(), /^ERR_MILLRACE_UPSTREAM_BACK_OFF$/m);
    t.is(scene.origin.requests.length, asked, 'the origin is left alone');
    t.is((await scene.send('/b', { method: 'POST', body: 'x' })).status, 429, 'but for this');
    scene.clock.advance(30_000);
    t.is((await scene.get('/a')).body.toString(), 'version 1');
    t.is(scene.origin.requests.length, asked + 2, 'then it is asked again');
  });
});

test('stale option: without on_429 a 429 goes through', async (t) => {
  const config = withStale({ if_error: '1h' });
  await withProxy(t, { origin: firstThen(busy), config }, async (scene) => {
    await makeStale(scene);
    t.is((await scene.get('/a')).status, 429);
    t.is((await scene.get('/a')).status, 429);
    t.is(scene.origin.requests.length, 3);
  });
});
