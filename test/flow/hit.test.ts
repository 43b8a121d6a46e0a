// What is stored, served again: from memory and, after a restart, from disk, byte for byte; its age, HEAD,
// and what belongs to the key. Ranges and conditions are in part.test.ts, fields in fields.test.ts. Each
// test reads origin, clients, expectations.

import test from 'ava';
import { bodyBytes } from '../support/bytes.js';
import { openRaw, send } from '../support/client.js';
import { withProxy } from '../support/harness.js';
import { resetSocket } from '../support/reset.js';
import { always, type Script } from '../support/scripted-origin.js';
import { until } from '../support/until.js';

const kib = 1024;
const mib = 1024 * kib;

/** The body of a target /<length>, with a length or in chunks. */
const sized: Script = async (request, reply) => {
  const [, kind, length] = /^\/(length|chunked)\/(\d+)$/.exec(request.target)!;
  const body = bodyBytes(Number(length), Number(length));
  const fields = ['Cache-Control', 'max-age=600', 'Content-Type', 'application/octet-stream'];
  if (kind === 'length') {
    await reply.send({ fields, body });
    return;
  }
  await reply.head(200, [...fields, 'Transfer-Encoding', 'chunked']);
  for (let at = 0; at < body.length; at += 100_001) {
    await reply.chunk(body.subarray(at, at + 100_001));
  }
  await reply.lastChunk();
};

for (const length of [0, 1, 70 * kib, mib, mib + 1, 5 * mib]) {
  for (const framing of ['length', 'chunked']) {
    test(`hit: ${length} bytes (${framing}) come from memory, and from disk after a restart`, async (t) => {
      await withProxy(t, { origin: sized, store: 'raw' }, async (scene) => {
        const target = `/${framing}/${length}`;
        const expected = bodyBytes(length, length);
        const miss = await scene.get(target);
        await scene.settled();
        const hit = await scene.get(target);
        await scene.restart();
        const cold = await scene.get(target);
        const words = [miss, hit, cold].map((response) => response.field('x-cache'));
        t.deepEqual(words, ['MISS', 'HIT', 'HIT']);
        for (const response of [miss, hit, cold]) {
          t.true(response.isComplete);
          t.true(response.body.equals(expected), 'the bytes that the origin sent');
        }
        t.is(hit.field('content-length'), `${length}`, 'the length is known once it is stored');
        t.regex(hit.field('cache-status')!, /^millrace; hit; ttl=600; detail=memory$/);
        t.regex(cold.field('cache-status')!, /^millrace; hit; ttl=600; detail=disk$/);
        t.is(scene.origin.requests.length, 1);
      });
    });
  }
}

test('hit: small bodies that wait for a slow reader stay whole while others are served', async (t) => {
  await withProxy(t, { origin: sized }, async (scene) => {
    const lengths = [60_000, 61_000, 62_000];
    for (const length of lengths) await scene.get(`/length/${length}`);
    await scene.settled();
    // Far more than the sockets of both sides hold.
    const rounds = 120;
    const slow = await openRaw(scene.address);
    slow.socket.pause();
    for (let round = 0; round < rounds; round += 1) {
      for (const length of lengths) {
        const isLast = round === rounds - 1 && length === lengths.at(-1);
        const end = isLast ? 'Connection: close\r\n\r\n' : '\r\n';
        slow.write(`GET /length/${length} HTTP/1.1\r\nHost: site.test\r\n${end}`);
      }
    }
    for (let number = 0; number < 60; number += 1) {
      const length = lengths[number % lengths.length]!;
      const quick = await scene.get(`/length/${length}`);
      t.true(quick.body.equals(bodyBytes(length, length)));
    }
    slow.socket.resume();
    const text = await slow.ended();
    let at = 0;
    for (let round = 0; round < rounds; round += 1) {
      for (const length of lengths) {
        at = text.indexOf('\r\n\r\n', at) + 4;
        const body = Buffer.from(text.slice(at, at + length), 'latin1');
        if (!body.equals(bodyBytes(length, length))) t.fail(`round ${round}, ${length} bytes`);
        at += length;
      }
    }
    t.is(at, text.length);
    t.is(scene.counters().hits, rounds * lengths.length + 60);
    await scene.settled();
    t.is(scene.storeStats().openLeases, 0);
  });
});

test('hit: clients that share no whole number of bytes of memory all read from the disk', async (t) => {
  await withProxy(t, { origin: sized, store: 'raw' }, async (scene) => {
    const length = 16 * mib;
    await scene.get(`/length/${length}`);
    await scene.restart();
    // A quarter of 96 MiB by more than 48 of them is less than the most that each may have.
    const slow = [];
    for (let number = 1; number <= 58; number += 1) {
      const client = await openRaw(scene.address);
      client.socket.pause();
      client.write(`GET /length/${length} HTTP/1.1\r\nHost: site.test\r\n\r\n`);
      await until('it is served', () => scene.counters().exchangesOpen === number);
      slow.push(client);
    }
    const quick = await scene.get(`/length/${length}`);
    t.true(quick.body.equals(bodyBytes(length, length)));
    t.is(scene.counters().rangeResumes, 0);
    t.is(scene.origin.requests.length, 1);
    for (const client of slow) resetSocket(client.socket);
  });
});

test('hit: Age counts on from what the origin said, and over a restart', async (t) => {
  const origin = always({ fields: ['Cache-Control', 'max-age=600', 'Age', '7'], body: 'x' });
  await withProxy(t, { origin, store: 'raw' }, async (scene) => {
    const miss = await scene.get('/a');
    await scene.settled();
    scene.clock.advance(5_000);
    const hit = await scene.get('/a');
    scene.clock.advance(1_500);
    await scene.restart(() => scene.clock.advance(100_000));
    const later = await scene.get('/a');
    const ages = [miss, hit, later].map((response) => response.field('age'));
    t.deepEqual(ages, ['7', '12', '113'], 'whole seconds, time switched off included');
    t.is(later.field('cache-status'), 'millrace; hit; ttl=486; detail=disk');
    scene.clock.advance(487_000);
    t.not((await scene.get('/a')).field('x-cache'), 'HIT', 'and in the end it is not fresh');
  });
});

test('hit: HEAD is answered from a stored GET, with its length and without its body', async (t) => {
  const origin = always({
    fields: ['Cache-Control', 'max-age=600', 'ETag', '"e"'],
    body: 'twelve bytes',
  });
  await withProxy(t, { origin }, async (scene) => {
    await scene.get('/a');
    await scene.settled();
    const head = await scene.send('/a', { method: 'HEAD' });
    t.is(head.status, 200);
    t.is(head.field('content-length'), '12');
    t.is(head.field('etag'), '"e"');
    t.is(head.field('x-cache'), 'HIT');
    t.is(head.body.length, 0);
    t.is(scene.origin.requests.length, 1);
  });
});

test('hit: HEAD of what is not stored goes to the origin as HEAD and stores nothing', async (t) => {
  const origin: Script = (request, reply) =>
    request.method === 'HEAD'
      ? reply.head(200, ['Cache-Control', 'max-age=600', 'Content-Length', '12'])
      : reply.send({ fields: ['Cache-Control', 'max-age=600'], body: 'twelve bytes' });
  await withProxy(t, { origin }, async (scene) => {
    const head = await scene.send('/a', { method: 'HEAD' });
    t.is(head.field('content-length'), '12');
    const got = await scene.get('/a');
    t.is(got.body.toString(), 'twelve bytes');
    t.is(got.field('x-cache'), 'MISS');
    t.deepEqual(
      scene.origin.requests.map(({ method }) => method),
      ['HEAD', 'GET'],
    );
  });
});

test('hit: the reason phrase and an error status with a lifetime are stored as they are', async (t) => {
  const fields = ['Cache-Control', 'max-age=600'];
  const origin = always({ status: 404, reason: 'Gone Fishing', fields, body: 'no' });
  await withProxy(t, { origin }, async (scene) => {
    await scene.get('/a');
    await scene.settled();
    const hit = await scene.get('/a', ['Range', 'bytes=0-0', 'If-None-Match', '*']);
    t.is(hit.status, 404, 'conditions and ranges are for a 200');
    t.is(hit.reason, 'Gone Fishing');
    t.is(hit.body.toString(), 'no');
    t.is(hit.field('x-cache'), 'HIT');
  });
});

test('hit: host, path and query are each part of the key', async (t) => {
  const origin: Script = (request, reply) =>
    reply.send({
      fields: ['Cache-Control', 'max-age=600'],
      body: `${request.field('x-forwarded-host')} ${request.target}`,
    });
  await withProxy(t, { origin }, async (scene) => {
    const seen = new Set<string>();
    const hosts = ['one.test', 'two.test'];
    const targets = ['/a', '/A', '/a?', '/a?x=1', '/a?x=2', '/a/', '/a%2F'];
    for (const host of hosts) {
      for (const target of targets) {
        const got = await send(scene.address, target, { fields: ['Host', host] });
        seen.add(got.body.toString());
        await scene.settled();
        const again = await send(scene.address, target, { fields: ['Host', host] });
        t.is(again.field('x-cache'), 'HIT');
        t.is(again.body.toString(), `${host} ${target}`);
      }
    }
    t.is(seen.size, hosts.length * targets.length);
  });
});
