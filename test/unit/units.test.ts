// Sizes and durations: what is understood, what is refused, and that what was written is read
// back as the same. The refusals matter most: a size that is understood differently from how it
// was meant is a disk that is filled or a memory that is missing.

import test from 'ava';
import fc from 'fast-check';
import { formatDuration, formatSize, parseDuration, parseSize } from '../../ts/units.js';

test('units: sizes count in 1024 or 1000 as their unit says', (t) => {
  const sizes: [unknown, number][] = [
    [0, 0],
    [4096, 4096],
    ['4096', 4096],
    ['12B', 12],
    ['64KiB', 65536],
    ['1MB', 1_000_000],
    ['100GiB', 107374182400],
    ['1.5GiB', 1610612736],
    ['2 TiB', 2199023255552],
    ['1tb', 1e12],
  ];
  for (const [text, bytes] of sizes) t.is(parseSize(text), bytes, String(text));
});

test('units: what is not a whole number of bytes is no size', (t) => {
  const wrong = [
    -1,
    1.5,
    NaN,
    Infinity,
    2 ** 53,
    '',
    ' ',
    '-5',
    '1.5',
    '100M',
    '1e3',
    '0x10',
    'MiB',
  ];
  for (const value of [...wrong, '1 0', '0.1GiB', '9999999TiB', true, null, undefined, [], {}]) {
    t.is(parseSize(value), null, String(value));
  }
});

test('units: durations are seconds unless a unit says otherwise', (t) => {
  const durations: [unknown, number][] = [
    [3600, 3_600_000],
    [0.1, 100],
    ['10', 10_000],
    ['500ms', 500],
    ['10s', 10_000],
    ['1h', 3_600_000],
    ['1h30m', 5_400_000],
    ['1.5h', 5_400_000],
    ['1d', 86_400_000],
    ['0s', 0],
  ];
  for (const [text, durationMs] of durations) t.is(parseDuration(text), durationMs, String(text));
});

test('units: what is not a duration is refused', (t) => {
  for (const value of [
    -1,
    NaN,
    Infinity,
    '',
    '-1s',
    '1w',
    '1m1h',
    '1s1s',
    's',
    '1 h',
    '1H',
    null,
    {},
  ]) {
    t.is(parseDuration(value), null, String(value));
  }
});

test('units: sizes are shown in the largest unit that leaves a number to read', (t) => {
  t.is(formatSize(0), '0B');
  t.is(formatSize(1000), '1000B');
  t.is(formatSize(268435456), '256MiB');
  t.is(formatSize(1610612736), '1.5GiB');
  t.is(formatSize(2 ** 51), '2048TiB');
});

test('units: durations are shown largest unit first', (t) => {
  t.is(formatDuration(0), '0s');
  t.is(formatDuration(500), '500ms');
  t.is(formatDuration(5_400_000), '1h30m');
  t.is(formatDuration(86_400_000), '1d');
});

test('units: a duration that was written is read back as the same', (t) => {
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 31 * 1000 }), (durationMs) => {
      t.is(parseDuration(formatDuration(durationMs)), durationMs);
    }),
  );
});

test('units: whole multiples of a binary unit are read back as the same', (t) => {
  fc.assert(
    fc.property(fc.nat({ max: 1023 }), fc.integer({ min: 0, max: 4 }), (count, power) => {
      t.is(parseSize(formatSize(count * 1024 ** power)), count * 1024 ** power);
    }),
  );
});
