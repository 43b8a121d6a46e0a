// Fills that do not come to their end in peace: the proxy is shut down, the object is purged or replaced,
// the origin's framing or range turns out to be wrong. Clients see a break or the whole, nothing is stored
// that was not sent, and what may be kept is gone on from.

import test from 'ava';
import { bodyBytes } from '../support/bytes.js';
import { type Scene, withProxy } from '../support/harness.js';
import { PausingOrigin } from '../support/pausing-origin.js';
import type { Script } from '../support/scripted-origin.js';
import { until } from '../support/until.js';

const mib = 1024 * 1024;
const body = bodyBytes(3 * mib + 77);
const cut = mib + 70_000;
const rest = `bytes=${cut}-${body.length - 1}`;

const asked = ({ origin }: Scene) => origin.requests.map((request) => request.field('range'));

for (const store of ['raw', 'file'] as const) {
  test(`fill ends: a shutdown breaks the body and keeps what came (store ${store})`, async (t) => {
    const origin = new PausingOrigin(body, cut);
    await withProxy(t, { origin: origin.script, store }, async (scene) => {
      const client = await scene.open('/a');
      await client.hasBytes(cut);
      await scene.interrupt();
      const got = await client.whole();
      t.false(got.isComplete);
      t.true(got.body.equals(body.subarray(0, cut)));
      await origin.left.opened;
      const next = await scene.get('/a');
      t.true(next.body.equals(body));
      t.deepEqual(asked(scene), [undefined, rest]);
      t.is(origin.sent, body.length);
    });
  });

  test(`fill ends: a shutdown keeps what came for nobody (store ${store})`, async (t) => {
    const origin = new PausingOrigin(body, cut);
    await withProxy(t, { origin: origin.script, store }, async (scene) => {
      const client = await scene.open('/a');
      await client.hasBytes(cut);
      client.leave();
      await until('nobody to read', () => scene.counters().fillsContinued === 1);
      // However long it may take: there is nobody to wait for.
      await scene.interrupt(3_600_000);
      const next = await scene.get('/a');
      t.true(next.body.equals(body));
      t.deepEqual(asked(scene), [undefined, rest]);
    });
  });
}

test('fill ends: within the grace of a shutdown the body comes to its end', async (t) => {
  const origin = new PausingOrigin(body, cut);
  await withProxy(t, { origin: origin.script, store: 'raw' }, async (scene) => {
    const client = await scene.open('/a', { fields: ['Connection', 'close'] });
    await client.hasBytes(cut);
    const over = scene.interrupt(3_600_000);
    origin.rest.open();
    const got = await client.whole();
    t.true(got.isComplete);
    t.true(got.body.equals(body));
    await over;
    t.is((await scene.get('/a')).field('x-cache'), 'HIT');
    t.is(scene.origin.requests.length, 1);
  });
});

const removals: Readonly<Record<string, (scene: Scene) => Promise<unknown>>> = {
  'a purge': (scene) => scene.purge({ url: 'http://site.test/a' }),
  'a purge of all': (scene) => scene.purge({ all: true }),
  'an unsafe method': (scene) => scene.send('/a', { method: 'DELETE' }),
};
for (const [what, remove] of Object.entries(removals)) {
  test(`fill ends: after ${what} nothing of a fill that broke off is kept`, async (t) => {
    const pausing = new PausingOrigin(body, cut);
    const origin: Script = (request, reply) =>
      request.method === 'DELETE' ? reply.send({ status: 204 }) : pausing.script(request, reply);
    const config = () => ({ routes: [{ cache: { client_abort: 'stop' as const } }] });
    await withProxy(t, { origin, store: 'raw', config }, async (scene) => {
      const client = await scene.open('/a');
      await client.hasBytes(cut);
      await remove(scene);
      client.leave();
      await pausing.left.opened;
      await scene.restart();
      const part = await scene.get('/a', ['Range', 'bytes=0-9']);
      t.is(part.field('x-cache'), 'MISS');
      const whole = await scene.get('/a');
      t.true(whole.body.equals(body));
      const gets = scene.origin.requests.filter(({ method }) => method === 'GET');
      t.regex(gets[1]!.field('range') ?? '', /^bytes=0-/);
    });
  });
}

const ten = Buffer.from('0123456789');
const parts = ['Cache-Control', 'max-age=600', 'ETag', '"v1"', 'Accept-Ranges', 'bytes'];

/** A 206 of "bytes 2-6/10" in chunks that have these bytes. */
function chunked(text: string | Buffer): Script {
  return async (_request, reply) => {
    const fields = [...parts, 'Content-Range', 'bytes 2-6/10', 'Transfer-Encoding', 'chunked'];
    await reply.head(206, fields);
    await reply.chunk(text);
    await reply.lastChunk();
  };
}

for (const [what, text] of [
  ['fewer bytes', '234'],
  ['more bytes', '23456XYZ'],
  ['far more bytes', bodyBytes(3 * mib)],
] as const) {
  test(`fill ends: a 206 of ${what} than its Content-Range says is a break`, async (t) => {
    await withProxy(t, { origin: chunked(text), store: 'raw' }, async (scene) => {
      // The head may be overtaken by the break.
      const got = await scene.get('/a', ['Range', 'bytes=2-6']).catch(() => null);
      t.not(got?.isComplete, true);
      await scene.settled();
      await scene.restart();
      scene.origin.script = (_request, reply) => reply.send({ fields: parts, body: ten });
      t.is((await scene.get('/a')).body.toString(), '0123456789');
    });
  });
}

test('fill ends: a 206 that goes on behind its range is given up at once', async (t) => {
  const origin: Script = async (_request, reply) => {
    const fields = [...parts, 'Content-Range', 'bytes 2-6/10', 'Transfer-Encoding', 'chunked'];
    await reply.head(206, fields);
    await reply.chunk('23456');
    // The part is there, and nobody says that this is all.
    await until('the client to have it', () => hasAll);
    await reply.chunk('X');
    await reply.closed;
  };
  let hasAll = false;
  await withProxy(t, { origin, store: 'raw' }, async (scene) => {
    const got = await scene.get('/a', ['Range', 'bytes=2-6']);
    t.is(got.body.toString(), '23456');
    hasAll = true;
    await scene.settled();
    t.is(scene.counters().originErrors, 1);
    scene.origin.script = (_request, reply) => reply.send({ fields: parts, body: ten });
    t.is((await scene.get('/a')).body.toString(), '0123456789');
  });
});

/** What the origin answers when it is asked for bytes 4 to 9 of what it began to send. */
const resumes: ReadonlyArray<readonly [string, string, string]> = [
  ['begins too late', 'bytes 5-9/10', '56789'],
  ['ends too early', 'bytes 4-8/10', '45678'],
  ['is of a longer body', 'bytes 4-9/11', '456789'],
  ['has no length', 'bytes 4-9/*', '456789'],
  ['is no range', 'bytes 9-4/10', '456789'],
];
for (const [what, range, text] of resumes) {
  test(`fill ends: a rest that ${what} is not joined`, async (t) => {
    let isFirst = true;
    const origin: Script = async (request, reply) => {
      if (request.field('range') !== undefined) {
        return reply.send({ status: 206, fields: [...parts, 'Content-Range', range], body: text });
      }
      if (!isFirst) return reply.send({ fields: parts, body: ten });
      isFirst = false;
      await reply.head(200, [...parts, 'Content-Length', '10']);
      await reply.raw('0123');
      reply.close();
    };
    await withProxy(t, { origin }, async (scene) => {
      await scene.get('/a').catch(() => null);
      await scene.settled();
      const whole = await scene.get('/a');
      t.is(whole.status, 200);
      t.is(whole.body.toString(), '0123456789');
      t.deepEqual(asked(scene), [undefined, 'bytes=4-9', undefined]);
      await scene.settled();
      t.is((await scene.get('/a')).field('x-cache'), 'HIT');
    });
  });
}
