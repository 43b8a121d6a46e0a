// Many clients of one cold object: one request to the origin, every client served as the bytes arrive, none
// slowed by another, and all of them told when the body breaks.

import test from 'ava';
import { bodyBytes } from '../support/bytes.js';
import type { OpenResponse } from '../support/client.js';
import { type Scene, withProxy } from '../support/harness.js';
import type { Script } from '../support/scripted-origin.js';
import { gate, until } from '../support/until.js';

const kib = 1024;
const mib = 1024 * kib;
const lifetime = ['Cache-Control', 'max-age=600'];

/** The body in pieces; before the piece at `stopAt` the origin waits for the gate. */
function inPieces(body: Buffer, stopAt: number, opened: Promise<void>): Script {
  return async (_request, reply) => {
    await reply.head(200, [...lifetime, 'ETag', '"p"', 'Content-Length', `${body.length}`]);
    for (let at = 0; at < body.length; at += 64 * kib) {
      if (at === stopAt) await opened;
      await reply.raw(body.subarray(at, at + 64 * kib));
    }
  };
}

function openMany(scene: Scene, count: number, target = '/a'): Promise<OpenResponse[]> {
  return Promise.all(Array.from({ length: count }, () => scene.open(target)));
}

const wholeOf = (opened: readonly OpenResponse[]) =>
  Promise.all(opened.map((response) => response.whole()));

// The full crowd once; with the other stores a smaller one shows the same.
const crowds = [
  { store: 'raw', count: 50, size: 8 * mib },
  { store: 'none', count: 20, size: 2 * mib },
  { store: 'file', count: 20, size: 2 * mib },
] as const;
for (const { store, count, size } of crowds) {
  test.serial(
    `fill: ${count} clients are one request, first bytes come before the last (store ${store})`,
    async (t) => {
      const body = bodyBytes(size);
      const rest = gate();
      const origin = inPieces(body, size / 2, rest.opened);
      await withProxy(t, { origin, store }, async (scene) => {
        const clients = await openMany(scene, count);
        // Half of the body is all that the origin has sent.
        await Promise.all(clients.map((client) => client.hasBytes(1)));
        rest.open();
        for (const got of await wholeOf(clients)) {
          t.true(got.isComplete);
          t.true(got.body.equals(body));
        }
        t.is(scene.origin.requests.length, 1);
        const collapsed = clients.filter((client) =>
          /; collapsed/.test(client.field('cache-status')!),
        );
        t.is(collapsed.length, count - 1);
        await scene.settled();
        t.is((await scene.get('/a')).field('x-cache'), 'HIT');
      });
    },
  );
}

test('fill: a byte at a time arrives a byte at a time', async (t) => {
  const body = bodyBytes(20);
  const steps = Array.from(body, () => gate());
  const origin: Script = async (_request, reply) => {
    await reply.head(200, [...lifetime, 'Content-Length', '20']);
    for (const [at, step] of steps.entries()) {
      await step.opened;
      await reply.raw(body.subarray(at, at + 1));
    }
  };
  await withProxy(t, { origin }, async (scene) => {
    const clients = await openMany(scene, 3);
    for (const [at, step] of steps.entries()) {
      t.true(clients.every(({ received }) => received === at));
      step.open();
      await Promise.all(clients.map((client) => client.hasBytes(at + 1)));
    }
    for (const got of await wholeOf(clients)) t.deepEqual(got.body, body);
  });
});

test('fill: who joins late gets everything from the first byte on', async (t) => {
  const body = bodyBytes(6 * mib);
  const rest = gate();
  await withProxy(t, { origin: inPieces(body, 5 * mib, rest.opened) }, async (scene) => {
    const early = await scene.open('/a');
    await early.hasBytes(5 * mib);
    const late = await scene.open('/a');
    await late.hasBytes(5 * mib);
    rest.open();
    for (const got of await wholeOf([early, late])) t.true(got.body.equals(body));
    t.is(scene.origin.requests.length, 1);
  });
});

test('fill: a client that does not read slows nobody and loses nothing', async (t) => {
  const body = bodyBytes(40 * mib);
  const origin = inPieces(body, -1, Promise.resolve());
  await withProxy(t, { origin, store: 'raw' }, async (scene) => {
    const slow = await scene.open('/a');
    slow.pause();
    const fast = await scene.get('/a');
    t.true(fast.body.equals(body), 'whole, while the other one has not read on');
    t.true(slow.received < body.length);
    slow.resume();
    const got = await slow.whole();
    t.true(got.isComplete);
    t.true(got.body.equals(body));
    t.is(scene.origin.requests.length, 1);
  });
});

test('fill: the first client is gone in mid-body, the others and the store get the whole', async (t) => {
  const body = bodyBytes(4 * mib);
  const rest = gate();
  const origin = inPieces(body, 2 * mib, rest.opened);
  await withProxy(t, { origin, store: 'raw' }, async (scene) => {
    const first = await scene.open('/a');
    await first.hasBytes(mib);
    const others = await openMany(scene, 3);
    first.leave();
    await until('the proxy to see it', () => scene.counters().clientAborts === 1);
    rest.open();
    for (const got of await wholeOf(others)) t.true(got.body.equals(body));
    await scene.restart();
    const hit = await scene.get('/a');
    t.is(hit.field('x-cache'), 'HIT');
    t.true(hit.body.equals(body));
    t.is(scene.origin.requests.length, 1);
  });
});

test('fill: the only client is gone in mid-body, and the object is stored all the same', async (t) => {
  const body = bodyBytes(2 * mib);
  const rest = gate();
  await withProxy(t, { origin: inPieces(body, mib, rest.opened) }, async (scene) => {
    const only = await scene.open('/a');
    await only.hasBytes(1);
    only.leave();
    await until('the proxy to see it', () => scene.counters().clientAborts === 1);
    rest.open();
    await scene.settled();
    const hit = await scene.get('/a');
    t.is(hit.field('x-cache'), 'HIT');
    t.true(hit.body.equals(body));
  });
});

test('fill: a range near the front is served from the running fill', async (t) => {
  const body = bodyBytes(2 * mib);
  const rest = gate();
  await withProxy(t, { origin: inPieces(body, mib, rest.opened) }, async (scene) => {
    const whole = await scene.open('/a');
    await whole.hasBytes(1);
    const part = await scene.get('/a', ['Range', 'bytes=1000-1999']);
    t.is(part.status, 206);
    t.true(part.body.equals(body.subarray(1000, 2000)));
    const across = await scene.open('/a', { fields: ['Range', `bytes=${mib - 10}-${mib + 9}`] });
    rest.open();
    t.true((await across.whole()).body.equals(body.subarray(mib - 10, mib + 10)));
    t.true((await whole.whole()).body.equals(body));
    t.is(scene.origin.requests.length, 1);
  });
});

test('fill: an unshareable answer is fetched by each client, and later ones do not queue', async (t) => {
  const answered = gate();
  let served = 0;
  const origin: Script = async (_request, reply) => {
    await answered.opened;
    served += 1;
    await reply.send({ fields: ['Cache-Control', 'no-store'], body: `answer ${served}` });
  };
  await withProxy(t, { origin }, async (scene) => {
    const asking = Array.from({ length: 10 }, () => scene.get('/a'));
    await until('ten exchanges', () => scene.counters().exchangesOpen === 10);
    t.is(scene.origin.requests.length, 1, 'they wait for what the first one learns');
    answered.open();
    const bodies = new Set((await Promise.all(asking)).map(({ body }) => body.toString()));
    t.is(bodies.size, 10, 'nobody gets the answer of another');
    t.is(scene.origin.requests.length, 10);

    const held = gate();
    scene.origin.script = async (_request, reply) => {
      await held.opened;
      await reply.send({ fields: ['Cache-Control', 'no-store'], body: 'alone' });
    };
    const again = Array.from({ length: 10 }, () => scene.get('/a'));
    await until('ten requests at once', () => scene.origin.requests.length === 20);
    held.open();
    await Promise.all(again);
  });
});

test('fill: what was being fetched when an unsafe method succeeded is not stored as fresh', async (t) => {
  const rest = gate();
  const body = bodyBytes(2 * mib);
  const slow = inPieces(body, mib, rest.opened);
  const origin: Script = (request, reply) =>
    request.method === 'PUT' ? reply.send({ status: 204 }) : slow(request, reply);
  await withProxy(t, { origin, store: 'raw' }, async (scene) => {
    const running = await scene.open('/a');
    await running.hasBytes(1);
    t.is((await scene.send('/a', { method: 'PUT', body: 'new' })).status, 204);
    rest.open();
    t.true((await running.whole()).body.equals(body));
    await scene.settled();
    scene.origin.script = (_request, reply) => reply.send({ fields: lifetime, body: 'new' });
    const next = await scene.get('/a');
    t.is(next.field('x-cache'), 'MISS');
    t.is(next.body.toString(), 'new');
  });
});
