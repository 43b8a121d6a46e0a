// Where slices end, and what is remembered of origins that do not send parts.

import test from 'ava';
import { RangeHabits } from '../../../ts/proxy/range-habits.js';
import { sliceEnd } from '../../../ts/proxy/slicing.js';

test('slicing: a slice ends at the next multiple of its size', (t) => {
  t.is(sliceEnd(0, 4), 4);
  t.is(sliceEnd(3, 4), 4);
  t.is(sliceEnd(4, 4), 8);
  t.is(sliceEnd(9, null), Number.MAX_SAFE_INTEGER);
});

test('range habits: are forgotten in time, on a part that came, and for the newer of many', (t) => {
  let nowMs = 0;
  const habits = new RangeHabits({ now: () => nowMs, monotonic: () => nowMs });
  habits.note('a', 'whole');
  habits.note('b', 'exact');
  t.is(habits.of('a'), 'whole');
  t.is(habits.of('b'), 'exact');
  habits.forget('b');
  t.is(habits.of('b'), null);
  nowMs = 600_001;
  t.is(habits.of('a'), null);
  for (let key = 0; key <= 10_000; key += 1) habits.note(`${key}`, 'whole');
  t.is(habits.of('0'), null);
  t.is(habits.of('1'), 'whole');
  t.is(habits.of('10000'), 'whole');
});
