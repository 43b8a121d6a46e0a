// Whole bodies that are fetched in slices by several requests at a time: how many, which, and that the
// client sees one body of one version.

import test from 'ava';
import type { ConfigInput } from '../../ts/config/schema.js';
import { bodyBytes } from '../support/bytes.js';
import { openStopped } from '../support/client.js';
import { withProxy } from '../support/harness.js';
import { RangeOrigin, rangesAsked } from '../support/range-origin.js';
import { resetSocket } from '../support/reset.js';
import { gate, until } from '../support/until.js';

const mib = 1024 * 1024;
const body = bodyBytes(10 * mib + 99);
const sliced: ConfigInput = { slice_size: '1MiB', slice_patterns: ['/big/**'] };
const slice = (at: number) => `bytes=${at * mib}-${Math.min((at + 1) * mib, body.length) - 1}`;

/**
 * The first connection waits for the second one, by when it is decided where it is cut, and stands still from
 * there on. `together`: so many wait for each other.
 */
function held(together = 2): RangeOrigin {
  const never = gate();
  const all = gate();
  return new RangeOrigin(body, {
    before: async ({ number }, offset) => {
      if (number === together - 1) all.open();
      if (number === 0 && offset >= mib / 4) await all.opened;
      if (number === 0 && offset >= 2 * mib) await never.opened;
      if (number > 0 && number < together) await all.opened;
    },
  });
}

for (const store of ['none', 'raw', 'file'] as const) {
  test(`parallel download: slices come by several requests at a time (store ${store})`, async (t) => {
    const origin = held(4);
    await withProxy(t, { origin: origin.script, store, config: () => sliced }, async (scene) => {
      const [first, second] = await Promise.all([scene.get('/big/a'), scene.get('/big/a')]);
      for (const got of [first, second]) {
        t.is(got.status, 200);
        t.is(got.field('content-length'), `${body.length}`);
        t.true(got.body.equals(body));
      }
      await until('the slices', () => scene.counters().fillsOpen === 0);
      const asked = rangesAsked(scene);
      t.is(asked[0], undefined);
      t.deepEqual(asked.slice(1).toSorted(), [2, 3, 4, 5, 6, 7, 8, 9, 10].map(slice).toSorted());
      t.true(scene.origin.requests.slice(1).every((each) => each.field('if-range') === '"v1"'));
      t.true(origin.mostAtATime >= 4);
      t.true(
        origin.mostAtATime <= 5,
        'four, and the first one, which is still held when it is cut',
      );
      t.is(origin.repeatedBytes, 0);
      if (store !== 'none') await scene.restart();
      const hit = await scene.get('/big/a');
      t.is(hit.field('x-cache'), 'HIT');
      t.true(hit.body.equals(body));
    });
  });
}

test('parallel download: the origin has no more requests than it may', async (t) => {
  const origin = held();
  const config = (address: string): ConfigInput => ({
    slice_size: '1MiB',
    upstreams: { a: { origins: [address], max_connections: 2 } },
    routes: [{ upstream: 'a', cache: { parallel_download: true, max_concurrent_subrequests: 8 } }],
  });
  await withProxy(t, { origin: origin.script, config }, async (scene) => {
    t.true((await scene.get('/any')).body.equals(body));
    t.true(origin.mostAtATime <= 3, 'two, and the first one, which the origin still holds');
    t.is(origin.repeatedBytes, 0);
  });
});

test('parallel download: slices run ahead of their client, and no further', async (t) => {
  const large = bodyBytes(32 * mib);
  const origin = new RangeOrigin(large);
  const config = (): ConfigInput => ({
    ...sliced,
    memory_limit: 192 * mib,
    l1_cache_size_bytes: 96 * mib,
  });
  await withProxy(t, { origin: origin.script, config }, async (scene) => {
    const stopped = await openStopped(scene.address, '/big/a');
    await until('the first request', () => scene.origin.requests.length > 0);
    let asked = -1;
    await until('all that is fetched ahead', () => {
      const isStill = asked === scene.origin.requests.length && scene.counters().fillsOpen === 0;
      asked = scene.origin.requests.length;
      return isStill;
    });
    // Four slices, those of the first connection, and what lies in the buffers of two sockets.
    t.true(origin.sentBytes < 24 * mib, `${origin.sentBytes}`);
    resetSocket(stopped);
    await scene.settled();
    t.true(origin.sentBytes < 24 * mib, `${origin.sentBytes}`);
    const whole = await scene.get('/big/a');
    t.true(whole.body.equals(large));
    await scene.settled();
    t.is((await scene.get('/big/a')).field('x-cache'), 'HIT');
  });
});

for (const [what, path, options] of [
  ['of other paths', '/small/a', {}],
  ['without ranges', '/big/a', { ranges: false }],
  [
    'without a strong tag',
    '/big/a',
    { fields: ['Cache-Control', 'max-age=600', 'ETag', 'W/"v1"'] },
  ],
] as const) {
  test(`parallel download: bodies ${what} come in one`, async (t) => {
    const origin = new RangeOrigin(body, options);
    await withProxy(t, { origin: origin.script, config: () => sliced }, async (scene) => {
      t.true((await scene.get(path)).body.equals(body));
      await scene.settled();
      t.deepEqual(rangesAsked(scene), [undefined]);
    });
  });
}

test('parallel download: a slice of another version breaks the body that was begun', async (t) => {
  const origin = held();
  const { before } = origin;
  origin.before = async (part, offset) => {
    if (part.number === 3) origin.tag = '"v2"';
    await before(part, offset);
  };
  await withProxy(t, { origin: origin.script, config: () => sliced }, async (scene) => {
    const broken = await scene.open('/big/a');
    t.is(broken.field('etag'), '"v1"');
    t.false((await broken.whole()).isComplete);
    await scene.settled();
    origin.before = async () => {};
    const next = await scene.get('/big/a');
    t.is(next.field('etag'), '"v2"');
    t.true(next.body.equals(body));
  });
});
