// A client that reads a large object from the disk so slowly that the ring goes round meanwhile: its bytes
// are those of its object, whatever was written where they lay. What is gone comes from the origin where a
// strong ETag allows that, else the connection breaks. On a raw file and on a loop device.

import test, { type ExecutionContext } from 'ava';
import { bodyBytes } from '../support/bytes.js';
import type { OpenResponse } from '../support/client.js';
import { type Scene, withProxy } from '../support/harness.js';
import { attachLoop } from '../support/loop-device.js';
import type { Script } from '../support/scripted-origin.js';
import { until } from '../support/until.js';

const mib = 1024 * 1024;
/** More than the socket buffers of both sides hold. */
const largeLength = 24 * mib;
const large = '/large';
const largeSeed = 77;
const otherLength = 3 * mib;
const othersMax = 400;
const lifetime = ['Cache-Control', 'max-age=600'];

function otherBody(number: number): Buffer {
  return bodyBytes(otherLength, 1000 + number);
}

/** /large with or without a strong validator; anything else is /<number>. DELETE is fine with it. */
function originWith(etag: readonly string[]): Script {
  const whole = bodyBytes(largeLength, largeSeed);
  return async (request, reply) => {
    if (request.method !== 'GET') return reply.send({ status: 204 });
    if (request.target !== large) {
      return reply.send({ fields: lifetime, body: otherBody(Number(request.target.slice(1))) });
    }
    const [, from] = /^bytes=(\d+)-/.exec(request.field('range') ?? '') ?? [];
    if (from === undefined) return reply.send({ fields: [...lifetime, ...etag], body: whole });
    const range = `bytes ${from}-${largeLength - 1}/${largeLength}`;
    return reply.send({
      status: 206,
      fields: [...lifetime, ...etag, 'Content-Range', range],
      body: whole.subarray(Number(from)),
    });
  };
}

/** The disk tier drops what it cannot write in time; here everything is meant to be written. */
async function taken(scene: Scene): Promise<void> {
  await until('the disk', () => {
    return scene.counters().fillsOpen === 0 && scene.storeStats().stagedBytes === 0;
  });
}

/** /large from an origin that goes on when the disk has what came so far: a slow disk drops nothing of it. */
async function fetchLarge(scene: Scene, etag: readonly string[]): Promise<void> {
  const { script } = scene.origin;
  const whole = bodyBytes(largeLength, largeSeed);
  scene.origin.script = async (_request, reply) => {
    await reply.head(200, [...lifetime, ...etag, 'Content-Length', String(largeLength)]);
    for (let at = 0; at < largeLength; at += mib) {
      await reply.raw(whole.subarray(at, at + mib));
      await until('the disk', () => scene.storeStats().stagedBytes === 0);
    }
  };
  await scene.get(large);
  scene.origin.script = script;
  await taken(scene);
}

/** New objects until every segment was written anew; the client takes a little now and then. */
async function goRound(t: ExecutionContext, scene: Scene, client: OpenResponse): Promise<void> {
  const segments = Number(scene.storeStats().volumes![0]!.segments);
  const isRound = () => Number(scene.storeStats().segmentsReclaimed) > segments;
  for (let number = 0; !isRound(); number += 1) {
    if (number > othersMax) throw new Error(`not round after ${number} objects`);
    // Twice: what is asked for once may not be worth a write.
    for (const isFirst of [true, false]) {
      const got = await scene.get(`/${number}`);
      t.true(got.isComplete);
      if (isFirst && number % 8 === 0) t.true(got.body.equals(otherBody(number)), `/${number}`);
      await taken(scene);
    }
    if (number % 4 !== 0 || client.received > 8 * mib) continue;
    const sofar = client.received;
    client.resume();
    await client.hasBytes(Math.min(sofar + 1, largeLength)).catch(() => {});
    client.pause();
  }
}

interface Slow {
  readonly etag: readonly string[];
  /** What is purged is not kept when its segment is written anew. */
  readonly isPurged: boolean;
  readonly device?: string;
}

interface SlowReading {
  readonly isComplete: boolean;
  readonly length: number;
  readonly fromRestart: number;
  readonly resumes: number;
}

async function readSlowly(t: ExecutionContext, slow: Slow): Promise<SlowReading> {
  let reading: SlowReading | undefined;
  const config = () => ({
    l1_cache_size_bytes: mib,
    timeouts: { client_idle: '10m' },
  });
  const device = slow.device === undefined ? {} : { device: slow.device };
  const options = { origin: originWith(slow.etag), store: 'raw', config, ...device } as const;
  await withProxy(t, options, async (scene) => {
    t.timeout(115_000);
    await fetchLarge(scene, slow.etag);
    await scene.restart();
    const client = await scene.open(large);
    t.is(client.field('cache-status'), 'millrace; hit; ttl=600; detail=disk');
    await client.hasBytes(1);
    client.pause();
    if (slow.isPurged) await scene.send(large, { method: 'DELETE' });
    await goRound(t, scene, client);
    const fromRestart = client.received;
    t.true(fromRestart < largeLength - 4 * mib, `${fromRestart} bytes were read already`);
    client.resume();
    const { body, isComplete } = await client.whole();
    const expected = bodyBytes(largeLength, largeSeed);
    t.true(body.equals(expected.subarray(0, body.length)), 'a wrong byte');
    t.is(isComplete, body.length === largeLength);
    const resumes = scene.counters().rangeResumes ?? 0;
    reading = { isComplete, length: body.length, fromRestart, resumes };
  });
  return reading!;
}

const strong = ['ETag', '"large-1"'];

for (const where of ['a raw file', 'a block device'] as const) {
  const placed = async (t: ExecutionContext): Promise<{ device?: string } | null> => {
    if (where === 'a raw file') return {};
    const loop = await attachLoop(t, 256 * mib);
    return loop === null ? null : { device: loop.path };
  };

  test.serial(
    `overwrite: on ${where} what is gone under a slow reader comes from the origin`,
    async (t) => {
      const place = await placed(t);
      if (place === null) return t.pass();
      const seen = await readSlowly(t, { etag: strong, isPurged: true, ...place });
      t.true(seen.isComplete);
      t.is(seen.resumes, 1);
    },
  );

  test.serial(
    `overwrite: on ${where} a reader whose bytes are gone for good sees the break`,
    async (t) => {
      const place = await placed(t);
      if (place === null) return t.pass();
      const seen = await readSlowly(t, { etag: [], isPurged: true, ...place });
      t.false(seen.isComplete);
      t.true(seen.length >= seen.fromRestart);
      t.is(seen.resumes, 0);
    },
  );

  test.serial(
    `overwrite: on ${where} a reader of what may have been kept gets nothing wrong`,
    async (t) => {
      const place = await placed(t);
      if (place === null) return t.pass();
      const seen = await readSlowly(t, { etag: [], isPurged: false, ...place });
      t.true(seen.length >= seen.fromRestart);
    },
  );
}
