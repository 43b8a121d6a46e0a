// What becomes of a fill that all its clients have left, by the route's client_abort: what the origin still
// sends, what is kept of what came, and what the next request asks the origin for.

import test, { type ExecutionContext } from 'ava';
import type { ConfigInput } from '../../ts/config/schema.js';
import { bodyBytes } from '../support/bytes.js';
import { openStopped } from '../support/client.js';
import { type ProxyOptions, type Scene, withProxy } from '../support/harness.js';
import { PausingOrigin } from '../support/pausing-origin.js';
import { RangeOrigin } from '../support/range-origin.js';
import { resetSocket } from '../support/reset.js';
import type { Script } from '../support/scripted-origin.js';
import { gate, until } from '../support/until.js';

const mib = 1024 * 1024;
const body = bodyBytes(3 * mib + 77);
/** In mid-chunk, so that a piece of one is kept as well. */
const cut = mib + 70_000;

type CacheInput = NonNullable<NonNullable<ConfigInput['routes']>[number]['cache']>;

function withPolicy(
  t: ExecutionContext,
  cache: CacheInput,
  { script }: { script: Script },
  run: (scene: Scene) => Promise<void>,
  store: ProxyOptions['store'] = 'none',
): Promise<void> {
  const config = () => ({ routes: [{ cache }] });
  return withProxy(t, { origin: script, store, config }, run);
}

/** A client that has got `count` bytes of what it asked for, and is then gone. */
async function leaveAfter(scene: Scene, count: number, range: string | null = null): Promise<void> {
  const fields = range === null ? [] : ['Range', range];
  const aborts = scene.counters().clientAborts!;
  const client = await scene.open('/a', { fields });
  await client.hasBytes(count);
  client.leave();
  await until('the proxy to see it', () => scene.counters().clientAborts === aborts + 1);
}

const asked = ({ origin }: Scene) => origin.requests.map((request) => request.field('range'));

/** [continued, stopped] */
const ends = (scene: Scene) => [scene.counters().fillsContinued, scene.counters().fillsStopped];

async function isWholeHit(scene: Scene): Promise<boolean> {
  await scene.settled();
  const hit = await scene.get('/a');
  return hit.field('x-cache') === 'HIT' && hit.isComplete && hit.body.equals(body);
}

for (const store of ['none', 'raw', 'file'] as const) {
  test(`client abort: stop ends the fetch, the next goes on by range (store ${store})`, async (t) => {
    const origin = new PausingOrigin(body, cut);
    const run = async (scene: Scene) => {
      await leaveAfter(scene, cut);
      await origin.left.opened;
      await scene.settled();
      t.deepEqual(ends(scene), [0, 1]);
      t.is(origin.sent, cut);
      if (store !== 'none') await scene.restart();
      const whole = await scene.get('/a');
      t.is(whole.status, 200);
      t.true(whole.body.equals(body));
      t.deepEqual(asked(scene), [undefined, `bytes=${cut}-${body.length - 1}`]);
      t.is(scene.origin.requests[1]!.field('if-range'), '"v1"');
      t.is(origin.sent, body.length, 'no byte of it came twice');
      t.true(await isWholeHit(scene));
      t.is(scene.origin.requests.length, 2);
    };
    await withPolicy(t, { client_abort: 'stop' }, origin, run, store);
  });
}

test('client abort: continue fetches the rest for nobody', async (t) => {
  const origin = new PausingOrigin(body, cut);
  await withPolicy(t, {}, origin, async (scene) => {
    await leaveAfter(scene, cut);
    await until('the decision', () => scene.counters().fillsContinued === 1);
    origin.rest.open();
    t.true(await isWholeHit(scene));
    t.deepEqual(ends(scene), [1, 0]);
    t.deepEqual(asked(scene), [undefined]);
  });
});

test('client abort: nothing stops while another client reads, the last one decides', async (t) => {
  const origin = new PausingOrigin(body, cut);
  await withPolicy(t, { client_abort: 'stop' }, origin, async (scene) => {
    const other = await scene.open('/a');
    await leaveAfter(scene, cut);
    origin.rest.open();
    t.true((await other.whole()).body.equals(body));
    t.true(await isWholeHit(scene));
    t.deepEqual(ends(scene), [0, 0]);
    t.is(scene.origin.requests.length, 1);
  });
});

test('client abort: who has all that was asked for has not left', async (t) => {
  const origin = new PausingOrigin(body, cut);
  await withPolicy(t, { client_abort: 'stop' }, origin, async (scene) => {
    const known = await scene.get('/a', ['If-None-Match', '"v1"']);
    t.is(known.status, 304);
    const part = await scene.get('/a', ['Range', 'bytes=0-99']);
    t.true(part.body.equals(body.subarray(0, 100)));
    origin.rest.open();
    t.true(await isWholeHit(scene));
    t.deepEqual(ends(scene), [0, 0]);
    t.deepEqual(asked(scene), [undefined]);
  });
});

const left = body.length - cut;
const thresholds = [
  { what: 'as much lacks as may', bytes_left: left, completed: 1, isContinued: true },
  { what: 'a byte more lacks', bytes_left: left - 1, completed: 1, isContinued: false },
  { what: 'the part that suffices is there', bytes_left: 0, completed: 0.3, isContinued: true },
  { what: 'less than that is there', bytes_left: 0, completed: 0.4, isContinued: false },
];
for (const { what, isContinued, ...abort_threshold } of thresholds) {
  test(`client abort: threshold, ${what}: ${isContinued ? 'goes on' : 'is given up'}`, async (t) => {
    const origin = new PausingOrigin(body, cut);
    const cache = { client_abort: 'threshold', abort_threshold } as const;
    await withPolicy(t, cache, origin, async (scene) => {
      await leaveAfter(scene, cut);
      if (isContinued) await until('the decision', () => scene.counters().fillsContinued === 1);
      else await origin.left.opened;
      origin.rest.open();
      await scene.settled();
      t.deepEqual(ends(scene), isContinued ? [1, 0] : [0, 1]);
      t.true((await scene.get('/a')).body.equals(body));
      t.is(scene.origin.requests.length, isContinued ? 1 : 2);
      t.is(origin.sent, body.length);
    });
  });
}

test('client abort: threshold, a body without a length is given up and not stored', async (t) => {
  const gone = gate();
  const script: Script = async (_request, reply) => {
    await reply.head(200, ['Cache-Control', 'max-age=600', 'Transfer-Encoding', 'chunked']);
    await reply.chunk(body.subarray(0, cut));
    await reply.closed;
    gone.open();
  };
  await withPolicy(t, { client_abort: 'threshold' }, { script }, async (scene) => {
    await leaveAfter(scene, cut);
    await gone.opened;
    await scene.settled();
    t.deepEqual(ends(scene), [0, 1]);
    scene.origin.script = (_request, reply) =>
      reply.send({ fields: ['Cache-Control', 'max-age=600'], body });
    t.is((await scene.get('/a')).field('x-cache'), 'MISS');
    t.true(await isWholeHit(scene));
  });
});

test('client abort: stop of what cannot be resumed begins anew', async (t) => {
  const origin = new PausingOrigin(body, cut, ['ETag', 'W/"v1"', 'Accept-Ranges', 'bytes']);
  await withPolicy(t, { client_abort: 'stop' }, origin, async (scene) => {
    await leaveAfter(scene, cut);
    await origin.left.opened;
    await scene.settled();
    t.true((await scene.get('/a')).body.equals(body));
    t.deepEqual(asked(scene), [undefined, undefined]);
    t.true(await isWholeHit(scene));
  });
});

test('client abort: of a part what came is kept as well', async (t) => {
  const origin = new PausingOrigin(body, cut);
  await withPolicy(t, { client_abort: 'stop' }, origin, async (scene) => {
    const [start, end] = [mib, 3 * mib];
    await leaveAfter(scene, cut, `bytes=${start}-${end - 1}`);
    await origin.left.opened;
    await scene.settled();
    t.deepEqual(ends(scene), [0, 1]);
    const again = await scene.get('/a', ['Range', `bytes=${start}-${end - 1}`]);
    t.true(again.body.equals(body.subarray(start, end)));
    await scene.settled();
    t.deepEqual(asked(scene), [`bytes=${start}-${end - 1}`, `bytes=${start + cut}-${end - 1}`]);
    t.is(origin.sent, end - start);
  });
});

test('client abort: who leaves before the head has left as well', async (t) => {
  const answered = gate();
  const origin = new PausingOrigin(body, cut);
  const script: Script = async (request, reply) => {
    await answered.opened;
    return origin.script(request, reply);
  };
  await withPolicy(t, { client_abort: 'stop' }, { script }, async (scene) => {
    const client = await openStopped(scene.address, '/a');
    await until('the request', () => scene.origin.requests.length === 1);
    resetSocket(client);
    answered.open();
    await origin.left.opened;
    await scene.settled();
    t.deepEqual(ends(scene), [0, 1]);
    t.true((await scene.get('/a')).body.equals(body));
  });
});

test('client abort: a part that another client waits for is not given up', async (t) => {
  const rest = gate();
  const second = gate();
  const origin = new RangeOrigin(body, {
    before: async ({ start }, offset) => {
      if (start === 0 && offset > 0) await rest.opened;
      if (start === mib) await second.opened;
    },
  });
  const cache = { client_abort: 'stop', slice_size: mib, max_concurrent_subrequests: 3 } as const;
  await withPolicy(t, cache, origin, async (scene) => {
    const fields = ['Range', `bytes=0-${3 * mib - 1}`];
    const first = await scene.open('/a', { fields });
    await until('the parts ahead', () => scene.origin.requests.length === 3);
    const other = await scene.open('/a', { fields });
    rest.open();
    // What lacks now is the part that the first one has begun ahead.
    for (const client of [first, other]) await client.hasBytes(mib);
    first.leave();
    await until('the proxy to see it', () => scene.counters().clientAborts === 1);
    for (let turns = 0; turns < 20; turns += 1) await new Promise(setImmediate);
    second.open();
    const got = await other.whole();
    t.true(got.isComplete);
    t.true(got.body.equals(body.subarray(0, 3 * mib)));
    t.is(scene.origin.requests.length, 3);
    t.is(origin.repeatedBytes, 0);
  });
});
