// Ranges of a body that is not stored, or not whole: which chunks the origin is asked for, by how many
// requests, and that exchanges whose ranges touch the same chunk share one fetch of it.

import { Buffer } from 'node:buffer';
import test from 'ava';
import { bodyBytes } from '../support/bytes.js';
import type { Response } from '../support/client.js';
import { type Scene, withProxy } from '../support/harness.js';
import { type Part, RangeOrigin, rangesAsked } from '../support/range-origin.js';
import { gate, until } from '../support/until.js';

const mib = 1024 * 1024;
const large = bodyBytes(20 * mib);
/** Memory alone stores bodies of up to half of its tier. */
const roomy = () => ({
  memory_limit: 160 * mib,
  l1_cache_size_bytes: 64 * mib,
  // Who is let go asks for the same again, which a busy machine must not decide.
  timeouts: { join: '1h' },
});
const stores = ['none', 'raw', 'file'] as const;

const get = (scene: Scene, range: string, more: readonly string[] = []): Promise<Response> =>
  scene.get('/a', ['Range', `bytes=${range}`, ...more]);

for (const store of stores) {
  test.serial(
    `shared parts: 100 clients with random ranges fetch each chunk once (store ${store})`,
    async (t) => {
      const body = large.subarray(0, 12 * mib + 4321);
      const origin = new RangeOrigin(body);
      await withProxy(t, { origin: origin.script, store, config: roomy }, async (scene) => {
        // Always the same places: 7919 is a prime and hits every part of the body.
        const clients = Array.from({ length: 100 }, async (_, index) => {
          const start = (index * 7919 * 331) % (body.length - 1);
          const end = Math.min(start + 300_000, body.length);
          const got = await get(scene, `${start}-${end - 1}`);
          t.is(got.status, 206);
          t.true(got.body.equals(body.subarray(start, end)), `${start} to ${end}`);
        });
        await Promise.all(clients);
        await scene.settled();
        t.is(scene.counters().rangeResumes, 0);
        t.is(origin.repeatedBytes, 0);
        t.true(rangesAsked(scene).every((range) => range !== undefined));
        // Every part that was asked for, but one, came with a condition.
        const conditions = scene.origin.requests.map((request) => request.field('if-range'));
        t.is(conditions.filter((condition) => condition === undefined).length, 1);
        const asked = scene.origin.requests.length;
        const whole = await scene.get('/a');
        t.true(whole.body.equals(body));
        await scene.settled();
        t.is(origin.repeatedBytes, 0);
        t.is(origin.sentBytes, body.length);
        t.true(scene.origin.requests.length <= asked + 12);
        if (store !== 'none') await scene.restart();
        const hit = await scene.get('/a');
        t.is(hit.field('x-cache'), 'HIT');
        t.true(hit.body.equals(body));
        t.is(origin.sentBytes, body.length);
      });
    },
  );

  test(`shared parts: only what lacks is asked for, adjacent chunks at once (store ${store})`, async (t) => {
    const body = large.subarray(0, 10 * mib + 5);
    const origin = new RangeOrigin(body);
    await withProxy(t, { origin: origin.script, store }, async (scene) => {
      await get(scene, `${2 * mib + 5}-${2 * mib + 9}`);
      await get(scene, `${6 * mib - 1}-${6 * mib}`);
      await scene.settled();
      if (store !== 'none') await scene.restart();
      const got = await get(scene, '10-');
      t.true(got.body.equals(body.subarray(10)));
      await scene.settled();
      const chunks = (from: number, to: number) => `bytes=${from * mib}-${to * mib - 1}`;
      t.deepEqual(rangesAsked(scene).toSorted(), [
        chunks(0, 2),
        chunks(2, 3),
        chunks(3, 5),
        chunks(5, 7),
        `bytes=${7 * mib}-${10 * mib + 4}`,
      ]);
      t.is((await scene.get('/a')).field('x-cache'), 'HIT');
    });
  });

  test(`shared parts: slices end at multiples of their size (store ${store})`, async (t) => {
    const body = large.subarray(0, 9 * mib);
    const origin = new RangeOrigin(body);
    const config = () => ({ slice_size: '2MiB', max_concurrent_subrequests: 2 });
    await withProxy(t, { origin: origin.script, store, config }, async (scene) => {
      const got = await get(scene, `${mib + 7}-${6 * mib + 8}`);
      t.true(got.body.equals(body.subarray(mib + 7, 6 * mib + 9)));
      await scene.settled();
      t.deepEqual(rangesAsked(scene).toSorted(), [
        `bytes=${mib}-${2 * mib - 1}`,
        `bytes=${2 * mib}-${4 * mib - 1}`,
        `bytes=${4 * mib}-${6 * mib - 1}`,
        `bytes=${6 * mib}-${7 * mib - 1}`,
      ]);
      t.true(origin.mostAtATime <= 2);
    });
  });

  test(`shared parts: several ranges are one answer of what each has (store ${store})`, async (t) => {
    const body = large.subarray(0, 8 * mib);
    const origin = new RangeOrigin(body);
    await withProxy(t, { origin: origin.script, store }, async (scene) => {
      const range = `${5 * mib}-${5 * mib + 9}, 3-5, -10`;
      for (const cache of ['MISS', 'HIT']) {
        const got = await get(scene, range);
        await scene.settled();
        t.is(got.status, 206);
        t.is(got.field('x-cache'), cache);
        const text = got.body.toString('latin1');
        for (const [from, to] of [
          [5 * mib, 5 * mib + 10],
          [3, 6],
          [8 * mib - 10, 8 * mib],
        ] as const) {
          const part = body.subarray(from, to).toString('latin1');
          t.true(text.includes(`bytes ${from}-${to - 1}/${body.length}\r\n\r\n${part}\r\n`));
        }
      }
      t.deepEqual(rangesAsked(scene).toSorted(), [
        `bytes=0-${mib - 1}`,
        `bytes=${5 * mib}-${6 * mib - 1}`,
        `bytes=${7 * mib}-${8 * mib - 1}`,
      ]);
    });
  });
}

test('shared parts: a range far ahead of a running part does not wait for it', async (t) => {
  const body = large;
  const rest = gate();
  const origin = new RangeOrigin(body, {
    // The first request's body stops after its first MiB until the other client has its bytes.
    before: async (part, offset) => {
      if (part.number === 0 && offset >= mib) await rest.opened;
    },
  });
  await withProxy(t, { origin: origin.script, config: roomy }, async (scene) => {
    const slow = get(scene, '0-');
    await until('the first part', () => scene.counters().fillsOpen === 1);
    const far = await get(scene, `${15 * mib}-${15 * mib + 99}`);
    t.true(far.body.equals(body.subarray(15 * mib, 15 * mib + 100)));
    rest.open();
    t.true((await slow).body.equals(body));
    await scene.settled();
    t.deepEqual(rangesAsked(scene), [
      'bytes=0-',
      `bytes=${15 * mib}-${16 * mib - 1}`,
      `bytes=${16 * mib}-${20 * mib - 1}`,
    ]);
    t.is((await scene.get('/a')).field('x-cache'), 'HIT');
  });
});

test('shared parts: a client that leaves takes nothing from those that follow the same part', async (t) => {
  const body = large.subarray(0, 6 * mib);
  const rest = gate();
  const origin = new RangeOrigin(body, {
    before: async (_part, offset) => {
      if (offset >= 3 * mib) await rest.opened;
    },
  });
  await withProxy(t, { origin: origin.script }, async (scene) => {
    const leaving = await scene.open('/a', {
      fields: ['Range', `bytes=${2 * mib}-${5 * mib - 1}`],
    });
    const others = [3, 4].map((at) => get(scene, `${at * mib}-${at * mib + 5}`));
    await until('all of them', () => scene.counters().exchangesOpen === 3);
    leaving.leave();
    rest.open();
    for (const [at, got] of (await Promise.all(others)).entries()) {
      t.true(got.body.equals(body.subarray((at + 3) * mib, (at + 3) * mib + 6)));
    }
    await scene.settled();
    t.deepEqual(rangesAsked(scene), [`bytes=${2 * mib}-${5 * mib - 1}`]);
  });
});

test('shared parts: a version that changes breaks what was begun and is not mixed', async (t) => {
  const body = large.subarray(0, 6 * mib);
  const other = Buffer.from(large.subarray(0, 6 * mib + 1).map((byte) => byte ^ 0xff));
  const origin = new RangeOrigin(body);
  const config = () => ({ slice_size: '1MiB', max_concurrent_subrequests: 1 });
  const changed = gate();
  await withProxy(t, { origin: origin.script, config }, async (scene) => {
    origin.before = async (part) => {
      if (part.number !== 2) return;
      origin.body = other;
      origin.tag = '"v2"';
      changed.open();
    };
    const broken = await scene.open('/a', { fields: ['Range', `bytes=0-${5 * mib - 1}`] });
    t.is(broken.status, 206);
    t.is(broken.field('etag'), '"v1"');
    t.false((await broken.whole()).isComplete);
    await changed.opened;
    await scene.settled();
    const got = await get(scene, `0-${2 * mib - 1}`);
    t.is(got.field('etag'), '"v2"');
    t.true(got.body.equals(other.subarray(0, 2 * mib)));
    await scene.settled();
    // Nobody fetched the new version as a whole.
    const slice = (at: number) => `bytes=${at * mib}-${(at + 1) * mib - 1}`;
    t.deepEqual(rangesAsked(scene), [0, 1, 2, 0, 1].map(slice));
  });
});

test('shared parts: an origin that sends shorter parts than it is asked for is asked again', async (t) => {
  const body = large.subarray(0, 5 * mib);
  const origin = new RangeOrigin(body, { longest: mib });
  await withProxy(t, { origin: origin.script }, async (scene) => {
    const got = await get(scene, `0-${4 * mib - 1}`);
    t.true(got.body.equals(body.subarray(0, 4 * mib)));
    await scene.settled();
    t.is(origin.repeatedBytes, 0);
    t.is(origin.sentBytes, 4 * mib);
  });
});

test('shared parts: an origin without ranges sends one body and is remembered', async (t) => {
  const body = large.subarray(0, 12 * mib);
  const rest = gate();
  const origin = new RangeOrigin(body, {
    ranges: false,
    before: async (_part, offset) => {
      if (offset >= 2 * mib) await rest.opened;
    },
  });
  await withProxy(t, { origin: origin.script, config: roomy }, async (scene) => {
    const ranges = [3, 7, 8, 11].map((at) => get(scene, `${at * mib}-${at * mib + 9}`));
    await until('all of them', () => scene.counters().exchangesOpen === 4);
    await until('the fill', () => scene.counters().fillsOpen === 1);
    const late = get(scene, `${9 * mib}-${9 * mib + 9}`);
    await until('that one', () => scene.counters().exchangesOpen === 5);
    rest.open();
    for (const [number, got] of (await Promise.all(ranges)).entries()) {
      const at = [3, 7, 8, 11][number]! * mib;
      t.is(got.status, 206);
      t.true(got.body.equals(body.subarray(at, at + 10)));
    }
    t.true((await late).body.equals(body.subarray(9 * mib, 9 * mib + 10)));
    await scene.settled();
    t.is(scene.origin.requests.length, 1);
    await scene.purge({ all: true });
    t.is((await get(scene, '5-9')).body.length, 5);
    await scene.settled();
    // Remembered: this one asks for no part.
    t.deepEqual(rangesAsked(scene), [`bytes=${3 * mib}-${4 * mib - 1}`, undefined]);
  });
});

test('shared parts: what may not be stored reaches its client without what is around it', async (t) => {
  const body = large.subarray(0, 3 * mib);
  for (const fields of [
    ['Cache-Control', 'no-store', 'ETag', '"v1"'],
    ['Cache-Control', 'max-age=600', 'ETag', 'W/"v1"'],
  ]) {
    const origin = new RangeOrigin(body, { fields });
    await withProxy(t, { origin: origin.script }, async (scene) => {
      for (const range of [`${mib + 5}-${mib + 9}`, `${mib + 6}-${mib + 9}`]) {
        const got = await get(scene, range);
        t.is(got.status, 206);
        t.is(got.field('content-range'), `bytes ${range}/${body.length}`);
        t.is(got.field('content-length'), `${got.body.length}`);
        const [from, last] = range.split('-').map(Number);
        t.true(got.body.equals(body.subarray(from, last! + 1)));
        await scene.settled();
      }
      // Remembered: the second one is asked for as it came.
      t.deepEqual(rangesAsked(scene), [
        `bytes=${mib}-${2 * mib - 1}`,
        `bytes=${mib + 6}-${mib + 9}`,
      ]);
      const several = await get(scene, '0-1,4-5');
      t.is(several.status, 200, 'this origin knows one range at a time');
    });
  }
});

test('shared parts: a purge in mid-flight lets the answer go on and the parts are not stored', async (t) => {
  const body = large.subarray(0, 6 * mib);
  const rest = gate();
  const origin = new RangeOrigin(body, {
    before: async (part: Part) => {
      if (part.number === 1) await rest.opened;
    },
  });
  const config = () => ({ slice_size: '1MiB', max_concurrent_subrequests: 1 });
  await withProxy(t, { origin: origin.script, config, store: 'raw' }, async (scene) => {
    const open = await scene.open('/a', { fields: ['Range', `bytes=0-${4 * mib - 1}`] });
    await open.hasBytes(mib / 2);
    await until('the second part', () => scene.origin.requests.length === 2);
    await scene.purge({ all: true });
    rest.open();
    t.true((await open.whole()).body.equals(body.subarray(0, 4 * mib)));
    await scene.settled();
    t.is((await get(scene, '0-9')).field('x-cache'), 'MISS');
  });
});

test('shared parts: a range behind the end is a 416, also where its chunk is not', async (t) => {
  const body = large.subarray(0, mib + 10);
  const origin = new RangeOrigin(body);
  await withProxy(t, { origin: origin.script }, async (scene) => {
    const got = await get(scene, `${mib + 10}-${mib + 20}`);
    t.is(got.status, 416);
    t.is(got.field('content-range'), `bytes */${body.length}`);
    await scene.settled();
    t.is((await get(scene, `${mib + 1}-`)).field('x-cache'), 'HIT');
    t.is((await get(scene, `${9 * mib}-`)).status, 416);
    t.is(scene.origin.requests.length, 1);
  });
});
