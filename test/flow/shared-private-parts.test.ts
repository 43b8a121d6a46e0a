// Parts of what the origin gives to some clients and not to others (cache.authorization: confirm): whoever
// needs a part that another client has asked for gets none of it before the origin has let him in.

import test from 'ava';
import type { ConfigInput } from '../../ts/config/schema.js';
import { bodyBytes } from '../support/bytes.js';
import { type Scene, withProxy } from '../support/harness.js';
import { RangeOrigin } from '../support/range-origin.js';
import type { Script } from '../support/scripted-origin.js';
import { gate, until } from '../support/until.js';

const mib = 1024 * 1024;
const body = bodyBytes(6 * mib);
const tag = '"v1"';

const confirming = (origin: string): ConfigInput => ({
  upstreams: { a: { origins: [origin] } },
  routes: [{ upstream: 'a', cache: { authorization: 'confirm' } }],
});

const range = (scene: Scene, token: string, from: number, end: number) =>
  scene.get('/a', ['Range', `bytes=${from}-${end - 1}`, 'Authorization', `Bearer ${token}`]);

/** Lets in whoever has a token that begins with "good"; answers conditions. */
function guarded(inner: Script): Script {
  return (request, reply) => {
    if (request.field('authorization')?.startsWith('Bearer good') !== true) {
      return reply.send({ status: 401, fields: ['WWW-Authenticate', 'Bearer'], body: 'no' });
    }
    if (request.field('if-none-match') === tag) {
      return reply.send({ status: 304, fields: ['ETag', tag, 'Cache-Control', 'max-age=600'] });
    }
    return inner(request, reply);
  };
}

for (const store of ['none', 'raw', 'file'] as const) {
  test(`private parts: a running part is for those whom the origin lets in (store ${store})`, async (t) => {
    const rest = gate();
    const origin = new RangeOrigin(body, {
      before: async ({ number }, offset) => {
        if (number === 1 && offset >= 4 * mib) await rest.opened;
      },
    });
    const script = guarded(origin.script);
    await withProxy(t, { origin: script, store, config: confirming }, async (scene) => {
      // Version and length are known, and chunk 0 is there.
      t.is((await range(scene, 'good1', 0, 9)).status, 206);
      await scene.settled();
      const first = range(scene, 'good1', 3 * mib, 5 * mib);
      await until('the part', () => scene.origin.requests.length === 2);
      await until('its head', () => scene.counters().fillsOpen === 1);
      const refused = await range(scene, 'bad', 3 * mib, 3 * mib + 10);
      t.is(refused.status, 401);
      t.is(refused.body.toString(), 'no');
      const allowed = range(scene, 'good2', 3 * mib, 3 * mib + 10);
      t.true((await allowed).body.equals(body.subarray(3 * mib, 3 * mib + 10)));
      rest.open();
      t.true((await first).body.equals(body.subarray(3 * mib, 5 * mib)));
      await scene.settled();
      // Nor of what is stored, whole or in parts.
      for (const [from, end] of [
        [0, 10],
        [3 * mib, 5 * mib],
        [2 * mib, 4 * mib],
      ] as const) {
        const got = await range(scene, 'bad', from, end);
        t.is(got.status, 401, `${from}`);
        await scene.settled();
      }
      const got = await range(scene, 'good3', 2 * mib, 4 * mib);
      t.true(got.body.equals(body.subarray(2 * mib, 4 * mib)));
    });
  });
}
