// Retry-After: seconds or a date, of one line, never into the past.

import test from 'ava';
import { formatHttpDate } from '../../../ts/http/http-date.js';
import { retryAfterMs } from '../../../ts/http/retry-after.js';

const nowMs = 1_800_000_000_000;
const after = (...lines: readonly string[]) =>
  retryAfterMs(
    lines.flatMap((line) => ['Retry-After', line]),
    nowMs,
  );

test('retry-after: seconds count as they are', (t) => {
  t.is(after('120'), 120_000);
  t.is(after('0'), 0);
});

test('retry-after: a date counts from now on, one that is past not at all', (t) => {
  t.is(after(formatHttpDate(nowMs / 1000 + 90)), 90_000);
  t.is(after(formatHttpDate(nowMs / 1000 - 90)), 0);
});

test('retry-after: none, several, and what cannot be read say nothing', (t) => {
  t.is(after(), null);
  t.is(after('1', '2'), null);
  for (const text of ['', '-1', '1.5', 'soon', '1, 2']) t.is(after(text), null, text);
});
