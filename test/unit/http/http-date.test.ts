// HTTP dates: the three formats that are accepted, and the many near misses that are not. Every
// accepted date is given together with its Unix time, worked out apart from the parser.
// The time that is passed in only matters for two-digit years.

import test from 'ava';
import fc from 'fast-check';
import { formatHttpDate, parseHttpDate } from '../../../ts/http/http-date.js';

const nowMs = Date.UTC(2026, 10, 24);
const example = Date.UTC(1994, 10, 6, 8, 49, 37) / 1000;
const parse = (text: string) => parseHttpDate(text, nowMs);

test('http-date: the three formats mean the same instant', (t) => {
  t.is(parse('Sun, 06 Nov 1994 08:49:37 GMT'), example);
  t.is(parse('Sunday, 06-Nov-94 08:49:37 GMT'), example);
  t.is(parse('Sun Nov  6 08:49:37 1994'), example);
  t.is(parse('Sun Nov 16 08:49:37 1994'), example + 10 * 86400);
});

test('http-date: the case of day, month and zone does not matter', (t) => {
  t.is(parse('sUN, 06 nOV 1994 08:49:37 gmt'), example);
  t.is(parse('SUNDAY, 06-NOV-94 08:49:37 GMT'), example);
  t.is(parse('sun nov  6 08:49:37 1994'), example);
});

test('http-date: dates beyond 2038 and before 1970 work', (t) => {
  t.is(parse('Thu, 18 Aug 2050 02:01:18 GMT'), Date.UTC(2050, 7, 18, 2, 1, 18) / 1000);
  t.is(parse('Fri, 31 Dec 9999 23:59:59 GMT'), Date.UTC(9999, 11, 31, 23, 59, 59) / 1000);
  t.is(parse('Wed, 31 Dec 1969 23:59:59 GMT'), -1);
  t.is(parse('Sat, 01 Jan 0050 00:00:00 GMT'), -60589296000);
});

test('http-date: a two-digit year more than 50 years ahead is a past one', (t) => {
  const yearOf = (text: string, now: number) => {
    const seconds = parseHttpDate(text, now);
    return seconds === null ? null : new Date(seconds * 1000).getUTCFullYear();
  };
  t.is(yearOf('Monday, 01-Jan-76 00:00:00 GMT', nowMs), 2076);
  t.is(yearOf('Friday, 25-Dec-76 00:00:00 GMT', nowMs), 1976);
  t.is(yearOf('Wednesday, 01-Jan-76 00:00:00 GMT', Date.UTC(2026, 0, 1)), 2076);
  t.is(yearOf('Monday, 01-Jan-99 00:00:00 GMT', nowMs), 1999);
  t.is(yearOf('Monday, 01-Jan-26 00:00:00 GMT', nowMs), 2026);
  t.is(yearOf('Monday, 01-Jan-05 00:00:00 GMT', Date.UTC(2095, 0, 1)), 2105);
});

test('http-date: days that do not exist are invalid', (t) => {
  for (const day of ['31 Apr 2025', '29 Feb 2025', '29 Feb 2100', '00 Jan 2025', '32 Jan 2025']) {
    t.is(parse(`Mon, ${day} 00:00:00 GMT`), null, day);
  }
  t.is(parse('Thu, 29 Feb 2024 00:00:00 GMT'), Date.UTC(2024, 1, 29) / 1000);
});

test('http-date: times that do not exist are invalid, except a leap second', (t) => {
  for (const time of ['24:00:00', '12:60:00', '12:00:61']) {
    t.is(parse(`Sun, 06 Nov 1994 ${time} GMT`), null, time);
  }
  t.is(parse('Sat, 31 Dec 2016 23:59:60 GMT'), Date.UTC(2017, 0, 1) / 1000);
});

const invalid = [
  '',
  '0',
  '-1',
  '784111777',
  'Sun, 06 Nov 1994 08:49:37',
  'Sun, 06 Nov 1994 08:49:37 UTC',
  'Sun, 06 Nov 1994 08:49:37 EST',
  'Sun, 06 Nov 1994 08:49:37 +0000',
  'Sun 06 Nov 1994 08:49:37 GMT',
  'Sun,  06 Nov 1994 08:49:37 GMT',
  'Sun, 06  Nov 1994 08:49:37 GMT',
  'Sun, 6 Nov 1994 08:49:37 GMT',
  'Sun, 06-Nov-1994 08:49:37 GMT',
  'Sun, 06 Nov 94 08:49:37 GMT',
  'Sun, 06 Nov 1994 8:49:37 GMT',
  'Sun, 06 Nov 1994 08.49.37 GMT',
  'Sun, 06 Nov 1994 08:49 GMT',
  'Sun, 06 November 1994 08:49:37 GMT',
  'Xxx, 06 Nov 1994 08:49:37 GMT',
  'Sun, 06-Nov-94 08:49:37 GMT',
  'Sunday, 06 Nov 94 08:49:37 GMT',
  'Sun Nov 6 08:49:37 1994',
  'Sun Nov  6 08:49:37 1994 GMT',
  'Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT',
  ' Sun, 06 Nov 1994 08:49:37 GMT',
  'Sun, 06 Nov 1994 08:49:37 GMT\n',
  '1994-11-06T08:49:37Z',
];

test('http-date: everything that differs from the three formats is invalid', (t) => {
  for (const text of invalid) t.is(parse(text), null, JSON.stringify(text));
});

test('http-date: what is formatted is read back', (t) => {
  t.is(formatHttpDate(example), 'Sun, 06 Nov 1994 08:49:37 GMT');
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 253_402_300_799 }), (unixS) => {
      t.is(parse(formatHttpDate(unixS)), unixS);
    }),
  );
});

test('http-date: any text gives whole seconds or null', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const seconds = parse(text);
      t.true(seconds === null || Number.isInteger(seconds));
    }),
  );
});
