// Memory while bodies are far larger than it: counted in pages by the store itself, never measured by the
// clock or the system. A reader that stands still must not make anything grow.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import test from 'ava';
import { bodyBytes } from '../support/bytes.js';
import { openStopped } from '../support/client.js';
import { type Scene, withProxy } from '../support/harness.js';
import type { Script } from '../support/scripted-origin.js';
import { gate, until } from '../support/until.js';

const mib = 1024 * 1024;
const large = 200 * mib;

/** The large body, and its hash; `onPiece` is called after each MiB. */
function largeOrigin(onPiece: () => void): { script: Script; hash: () => string } {
  const hash = createHash('sha256');
  const script: Script = async (_request, reply) => {
    const fields = ['Cache-Control', 'max-age=600', 'ETag', '"large"'];
    await reply.head(200, [...fields, 'Content-Length', `${large}`]);
    for (let at = 0; at < large; at += mib) {
      const piece = bodyBytes(mib, 7, at);
      hash.update(piece);
      await reply.raw(piece);
      onPiece();
    }
  };
  return { script, hash: () => hash.digest('hex') };
}

/** Reads a response to its end; the body's hash and length. */
async function readStopped(socket: import('node:net').Socket) {
  const hash = createHash('sha256');
  let head = '';
  let length = 0;
  const closed = once(socket, 'close');
  socket.on('data', (part: Buffer) => {
    let body = part;
    if (!head.includes('\r\n\r\n')) {
      const text = head + part.toString('latin1');
      const end = text.indexOf('\r\n\r\n');
      body = end < 0 ? Buffer.alloc(0) : part.subarray(end + 4 - head.length);
      head = end < 0 ? text : text.slice(0, end + 4);
    }
    hash.update(body);
    length += body.length;
  });
  socket.resume();
  await closed;
  return { head, length, hash: hash.digest('hex') };
}

function watchMemory(scene: Scene) {
  let highest = 0;
  return {
    look: () => {
      highest = Math.max(highest, Number(scene.storeStats().memoryUsed));
    },
    highest: () => highest,
  };
}

test('memory: a 200 MiB object is fetched and stored while its only client reads nothing', async (t) => {
  let look = () => {};
  const { script, hash } = largeOrigin(() => look());
  await withProxy(t, { origin: script, store: 'raw', size: 576 * mib }, async (scene) => {
    const memory = watchMemory(scene);
    look = memory.look;
    const socket = await openStopped(scene.address, '/a');
    await until('the whole object in the store', () => {
      memory.look();
      return scene.counters().originRequests === 1 && scene.counters().fillsOpen === 0;
    });
    const got = await readStopped(socket);
    t.true(got.head.startsWith('HTTP/1.1 200 OK\r\n'));
    t.is(got.length, large);
    t.is(got.hash, hash(), 'what left memory came back from disk');
    t.is(scene.origin.requests.length, 1);
    t.true(memory.highest() > 0);
    t.true(memory.highest() <= scene.config.memoryLimitBytes, `${memory.highest()} bytes of pages`);
  });
});

test('memory: a 200 MiB object that fits into no store is paced by its only client', async (t) => {
  const stood = gate();
  let sent = 0;
  let look = () => {};
  const { script, hash } = largeOrigin(() => {
    sent += 1;
    look();
    if (sent === 1) stood.open();
  });
  await withProxy(t, { origin: script }, async (scene) => {
    const memory = watchMemory(scene);
    look = memory.look;
    const socket = await openStopped(scene.address, '/a');
    await stood.opened;
    const got = await readStopped(socket);
    t.is(got.length, large);
    t.is(got.hash, hash());
    t.regex(got.head, /\r\nCache-Status: millrace; fwd=uri-miss; detail=too-large\r\n/);
    t.true(memory.highest() <= scene.config.memoryLimitBytes, `${memory.highest()} bytes of pages`);
    await scene.settled();
    t.is((await scene.send('/a', { method: 'HEAD' })).field('x-cache'), 'MISS');
  });
});

test('memory: more fetches at once than memory has room for all come to their end', async (t) => {
  const count = 120;
  const body = bodyBytes(1.5 * mib);
  const all = gate();
  let asked = 0;
  const origin: Script = async (_request, reply) => {
    asked += 1;
    if (asked === count) all.open();
    // So that each has a chunk that is not whole when memory runs out.
    await all.opened;
    await reply.send({ fields: ['Cache-Control', 'max-age=600'], body });
  };
  await withProxy(t, { origin, store: 'raw' }, async (scene) => {
    const targets = Array.from({ length: count }, (_, at) => `/${at}`);
    for (const got of await Promise.all(targets.map((target) => scene.get(target)))) {
      t.true(got.isComplete);
      t.true(got.body.equals(body));
    }
    await scene.settled();
    const { fillsUnstored } = scene.counters();
    // Of 96 MiB, 24 for the memory tier: 32 MiB, a chunk each.
    t.true(fillsUnstored! > 0 && fillsUnstored! <= count - 32, `${fillsUnstored} were not stored`);
    t.is((await scene.get('/last')).field('cache-status'), 'millrace; fwd=uri-miss; stored');
  });
});

test('memory: twenty clients that read nothing of a stored object stay within the limit', async (t) => {
  const body = bodyBytes(20 * mib);
  const origin: Script = (_request, reply) =>
    reply.send({ fields: ['Cache-Control', 'max-age=600'], body });
  await withProxy(t, { origin, store: 'raw' }, async (scene) => {
    const memory = watchMemory(scene);
    await scene.get('/a');
    await scene.settled();
    const sockets = await Promise.all(
      Array.from({ length: 20 }, () => openStopped(scene.address, '/a')),
    );
    await until('twenty hits', () => {
      memory.look();
      return scene.counters().hits === 20;
    });
    const expected = createHash('sha256').update(body).digest('hex');
    for (const socket of sockets) {
      memory.look();
      const got = await readStopped(socket);
      t.is(got.hash, expected);
    }
    t.is(scene.origin.requests.length, 1);
    t.true(memory.highest() <= scene.config.memoryLimitBytes, `${memory.highest()} bytes of pages`);
  });
});
