// The numbers of a response: lifetime, age and stale windows. Which responses are stored at all is
// tested in storable.test.ts, what later requests do with the numbers in reuse.test.ts. Time is a
// number here; no clock runs.

import test from 'ava';
import fc from 'fast-check';
import { type CachePolicy, judgeResponse } from '../../../ts/http/freshness.js';
import { formatHttpDate } from '../../../ts/http/http-date.js';

const nowS = Date.UTC(2026, 10, 24) / 1000;
const nowMs = nowS * 1000;
const day = 86_400_000;
const policy: CachePolicy = {
  defaultTtlMs: null,
  overrideOrigin: false,
  targetedFields: ['CDN-Cache-Control'],
  heuristicFraction: 0.1,
  heuristicMaxMs: day,
  staleWhileRevalidateMs: 0,
  staleIfErrorMs: 0,
  ignoreRequestDirectives: false,
  setCookie: 'store',
  authorization: 'standard',
};
const date = (offsetS: number) => formatHttpDate(nowS + offsetS);

interface Given {
  readonly status?: number;
  readonly policy?: Partial<CachePolicy>;
  readonly delayMs?: number;
  readonly request?: string[];
}

const judge = (fields: string[], given: Given = {}) =>
  judgeResponse(
    { method: 'GET', fields: given.request ?? [] },
    { status: given.status ?? 200, fields },
    { sentMs: nowMs - (given.delayMs ?? 0), receivedMs: nowMs },
    { ...policy, ...given.policy },
  );
const control = (value: string, ...more: string[]) => judge(['Cache-Control', value, ...more]);

test('freshness: s-maxage beats max-age, which beats Expires, in both directions', (t) => {
  const expires = ['Expires', date(10), 'Date', date(0)];
  t.is(control('max-age=60, s-maxage=5', ...expires).lifetimeMs, 5_000);
  t.is(control('max-age=5, s-maxage=60', ...expires).lifetimeMs, 60_000);
  t.is(control('max-age=5', ...expires).lifetimeMs, 5_000);
  t.is(control('max-age=60', ...expires).lifetimeMs, 60_000);
  t.is(judge(expires).lifetimeMs, 10_000);
});

test('freshness: an invalid lifetime does not let the next one in', (t) => {
  const expires = ['Expires', date(10), 'Last-Modified', date(-1000)];
  t.is(control('s-maxage=x, max-age=60', ...expires).lifetimeMs, 0);
  t.is(control('max-age=1.5', ...expires).lifetimeMs, 0);
  t.is(judge(['Expires', '0', 'Last-Modified', date(-1000)]).lifetimeMs, 0);
});

test('freshness: Expires counts from Date and not from our clock', (t) => {
  t.is(judge(['Date', date(1000), 'Expires', date(1000), 'ETag', '"a"']).lifetimeMs, 0);
  t.is(judge(['Date', date(1000), 'Expires', date(999), 'ETag', '"a"']).lifetimeMs, 0);
  t.is(judge(['Date', date(-100), 'Expires', date(-40), 'ETag', '"a"']).lifetimeMs, 60_000);
});

test('freshness: Expires on several lines means already expired', (t) => {
  t.is(judge(['Expires', date(60), 'Expires', date(60), 'ETag', '"a"']).lifetimeMs, 0);
});

test('freshness: without a valid Date the time of receipt stands in', (t) => {
  const judged = judge(['Date', 'soon', 'Expires', date(60)]);
  t.is(judged.lifetimeMs, 60_000);
  t.is(judged.dateS, nowS);
  t.is(judged.initialAgeMs, 0);
});

test('freshness: huge lifetimes are capped at 2^31 seconds', (t) => {
  const cap = 2 ** 31 * 1000;
  t.is(control('max-age=99999999999').lifetimeMs, cap);
  t.is(judge(['Expires', 'Fri, 31 Dec 9999 23:59:59 GMT']).lifetimeMs, cap);
});

test('freshness: the initial age is the larger of apparent and corrected age', (t) => {
  t.is(control('max-age=60', 'Date', date(-7)).initialAgeMs, 7_000);
  t.is(control('max-age=60', 'Date', date(7)).initialAgeMs, 0);
  t.is(control('max-age=60', 'Date', date(-7), 'Age', '30').initialAgeMs, 30_000);
  t.is(control('max-age=60', 'Date', date(-30), 'Age', '7').initialAgeMs, 30_000);
});

test('freshness: the delay of the response counts as age', (t) => {
  const fields = ['Cache-Control', 'max-age=60', 'Age', '2'];
  t.is(judge(fields, { delayMs: 1500 }).initialAgeMs, 3_500);
});

test('freshness: an invalid Age is ignored, and the first member decides', (t) => {
  for (const age of ['-1', '1.5', 'x', '', '"5"']) {
    t.is(control('max-age=60', 'Age', age).initialAgeMs, 0, age);
  }
  t.is(control('max-age=60', 'Age', '5, 50').initialAgeMs, 5_000);
  t.is(control('max-age=60', 'Age', 'x', 'Age', '50').initialAgeMs, 0);
  t.is(control('max-age=60', 'Age', '9'.repeat(99)).initialAgeMs, 2 ** 31 * 1000);
});

test('freshness: an Age beyond the lifetime makes a response stale on arrival', (t) => {
  const judged = control('max-age=60', 'Age', '90', 'ETag', '"a"');
  t.true(judged.store);
  t.is(judged.freshUntilMs, nowMs - 30_000);
});

test('freshness: a tenth of the time since Last-Modified is assumed, up to the limit', (t) => {
  t.is(judge(['Last-Modified', date(-1000), 'Date', date(0)]).lifetimeMs, 100_000);
  t.is(judge(['Last-Modified', date(-100 * 86_400)]).lifetimeMs, day);
  t.is(judge(['Last-Modified', date(5), 'Date', date(0)]).lifetimeMs, 0);
  t.is(judge(['ETag', '"a"']).lifetimeMs, 0);
});

test('freshness: nothing is assumed for other statuses, unless the origin says public', (t) => {
  const fields = ['Last-Modified', date(-1000)];
  for (const status of [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501]) {
    t.is(judge(fields, { status }).lifetimeMs, 100_000, String(status));
  }
  for (const status of [201, 202, 302, 303, 307, 403, 500, 502, 503, 504, 599]) {
    t.is(judge(fields, { status }).lifetimeMs, 0, String(status));
    const open = [...fields, 'Cache-Control', 'public'];
    t.is(judge(open, { status }).lifetimeMs, 100_000, String(status));
  }
});

test('freshness: the route fills in a lifetime only where the origin gives none', (t) => {
  const route = { policy: { defaultTtlMs: 9_000 } };
  t.is(judge(['Last-Modified', date(-1000)], route).lifetimeMs, 9_000);
  t.is(judge(['Cache-Control', 'max-age=5'], route).lifetimeMs, 5_000);
  t.is(judge(['Cache-Control', 'max-age=x'], route).lifetimeMs, 0);
  t.is(judge(['ETag', '"a"'], { ...route, status: 500 }).lifetimeMs, 9_000);
});

test('freshness: a route that overrides replaces lifetime and directives of the origin', (t) => {
  const route = { policy: { defaultTtlMs: 9_000, overrideOrigin: true } };
  const fields = [
    'Cache-Control',
    'no-cache, max-age=0, must-revalidate, immutable',
    'Expires',
    '0',
  ];
  const judged = judge(fields, route);
  t.is(judged.lifetimeMs, 9_000);
  t.like(judged, { store: true, noCache: false, mustRevalidate: false, immutable: false });
  t.is(judge(fields, { policy: { overrideOrigin: true } }).lifetimeMs, 0);
});

test('freshness: a targeted field governs alone', (t) => {
  const plain = ['Cache-Control', 'no-store, max-age=5, must-revalidate', 'Expires', date(7)];
  const judged = judge(['CDN-Cache-Control', 'max-age=60', ...plain]);
  t.like(judged, { store: true, lifetimeMs: 60_000, mustRevalidate: false });
  t.is(
    judge(['CDN-Cache-Control', 'max-age=0', 'Cache-Control', 'max-age=60', 'ETag', 'a'])
      .lifetimeMs,
    0,
  );
  t.is(judge(['CDN-Cache-Control', 'foo', 'Expires', date(7), 'ETag', '"a"']).lifetimeMs, 0);
  t.is(
    judge(['CDN-Cache-Control', 'max-age = 9', 'Cache-Control', 'max-age=60']).lifetimeMs,
    60_000,
  );
});

test('freshness: stale windows begin where the lifetime ends', (t) => {
  const judged = control('max-age=60, stale-while-revalidate=10, stale-if-error=20', 'Age', '5');
  t.is(judged.freshUntilMs, nowMs + 55_000);
  t.is(judged.staleWhileRevalidateUntilMs, nowMs + 65_000);
  t.is(judged.staleIfErrorUntilMs, nowMs + 75_000);
  const without = control('max-age=60, stale-while-revalidate=x, stale-if-error=0');
  t.like(without, { staleWhileRevalidateUntilMs: 0, staleIfErrorUntilMs: 0 });
});

test('freshness: what must be revalidated has no stale windows', (t) => {
  for (const name of ['must-revalidate', 'proxy-revalidate', 's-maxage=60', 'no-cache="a"']) {
    const judged = control(`${name}, max-age=60, stale-while-revalidate=10, stale-if-error=9`);
    t.like(judged, { staleWhileRevalidateUntilMs: 0, staleIfErrorUntilMs: 0 }, name);
    t.true(judged.mustRevalidate || judged.noCache, name);
  }
});

test('freshness: validators, ranges and Vary are read for the head', (t) => {
  const judged = judge([
    'ETag',
    '"a\xff"',
    'Last-Modified',
    date(-1000),
    'Accept-Ranges',
    'none, Bytes',
    'Vary',
    'Origin, ,accept',
    'VARY',
    'ORIGIN',
  ]);
  t.like(judged, { etag: '"a\xff"', strongValidator: true, acceptsRanges: true });
  t.is(judged.lastModifiedS, nowS - 1000);
  t.deepEqual(judged.varyNames, ['accept', 'origin']);
  t.like(judge(['ETag', 'W/"a"', 'Last-Modified', 'x']), {
    strongValidator: false,
    lastModifiedS: null,
    acceptsRanges: false,
    varyNames: [],
  });
  t.true(judge(['Accept-Ranges', 'bytes']).acceptsRanges);
  t.false(judge(['Accept-Ranges', 'none']).acceptsRanges);
});

test('freshness: any fields are judged without throwing, with finite numbers', (t) => {
  const name = fc.constantFrom(
    'Cache-Control',
    'CDN-Cache-Control',
    'Age',
    'Date',
    'Expires',
    'Last-Modified',
    'ETag',
    'Vary',
    'Set-Cookie',
    'Accept-Ranges',
  );
  const value = fc.oneof(
    fc.string({ unit: 'binary-ascii' }),
    fc.constantFrom(
      'max-age=5',
      '99999999999',
      date(0),
      date(-9),
      'Fri, 31 Dec 9999 23:59:59 GMT',
      '*',
    ),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value)), fc.integer(), (lines, status) => {
      const judged = judge(lines.flat(), { status });
      for (const number of Object.values(judged)) {
        if (typeof number === 'number') t.true(Number.isFinite(number));
      }
      t.true(judged.lifetimeMs >= 0 && judged.initialAgeMs >= 0);
      t.is(judged.store, judged.reason === '');
    }),
    { numRuns: 1000 },
  );
});

test('freshness: of the stale windows of route and origin the longer one counts', (t) => {
  const policy = { staleWhileRevalidateMs: 5_000, staleIfErrorMs: 7_000 };
  const windows = (value: string, more: Partial<CachePolicy> = {}) => {
    const judged = judge(['Cache-Control', value], { policy: { ...policy, ...more } });
    const past = (until: number) => (until === 0 ? 0 : until - judged.freshUntilMs);
    return [past(judged.staleWhileRevalidateUntilMs), past(judged.staleIfErrorUntilMs)];
  };
  t.deepEqual(windows('max-age=60'), [5_000, 7_000]);
  t.deepEqual(windows('max-age=60, stale-while-revalidate=1, stale-if-error=1'), [5_000, 7_000]);
  t.deepEqual(windows('max-age=60, stale-while-revalidate=6, stale-if-error=8'), [6_000, 8_000]);
  for (const name of ['must-revalidate', 'no-cache', 's-maxage=60']) {
    t.deepEqual(windows(`max-age=60, ${name}`), [0, 0], name);
  }
  const override = { overrideOrigin: true, defaultTtlMs: 1_000 };
  t.deepEqual(windows('stale-if-error=60, must-revalidate', override), [5_000, 7_000]);
});
