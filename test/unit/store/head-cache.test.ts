// The cache of decoded heads: what is asked for stays, the rest falls out, and text is bounded like numbers.

import test from 'ava';
import { type Head, headFlags } from '../../../ts/store/entry.js';
import { HeadCache } from '../../../ts/store/head-cache.js';

function headOf(text: string): Head {
  return {
    status: 200,
    flags: headFlags.acceptsRanges,
    responseMs: 0,
    initialAgeMs: 0,
    freshUntilMs: 0,
    staleWhileRevalidateUntilMs: 0,
    staleIfErrorUntilMs: 0,
    bodyLength: 0,
    lastModifiedS: null,
    dateS: 0,
    etag: '',
    varyNames: [],
    tags: new Uint8Array(0),
    fields: ['X', text],
    reason: 'OK',
  };
}

test('head-cache: a head that is asked for outlives any number of others', (t) => {
  const cache = new HeadCache();
  const hot = headOf('hot');
  cache.add(1, hot);
  for (let serial = 2; serial < 50_000; serial += 1) {
    cache.add(serial, headOf('cold'));
    if (serial % 100 === 0) t.is(cache.get(1), hot);
  }
  t.is(cache.get(2), undefined);
  t.true(cache.size <= 4096, `${cache.size} heads`);
});

test('head-cache: large heads are fewer', (t) => {
  const cache = new HeadCache();
  for (let serial = 1; serial < 1000; serial += 1) cache.add(serial, headOf('x'.repeat(64 * 1024)));
  t.true(cache.size <= 32, `${cache.size} heads of 64 KiB`);
  t.not(cache.get(999), undefined);
});
