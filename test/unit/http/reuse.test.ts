// What a later request may do with a stored response: reuse it as it stands, or have it although it
// is stale. The head is given as numbers; how they come about is tested in freshness.test.ts.
// Requests speak through their directives, and "no say" is null.

import test from 'ava';
import { parseCacheControl } from '../../../ts/http/cache-control.js';
import {
  ageMs,
  freshnessOf,
  mayServeStale,
  type ReusableHead,
} from '../../../ts/http/freshness.js';

const nowMs = Date.UTC(2026, 10, 24);
const day = 86_400_000;
const head: ReusableHead = {
  responseMs: nowMs,
  initialAgeMs: 10_000,
  freshUntilMs: nowMs + 50_000,
  noCache: false,
  mustRevalidate: false,
  immutable: false,
};
const reuse = (value: string | null, atMs: number, changes: Partial<ReusableHead> = {}) =>
  freshnessOf(
    { ...head, ...changes },
    value === null ? null : parseCacheControl(value),
    nowMs + atMs,
  ).usable;

test('reuse: the age grows with the time in the store and never shrinks', (t) => {
  t.is(ageMs(head, nowMs + 500), 10_500);
  t.is(ageMs(head, nowMs - 99_000), 10_000);
});

test('reuse: fresh means strictly before the end of the lifetime', (t) => {
  t.deepEqual(freshnessOf(head, null, nowMs + 49_999), {
    freshness: 'fresh',
    usable: true,
    ttlMs: 1,
  });
  t.deepEqual(freshnessOf(head, null, nowMs + 50_000), {
    freshness: 'stale',
    usable: false,
    ttlMs: 0,
  });
  t.is(freshnessOf(head, null, nowMs + 51_000).ttlMs, -1_000);
});

test('reuse: a clock that was set back does not lengthen the lifetime', (t) => {
  t.is(freshnessOf(head, null, nowMs - day).ttlMs, 50_000);
});

test('reuse: no-cache in the response always asks for validation', (t) => {
  t.false(reuse(null, 0, { noCache: true }));
  t.false(reuse('max-stale', 0, { noCache: true, immutable: true }));
});

test('reuse: no-cache in the request asks for validation, even of the immutable', (t) => {
  t.false(reuse('no-cache', 0));
  t.false(reuse('no-cache', 0, { immutable: true }));
  t.true(reuse('no-store', 0));
  t.true(reuse('foo=1', 0));
});

test('reuse: max-age in the request bounds the age', (t) => {
  t.true(reuse('max-age=10', 0));
  t.false(reuse('max-age=10', 1));
  t.false(reuse('max-age=0', 0));
  t.false(reuse('max-age=x', 0));
});

test('reuse: a plain reload does not concern the immutable while it is fresh', (t) => {
  t.true(reuse('max-age=0', 0, { immutable: true }));
  t.false(reuse('max-age=0, max-stale', 60_000, { immutable: true }));
  t.false(reuse('max-age=0, max-stale', 50_000, { immutable: true }));
});

test('reuse: min-fresh wants that much time left', (t) => {
  t.true(reuse('min-fresh=50', 0));
  t.false(reuse('min-fresh=50', 1));
  t.false(reuse('min-fresh=x', 0));
});

test('reuse: max-stale takes that much staleness unless revalidation is a must', (t) => {
  t.true(reuse('max-stale', 9_999_999));
  t.true(reuse('max-stale=10', 60_000));
  t.false(reuse('max-stale=10', 60_001));
  t.false(reuse('max-stale=x', 50_001));
  t.false(reuse('max-stale, max-stale=x', 50_001));
  t.false(reuse('max-stale', 50_001, { mustRevalidate: true }));
  t.true(reuse('max-stale', 49_000, { mustRevalidate: true }));
});

test('reuse: clients without a say change nothing', (t) => {
  t.true(reuse(null, 49_999));
  t.false(reuse(null, 50_001));
});

const old = { mustRevalidate: false, noCache: false, freshUntilMs: nowMs, staleIfErrorUntilMs: 0 };

test('stale: without an answer stale is served up to the limit', (t) => {
  t.true(mayServeStale(old, null, nowMs + 9_999, 'disconnected', 10_000));
  t.false(mayServeStale(old, null, nowMs + 10_000, 'disconnected', 10_000));
  t.false(mayServeStale(old, null, nowMs, 'disconnected', 0));
});

test('stale: a received error is replaced only inside stale-if-error', (t) => {
  t.false(mayServeStale(old, null, nowMs + 1, 'error', day));
  const granted = { ...old, staleIfErrorUntilMs: nowMs + 5_000 };
  t.true(mayServeStale(granted, null, nowMs + 4_999, 'error', 0));
  t.false(mayServeStale(granted, null, nowMs + 5_000, 'error', day));
  t.true(mayServeStale(granted, null, nowMs + 4_999, 'disconnected', 0));
});

test('stale: must-revalidate and no-cache forbid it whatever else permits it', (t) => {
  const granted = { ...old, staleIfErrorUntilMs: nowMs + 5_000 };
  for (const why of ['disconnected', 'error'] as const) {
    t.false(mayServeStale({ ...granted, mustRevalidate: true }, null, nowMs, why, day));
    t.false(mayServeStale({ ...granted, noCache: true }, null, nowMs - 1, why, day));
  }
});

test('stale: what is still fresh may be served, must-revalidate or not', (t) => {
  t.true(mayServeStale({ ...old, mustRevalidate: true }, null, nowMs - 1, 'error', 0));
});

test('stale: a request may ask for stale-if-error itself', (t) => {
  const asked = parseCacheControl('stale-if-error=5');
  t.true(mayServeStale(old, asked, nowMs + 4_999, 'error', 0));
  t.false(mayServeStale(old, asked, nowMs + 5_000, 'error', 0));
  t.false(mayServeStale(old, parseCacheControl('stale-if-error=x'), nowMs + 1, 'error', 0));
  t.false(mayServeStale({ ...old, mustRevalidate: true }, asked, nowMs + 1, 'error', 0));
});
