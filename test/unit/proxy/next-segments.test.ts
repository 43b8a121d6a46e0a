// Which segments come next: by the number in a name, and by a playlist.

import test from 'ava';
import type { Exchange } from '../../../ts/proxy/exchange.js';
import { segmentsOf, targetsByNumber } from '../../../ts/proxy/next-segments.js';
import { Prefetcher } from '../../../ts/proxy/prefetch.js';

test('next segments: the last number of the name is counted up, as wide as it is', (t) => {
  const tries: readonly (readonly [string, readonly string[]])[] = [
    ['/v/seg-008.ts', ['/v/seg-009.ts', '/v/seg-010.ts']],
    ['/v/99.ts?token=7', ['/v/100.ts?token=7', '/v/101.ts?token=7']],
    [
      '/v1/720p/chunk-stream0-00041.m4s',
      ['/v1/720p/chunk-stream0-00042.m4s', '/v1/720p/chunk-stream0-00043.m4s'],
    ],
    ['/v/3_low.mp4', ['/v/4_low.mp4', '/v/5_low.mp4']],
    ['/v/7', ['/v/8', '/v/9']],
  ];
  for (const [target, next] of tries) t.deepEqual(targetsByNumber(target, 2), next, target);
  for (const target of ['/v2/init.mp4', '/v/a.ts?n=1', '/v/', `/v/${'9'.repeat(16)}.ts`]) {
    t.deepEqual(targetsByNumber(target, 2), [], target);
  }
});

test('next segments: a playlist lists them in order, on its own host', (t) => {
  const playlist = [
    '#EXTM3U',
    '#EXT-X-TARGETDURATION:2',
    '#EXTINF:2,',
    'z.ts',
    '#EXTINF:2,',
    '../other/a.ts?x=1',
    '',
    '#EXTINF:2,',
    'http://video.test/v/m.ts',
    '#EXTINF:2,',
    'http://elsewhere.test/v/e.ts',
    '#EXT-X-ENDLIST',
  ].join('\r\n');
  const expected = ['/v/z.ts', '/other/a.ts?x=1', '/v/m.ts'];
  t.deepEqual(segmentsOf(playlist, '/v/index.m3u8?q=1', 'video.test'), expected);
  t.deepEqual(segmentsOf('z.ts\n', '/v/index.m3u8', 'video.test'), []);
  t.deepEqual(segmentsOf('#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlow.m3u8\n', '/a', 'h'), []);
  t.deepEqual(segmentsOf('#EXTM3U\n#EXT-X-BYTERANGE:100@0\nall.ts\n', '/a', 'h'), []);
  t.deepEqual(segmentsOf('#EXTM3U\na.ts\n', '/a', 'not a host'), []);
});

/** An exchange over a store with so much of its memory in use. */
function exchangeWith(memoryUsed: number, lookups: { count: number }): Exchange {
  const rule = { prefetch: { next: 2, maxRunning: 4 } };
  const services = {
    store: {
      stats: () => ({ memoryLimit: 100, memoryUsed, l1Budget: 20, l1Used: 10 }),
      lookup: () => {
        lookups.count += 1;
        return { kind: 'object', object: { close() {} } };
      },
    },
    routes: {
      rules: [rule],
      table: { match: () => 0, key: (...parts: unknown[]) => parts.join() },
    },
    clock: { monotonic: () => 0 },
  };
  const request = {
    host: 'h',
    target: '/s1.ts',
    key: 'k',
    scheme: 'http',
    fields: [],
    method: 'GET',
  };
  return { ...request, services, rule, sentStatus: 200 } as unknown as Exchange;
}

test('prefetch: nothing is begun while less than half of the fills memory is free', (t) => {
  const prefetcher = new Prefetcher([]);
  const lookups = { count: 0 };
  prefetcher.answered(exchangeWith(51, lookups));
  t.is(lookups.count, 0);
  t.is(prefetcher.counters.segmentsNotPrefetched, 2);
  prefetcher.answered(exchangeWith(50, lookups));
  t.is(lookups.count, 2);
  t.is(prefetcher.counters.segmentsNotPrefetched, 2);
});
