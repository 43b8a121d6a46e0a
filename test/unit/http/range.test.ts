// Byte ranges: what is answered with a part, with the whole, and with 416. The numbers that
// matter are at the edges of the body and beyond 2^53.
// A Range that is in doubt is always answered with the whole body.

import test from 'ava';
import fc from 'fast-check';
import { formatHttpDate } from '../../../ts/http/http-date.js';
import {
  chooseRange,
  contentRange,
  parseContentRange,
  unsatisfiedRange,
} from '../../../ts/http/range.js';

const nowMs = Date.UTC(2026, 10, 24);
const modifiedS = Date.UTC(2026, 0, 1) / 1000;
const stored = { etag: '"a"', lastModifiedS: modifiedS, dateS: modifiedS + 3600 };

const choose = (range: string, length = 10) =>
  chooseRange({ method: 'GET', fields: ['Range', range] }, length, stored, nowMs);
const chooseIf = (condition: string, validators = stored) =>
  chooseRange(
    { method: 'GET', fields: ['Range', 'bytes=0-0', 'If-Range', condition] },
    10,
    validators,
    nowMs,
  ).kind;
const part = (start: number, end: number) => ({ kind: 'part', start, end }) as const;

test('range: first and last byte are inclusive', (t) => {
  t.deepEqual(choose('bytes=0-0'), part(0, 0));
  t.deepEqual(choose('bytes=2-5'), part(2, 5));
  t.deepEqual(choose('bytes=9-9'), part(9, 9));
});

test('range: an end beyond the body is clamped', (t) => {
  t.deepEqual(choose('bytes=2-10'), part(2, 9));
  t.deepEqual(choose('bytes=2-'), part(2, 9));
  t.deepEqual(choose(`bytes=2-${'9'.repeat(400)}`), part(2, 9));
});

test('range: suffix longer than body returns whole body', (t) => {
  t.deepEqual(choose('bytes=-3'), part(7, 9));
  t.deepEqual(choose('bytes=-10'), part(0, 9));
  t.deepEqual(choose('bytes=-11'), part(0, 9));
  t.deepEqual(choose(`bytes=-${'9'.repeat(400)}`), part(0, 9));
});

test('range: a start behind the body is unsatisfiable', (t) => {
  t.is(choose('bytes=10-').kind, 'unsatisfiable');
  t.is(choose('bytes=10-20').kind, 'unsatisfiable');
  t.is(choose(`bytes=${'9'.repeat(400)}-`).kind, 'unsatisfiable');
  t.is(choose('bytes=0-', 0).kind, 'unsatisfiable');
});

test('range: an empty suffix is unsatisfiable', (t) => {
  t.is(choose('bytes=-0').kind, 'unsatisfiable');
  t.is(choose('bytes=-00').kind, 'unsatisfiable');
});

test('range: the last bytes of an empty body are the whole of it', (t) => {
  t.is(choose('bytes=-5', 0).kind, 'whole');
});

test('range: an end before the start makes the range invalid, also beyond 2^53', (t) => {
  t.is(choose('bytes=5-4').kind, 'whole');
  t.is(choose('bytes=20-19').kind, 'whole');
  t.is(choose('bytes=9007199254740993-9007199254740992').kind, 'whole');
  t.is(choose('bytes=9007199254740993-9007199254740993').kind, 'unsatisfiable');
  t.is(choose('bytes=010-9').kind, 'whole');
});

test('range: leading zeros do not matter', (t) => {
  t.deepEqual(choose('bytes=002-0000000000000000000000005'), part(2, 5));
});

test('range: the unit compares without case and others are ignored', (t) => {
  t.deepEqual(choose('BYTES=1-2'), part(1, 2));
  t.is(choose('items=1-2').kind, 'whole');
});

test('range: empty members of the list are skipped', (t) => {
  t.deepEqual(choose('bytes= , 1-2 ,'), part(1, 2));
});

test('range: malformed ranges give the whole, and so does a set with one of them', (t) => {
  const others = [
    '',
    'bytes',
    'bytes=',
    'bytes=-',
    'bytes=a-b',
    'bytes=1',
    'bytes=1-2-3',
    'bytes=+1-2',
    'bytes=1.0-2',
    'bytes=1 - 2',
    'bytes =1-2',
    'bytes 1-2',
    'bytes=0-0,3-2',
    'bytes=0-0,x',
    'bytes=\xb2-',
  ];
  for (const value of others) t.is(choose(value).kind, 'whole', value);
});

test('range: two lines are two ranges', (t) => {
  const fields = ['Range', 'bytes=0-0', 'Range', 'bytes=1-1'];
  t.is(chooseRange({ method: 'GET', fields }, 10, stored, nowMs).kind, 'whole');
});

test('range: counts for GET only', (t) => {
  const fields = ['Range', 'bytes=0-0'];
  t.is(chooseRange({ method: 'HEAD', fields }, 10, stored, nowMs).kind, 'whole');
  t.is(chooseRange({ method: 'GET', fields: [] }, 10, stored, nowMs).kind, 'whole');
});

test('range: If-Range needs the same strong tag', (t) => {
  t.is(chooseIf('"a"'), 'part');
  t.is(chooseIf('"b"'), 'whole');
  t.is(chooseIf('W/"a"'), 'whole');
  t.is(chooseIf('W/"a"', { ...stored, etag: 'W/"a"' }), 'whole');
  t.is(chooseIf('a', { ...stored, etag: 'a' }), 'whole');
  t.is(chooseIf('', { ...stored, etag: '' }), 'whole');
  t.is(chooseIf('"a", "b"'), 'whole');
});

test('range: If-Range takes the exact date if it is a strong one', (t) => {
  t.is(chooseIf(formatHttpDate(modifiedS)), 'part');
  t.is(chooseIf(formatHttpDate(modifiedS + 1)), 'whole');
  t.is(chooseIf(formatHttpDate(modifiedS), { ...stored, dateS: modifiedS + 59 }), 'whole');
  t.is(chooseIf(formatHttpDate(modifiedS), { ...stored, dateS: modifiedS + 60 }), 'part');
});

test('range: a failed If-Range hides that the range is unsatisfiable', (t) => {
  const fields = ['Range', 'bytes=99-', 'If-Range', '"b"'];
  t.is(chooseRange({ method: 'GET', fields }, 10, stored, nowMs).kind, 'whole');
});

test('range: any text gives a part inside the body or none', (t) => {
  const piece = fc.constantFrom('bytes=', '-', ',', ' ', '0', '1', '9', '99999999999999999', 'x');
  const text = fc.array(piece).map((pieces) => `bytes=${pieces.join('')}`);
  fc.assert(
    fc.property(fc.oneof(text, fc.string()), fc.nat({ max: 20 }), (range, length) => {
      const choice = choose(range, length);
      if (choice.kind !== 'part') return;
      t.true(choice.start >= 0 && choice.start <= choice.end && choice.end < length, range);
    }),
    { numRuns: 2000 },
  );
});

test('range: Content-Range is read back as written', (t) => {
  t.is(contentRange(2, 5, 10), 'bytes 2-5/10');
  t.is(unsatisfiedRange(10), 'bytes */10');
  t.deepEqual(parseContentRange('bytes 2-5/10'), { start: 2, end: 5, length: 10 });
  t.deepEqual(parseContentRange('Bytes 2-5/*'), { start: 2, end: 5, length: null });
  t.deepEqual(parseContentRange('bytes 9-9/10'), { start: 9, end: 9, length: 10 });
});

test('range: a Content-Range that is no exact interval is invalid', (t) => {
  const others = [
    '',
    'bytes */10',
    'bytes 5-4/10',
    'bytes 0-10/10',
    'bytes 0-/10',
    'bytes -1/10',
    'bytes=0-1/10',
    'items 0-1/10',
    'bytes 0-1/10, bytes 0-1/10',
    'bytes 0-9007199254740992/9007199254740994',
    'bytes 0-1/9007199254740992',
    'bytes 0-1',
  ];
  for (const value of others) t.is(parseContentRange(value), null, value);
});

test('range: any interval survives writing and reading, any text does not throw', (t) => {
  const sizes = fc.tuple(fc.maxSafeNat(), fc.maxSafeNat(), fc.maxSafeNat());
  fc.assert(
    fc.property(sizes, fc.string(), (numbers, text) => {
      const [start, end, last] = numbers.toSorted((left, right) => left - right);
      const length = Math.min(last! + 1, Number.MAX_SAFE_INTEGER);
      if (end! >= length) return;
      t.deepEqual(parseContentRange(contentRange(start!, end!, length)), { start, end, length });
      t.notThrows(() => parseContentRange(text));
    }),
  );
});

const parts = (...pairs: [number, number][]) => ({
  kind: 'parts' as const,
  parts: pairs.map(([start, end]) => ({ start, end })),
});

test('range: several ranges keep the order of the request', (t) => {
  t.deepEqual(choose('bytes=0-0,2-2'), parts([0, 0], [2, 2]));
  t.deepEqual(choose('bytes=8-,0-1, -5'), parts([5, 9], [0, 1]));
  t.deepEqual(choose('bytes=-1,0-0'), parts([9, 9], [0, 0]));
});

test('range: those that overlap or touch are one, and one alone is a plain part', (t) => {
  t.deepEqual(choose('bytes=0-1,2-3'), part(0, 3));
  t.deepEqual(choose('bytes=5-9,0-5'), part(0, 9));
  t.deepEqual(choose('bytes=0-1,4-5,2-3,8-8'), parts([0, 5], [8, 8]));
});

test('range: what cannot be satisfied is left out, and all of it is unsatisfiable', (t) => {
  t.deepEqual(choose('bytes=10-,0-1'), part(0, 1));
  t.deepEqual(choose('bytes=10-,0-1,20-30,3-3'), parts([0, 1], [3, 3]));
  t.is(choose('bytes=10-,11-12,-0').kind, 'unsatisfiable');
});

test('range: too many, or the same bytes over and over, give the whole', (t) => {
  const set = (count: number) =>
    `bytes=${Array.from({ length: count }, (_, at) => `${2 * at}-${2 * at}`).join(',')}`;
  t.is(choose(set(32), 100).kind, 'parts');
  t.is(choose(set(33), 100).kind, 'whole');
  t.is(choose('bytes=0-5,1-2,3-4,9-9').kind, 'parts');
  t.is(choose('bytes=0-5,1-2,3-4,5-5,9-9').kind, 'whole');
});

test('range: those that share one byte overlap as well, whichever comes first', (t) => {
  t.is(choose('bytes=2-3,1-2,6-7,5-6,9-9,8-9').kind, 'whole');
  t.is(choose('bytes=1-2,2-3,5-6,6-7,8-9,9-9').kind, 'whole');
  t.is(choose('bytes0').kind, 'whole');
});

test('range: any set gives every byte asked for, once, and no other', (t) => {
  const byte = fc.nat({ max: 60 });
  const sets = fc.array(fc.tuple(byte, byte), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(sets, fc.integer({ min: 1, max: 50 }), (pairs, length) => {
      const members = pairs.map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`);
      const choice = choose(`bytes=${members.join(',')}`, length);
      const wanted = new Set<number>();
      for (const [a, b] of pairs) {
        for (let at = Math.min(a, b); at <= Math.max(a, b); at += 1)
          if (at < length) wanted.add(at);
      }
      if (choice.kind === 'whole') return;
      if (choice.kind === 'unsatisfiable') {
        t.is(wanted.size, 0);
        return;
      }
      const given: number[] = [];
      for (const { start, end } of choice.kind === 'part' ? [choice] : choice.parts) {
        for (let at = start; at <= end; at += 1) given.push(at);
      }
      t.deepEqual(
        [...given].sort((a, b) => a - b),
        [...wanted].sort((a, b) => a - b),
      );
    }),
  );
});
