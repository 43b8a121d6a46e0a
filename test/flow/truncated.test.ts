// Bodies that break off at the origin: every client sees the break, nothing of it is stored, and the next
// client gets the whole. And the one ending without a length that is no break.

import test from 'ava';
import { bodyBytes } from '../support/bytes.js';
import { withProxy } from '../support/harness.js';
import type { Script } from '../support/scripted-origin.js';
import { gate, until } from '../support/until.js';

const kib = 1024;
const lifetime = ['Cache-Control', 'max-age=600'];

interface Break {
  readonly what: string;
  readonly script: Script;
}
const half = bodyBytes(100 * kib);
const breaks: readonly Break[] = [
  {
    what: 'is shorter than its Content-Length',
    script: async (_request, reply) => {
      await reply.head(200, [...lifetime, 'Content-Length', `${2 * half.length}`]);
      await reply.raw(half);
      reply.close();
    },
  },
  {
    what: 'is reset before its Content-Length',
    script: async (_request, reply) => {
      await reply.head(200, [...lifetime, 'Content-Length', `${2 * half.length}`]);
      await reply.raw(half);
      reply.reset();
    },
  },
  {
    what: 'has no last chunk',
    script: async (_request, reply) => {
      await reply.head(200, [...lifetime, 'Transfer-Encoding', 'chunked']);
      await reply.chunk(half);
      reply.close();
    },
  },
  {
    what: 'ends within a chunk',
    script: async (_request, reply) => {
      await reply.head(200, [...lifetime, 'Transfer-Encoding', 'chunked']);
      await reply.raw(`${(2 * half.length).toString(16)}\r\n`);
      await reply.raw(half);
      reply.close();
    },
  },
  {
    what: 'has a chunk with a false end',
    script: async (_request, reply) => {
      await reply.head(200, [...lifetime, 'Transfer-Encoding', 'chunked']);
      await reply.raw(`${half.length.toString(16)}\r\n`);
      await reply.raw(half);
      await reply.raw('XX5\r\nhello\r\n0\r\n\r\n');
    },
  },
  {
    what: 'ends with a reset instead of a close',
    script: async (_request, reply) => {
      await reply.head(200, [...lifetime, 'Connection', 'close']);
      await reply.raw(half);
      reply.reset();
    },
  },
];

for (const { what, script } of breaks) {
  test(`truncated: a body that ${what} is a visible break for every client and is not stored`, async (t) => {
    const joined = gate();
    const origin: Script = async (request, reply) => {
      await joined.opened;
      return script(request, reply);
    };
    await withProxy(t, { origin, store: 'raw' }, async (scene) => {
      const asking = Array.from({ length: 5 }, () => scene.get('/a').catch(() => null));
      await until('five exchanges', () => scene.counters().exchangesOpen === 5);
      joined.open();
      for (const got of await Promise.all(asking)) {
        // A reset may overtake even the head: then the client saw the break at once.
        t.false(got?.isComplete ?? false);
        t.true(half.subarray(0, got?.body.length ?? 0).equals(got?.body ?? Buffer.alloc(0)));
      }
      t.is(scene.origin.requests.length, 1);
      scene.origin.script = (_request, reply) => reply.send({ fields: lifetime, body: 'whole' });
      await scene.restart();
      const next = await scene.get('/a');
      t.is(next.field('x-cache'), 'MISS');
      t.is(next.body.toString(), 'whole');
    });
  });
}

test('truncated: a body that ends with an orderly close is complete and stored', async (t) => {
  const body = bodyBytes(300_000);
  const origin: Script = async (_request, reply) => {
    await reply.head(200, [...lifetime, 'Connection', 'close']);
    await reply.raw(body);
    reply.close();
  };
  await withProxy(t, { origin }, async (scene) => {
    const miss = await scene.get('/a');
    t.true(miss.isComplete);
    t.true(miss.body.equals(body));
    await scene.settled();
    const hit = await scene.get('/a');
    t.is(hit.field('x-cache'), 'HIT');
    t.true(hit.body.equals(body));
  });
});
