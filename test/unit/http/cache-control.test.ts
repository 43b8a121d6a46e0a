// Directives of Cache-Control, Pragma and targeted fields. The theme: a number that is not plainly
// a number is no lifetime, words inside quotes are data, and unreadable text may forbid but never
// allow.

import test from 'ava';
import fc from 'fast-check';
import {
  parseCacheControl,
  parseTargeted,
  requestDirectives,
} from '../../../ts/http/cache-control.js';

const names = ['CDN-Cache-Control'];
const targeted = (value: string) => parseTargeted(['cdn-cache-control', value], names);

test('cache-control: names compare without case', (t) => {
  const directives = parseCacheControl('No-Store, MAX-AGE=5');
  t.true(directives.has('no-store'));
  t.is(directives.seconds('max-age'), 5);
  t.false(directives.has('private'));
  t.is(directives.seconds('s-maxage'), undefined);
});

test('cache-control: no field means no directive', (t) => {
  t.false(parseCacheControl(undefined).has('no-store'));
  t.false(parseCacheControl('').has(''));
  t.is(parseCacheControl('').allows('public'), false);
  t.deepEqual(parseCacheControl('').all('max-stale'), []);
});

test('cache-control: arguments may be tokens or quoted, with escapes undone', (t) => {
  t.is(parseCacheControl('max-age="10"').seconds('max-age'), 10);
  t.is(parseCacheControl('max-age="1\\0"').seconds('max-age'), 10);
  t.deepEqual(parseCacheControl('private="a, \\"b"').all('private'), ['a, "b']);
  t.deepEqual(parseCacheControl('private').all('private'), [true]);
});

test('cache-control: commas, equals signs and directive names in quotes are data', (t) => {
  const directives = parseCacheControl('foo="no-store, max-age=60, private=x", max-age=5');
  t.false(directives.has('no-store'));
  t.false(directives.has('private'));
  t.is(directives.seconds('max-age'), 5);
});

test('cache-control: unknown directives change nothing', (t) => {
  const directives = parseCacheControl('foo, bar=baz, qux="1", x-no-store, max-age=7, , ');
  t.is(directives.seconds('max-age'), 7);
  t.false(directives.has('no-store'));
});

test('cache-control: leading zeros count, and a huge number counts as 2^31', (t) => {
  t.is(parseCacheControl('max-age=0007').seconds('max-age'), 7);
  t.is(parseCacheControl('max-age=2147483649').seconds('max-age'), 2 ** 31);
  t.is(parseCacheControl(`max-age=${'9'.repeat(500)}`).seconds('max-age'), 2 ** 31);
});

const invalidAges = [
  'max-age',
  'max-age=',
  'max-age=""',
  'max-age=-1',
  'max-age=+1',
  'max-age=1.5',
  'max-age=1s',
  'max-age=a',
  "max-age='10'",
  'max-age= 10',
  'max-age =10',
  'max-age = 10',
  'max-age=" 10"',
  'max-age=10 20',
  'max-age=1e3',
  'max-age=0x10',
  'max-age=10; foo',
  'max-age="10',
  'max-age=\xb2',
];

test('cache-control: a number that is not plainly one is no lifetime', (t) => {
  for (const value of invalidAges) {
    t.is(parseCacheControl(value).seconds('max-age'), 'invalid', JSON.stringify(value));
  }
});

test('cache-control: the smallest of several lifetimes counts, an invalid one spoils all', (t) => {
  t.is(parseCacheControl('max-age=60, max-age=5, max-age=9').seconds('max-age'), 5);
  t.is(parseCacheControl('max-age=60, max-age=x').seconds('max-age'), 'invalid');
});

test('cache-control: restrictive directives restrict whatever their argument is', (t) => {
  for (const value of ['no-store=x', 'no-store=', 'no-store="', 'no-store =x', 'foo; no-store']) {
    t.true(parseCacheControl(value).has('no-store'), value);
  }
  t.true(parseCacheControl('private=').has('private'));
  t.true(parseCacheControl('no-cache="a').has('no-cache'));
});

test('cache-control: behind an unclosed quote words restrict and never permit', (t) => {
  const directives = parseCacheControl('foo="bar, no-store, public, max-age=60, must-revalidate');
  t.true(directives.has('no-store'));
  t.false(directives.has('public'));
  t.is(directives.seconds('max-age'), 'invalid');
  t.true(directives.has('must-revalidate'));
  t.false(directives.allows('must-revalidate'));
});

test('cache-control: what is read without doubt permits', (t) => {
  t.true(parseCacheControl('must-revalidate').allows('must-revalidate'));
  t.true(parseCacheControl('public=x').allows('public'));
});

test('cache-control: Pragma no-cache counts only without Cache-Control', (t) => {
  t.true(requestDirectives(['Pragma', 'foo, No-Cache']).has('no-cache'));
  t.false(requestDirectives(['Pragma', 'no-cache', 'Cache-Control', 'foo']).has('no-cache'));
  t.false(requestDirectives(['Pragma', 'no-store']).has('no-store'));
});

test('cache-control: lines of a request are one list', (t) => {
  const directives = requestDirectives(['Cache-Control', 'max-age=1', 'cache-control', 'no-store']);
  t.true(directives.has('no-store'));
  t.is(directives.seconds('max-age'), 1);
});

test('targeted: the first present, filled and valid field governs', (t) => {
  const order = ['Edge-Control', 'CDN-Cache-Control'];
  const fields = ['CDN-Cache-Control', 'max-age=5', 'Edge-Control', 'max-age=9'];
  t.is(parseTargeted(fields, order)?.seconds('max-age'), 9);
  t.is(parseTargeted(['Edge-Control', '', ...fields.slice(0, 2)], order)?.seconds('max-age'), 5);
  t.is(parseTargeted(['Edge-Control', 'a b', ...fields.slice(0, 2)], order)?.seconds('max-age'), 5);
  t.is(parseTargeted(fields, []), null);
  t.is(parseTargeted(['Cache-Control', 'max-age=5'], order), null);
});

test('targeted: a field that is not a dictionary is ignored as a whole', (t) => {
  const broken = [
    'MAX-AGE=5',
    'max-age =5',
    'max-age= 5',
    'max-age=5, ',
    'max-age=5;;',
    'max-age="5',
    'max-age=5 no-store',
    'max-age=60+30',
    'no-store, \xe9',
    'max-age=9999999999999999',
    ' ',
  ];
  for (const value of broken) t.is(targeted(value), null, value);
});

test('targeted: parameters are ignored and the last of equal keys wins', (t) => {
  t.is(targeted('max-age=5;foo=bar, private=?1;a="b, c"')?.seconds('max-age'), 5);
  t.is(targeted('max-age=5, max-age=60')?.seconds('max-age'), 60);
  t.is(targeted('max-age=60, max-age')?.seconds('max-age'), 'invalid');
});

test('targeted: lifetimes are integers only, and large ones work', (t) => {
  t.is(targeted('max-age=999999999999999')?.seconds('max-age'), 2 ** 31);
  const others = ['"60"', '60.0', '-60', 'sixty', '?1', '(60)', ':NjA=:', '@60'];
  for (const value of others) {
    t.is(targeted(`max-age=${value}`)?.seconds('max-age'), 'invalid', value);
  }
});

test('targeted: lines are joined before they are parsed', (t) => {
  const fields = ['CDN-Cache-Control', 'max-age=5', 'cdn-cache-control', 'no-store'];
  t.true(parseTargeted(fields, names)?.has('no-store'));
});

test('targeted: false withdraws a permission but not a restriction', (t) => {
  t.false(targeted('public=?0, a')?.has('public'));
  t.true(targeted('no-store=?0')?.has('no-store'));
  t.true(targeted('must-revalidate=?0')?.has('must-revalidate'));
  t.false(targeted('must-revalidate=?0')?.allows('must-revalidate'));
  t.true(targeted('public=?1')?.allows('public'));
  t.deepEqual(targeted('private, public=?1')?.all('private'), [true]);
});

test('cache-control: any text is read without throwing, and no lifetime exceeds 2^31', (t) => {
  const pieces = fc.constantFrom(
    'max-age',
    's-maxage',
    '=',
    ',',
    '"',
    '\\',
    ' ',
    '7',
    '-',
    ';',
    '?0',
    '\xe9',
  );
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(pieces).map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(text, (value) => {
      for (const directives of [parseCacheControl(value), targeted(value)]) {
        const seconds = directives?.seconds('max-age');
        t.true(typeof seconds !== 'number' || (seconds >= 0 && seconds <= 2 ** 31));
      }
    }),
    { numRuns: 2000 },
  );
});

test('cache-control: no-store among readable members is always found', (t) => {
  const member = fc.constantFrom('a', 'b=1', 'c="d, e"', 'max-age=5', 'f="\\""', 'g=', 'h i', ';');
  fc.assert(
    fc.property(fc.array(member), fc.array(member), (before, after) => {
      t.true(parseCacheControl([...before, 'no-store', ...after].join(',')).has('no-store'));
    }),
  );
});
