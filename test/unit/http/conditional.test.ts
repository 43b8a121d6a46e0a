// Conditional requests in both directions, entity tags, and what a 304 does to the stored fields.
// Tags are opaque bytes: the tests use the odd ones that origins send.
// The tests of merging are here because tags decide about both.

import test from 'ava';
import fc from 'fast-check';
import {
  hasCondition,
  hasOriginPrecondition,
  notModified,
  notModifiedFields,
  validationFields,
} from '../../../ts/http/conditional.js';
import {
  isStrongMatch,
  isStrongTag,
  responseTag,
  tagMembers,
} from '../../../ts/http/entity-tag.js';
import { formatHttpDate } from '../../../ts/http/http-date.js';
import { contradicts, matchesStored, mergeNotModified } from '../../../ts/http/merge.js';

const nowMs = Date.UTC(2026, 10, 24);
const modifiedS = Date.UTC(2026, 0, 1) / 1000;
const dateS = Date.UTC(2026, 5, 1) / 1000;
const stored = { etag: '"a"', lastModifiedS: modifiedS, dateS };

const noneMatch = (value: string, etag = '"a"') =>
  notModified({ method: 'GET', fields: ['If-None-Match', value] }, { ...stored, etag }, nowMs);
const since = (value: string, lastModifiedS: number | null = modifiedS) =>
  notModified(
    { method: 'GET', fields: ['If-Modified-Since', value] },
    { ...stored, lastModifiedS },
    nowMs,
  );

test('conditional: a star matches whatever is stored', (t) => {
  t.true(noneMatch('*'));
  t.true(noneMatch('*', ''));
  t.false(noneMatch('"b", *'));
});

test('conditional: any listed tag that matches weakly is enough', (t) => {
  t.true(noneMatch('"a"'));
  t.true(noneMatch('"x", W/"a" ,"y"'));
  t.true(noneMatch('"a"', 'W/"a"'));
  t.true(noneMatch('W/"a"', 'W/"a"'));
  t.false(noneMatch('"b", "aa"'));
  t.false(noneMatch(''));
});

test('conditional: tags on several lines are one list', (t) => {
  const fields = ['If-None-Match', '"x"', 'if-none-match', '"a"'];
  t.true(notModified({ method: 'GET', fields }, stored, nowMs));
});

test('conditional: the weakness prefix is a capital W', (t) => {
  t.false(noneMatch('w/"a"'));
});

test('conditional: an unquoted tag matches only itself', (t) => {
  t.false(noneMatch('a'));
  t.false(noneMatch('"a"', 'a'));
  t.true(noneMatch('a', 'a'));
});

test('conditional: nothing but a star matches a response without a tag', (t) => {
  t.false(noneMatch('"a"', ''));
  t.false(noneMatch('""', ''));
  t.false(noneMatch('W/', ''));
});

test('conditional: commas, backslashes and high octets in a tag are ordinary characters', (t) => {
  for (const tag of ['"a, b"', '"\\"', '"\xff"', '""'])
    t.true(noneMatch(`"x", ${tag}, "y"`, tag), tag);
});

test('conditional: If-None-Match hides If-Modified-Since also where it does not match', (t) => {
  const fields = ['If-None-Match', '"b"', 'If-Modified-Since', formatHttpDate(dateS)];
  t.false(notModified({ method: 'GET', fields }, stored, nowMs));
});

test('conditional: a date not before Last-Modified is enough', (t) => {
  t.true(since(formatHttpDate(modifiedS)));
  t.true(since(formatHttpDate(modifiedS + 1)));
  t.false(since(formatHttpDate(modifiedS - 1)));
  t.true(since('Thursday, 01-Jan-26 00:00:00 GMT'));
});

test('conditional: without Last-Modified the date of the response is compared', (t) => {
  t.true(since(formatHttpDate(dateS), null));
  t.false(since(formatHttpDate(dateS - 1), null));
});

test('conditional: an invalid or repeated date is ignored', (t) => {
  t.false(since('2026-11-24'));
  const fields = ['If-Modified-Since', formatHttpDate(dateS)];
  t.false(notModified({ method: 'GET', fields: [...fields, ...fields] }, stored, nowMs));
});

test('conditional: only GET and HEAD are answered, and only conditions', (t) => {
  const fields = ['If-None-Match', '*'];
  t.true(notModified({ method: 'HEAD', fields }, stored, nowMs));
  t.false(notModified({ method: 'POST', fields }, stored, nowMs));
  t.false(notModified({ method: 'GET', fields: [] }, stored, nowMs));
});

test('conditional: If-Match and If-Unmodified-Since are for the origin', (t) => {
  t.true(hasOriginPrecondition(['IF-MATCH', '*']));
  t.true(hasOriginPrecondition(['If-Unmodified-Since', '']));
  t.false(
    hasOriginPrecondition(['If-None-Match', '*', 'If-Modified-Since', 'x', 'If-Range', '"a"']),
  );
});

test('conditional: our validation repeats both validators byte for byte', (t) => {
  const fields = ['Last-Modified', 'Thursday, 01-Jan-26 00:00:00 GMT'];
  t.deepEqual(validationFields({ etag: 'W/"\xe9', fields }), [
    'If-None-Match',
    'W/"\xe9',
    'If-Modified-Since',
    'Thursday, 01-Jan-26 00:00:00 GMT',
  ]);
  t.deepEqual(validationFields({ etag: '', fields }).slice(0, 1), ['If-Modified-Since']);
  t.deepEqual(validationFields({ etag: '', fields: [...fields, ...fields] }), []);
});

test('conditional: a 304 keeps what caches and browsers need, and not the body fields', (t) => {
  const fields = [
    'Content-Type',
    'text/plain',
    'Content-Length',
    '5',
    'ETag',
    '"a"',
    'Date',
    'd',
    'Vary',
    'Origin',
    'Cache-Control',
    'max-age=5',
    'CDN-Cache-Control',
    'max-age=9',
    'Expires',
    'e',
    'Content-Location',
    '/x',
    'Last-Modified',
    'l',
    'Access-Control-Allow-Origin',
    '*',
    'Cross-Origin-Resource-Policy',
    'same-origin',
    'Timing-Allow-Origin',
    '*',
    'Age',
    '1',
    'Cache-Status',
    'inner; hit',
    'Via',
    '1.1 inner',
    'Set-Cookie',
    'a=1',
    'Content-Encoding',
    'gzip',
  ];
  const names = notModifiedFields(fields).filter((_, i) => i % 2 === 0);
  t.deepEqual(names, [
    'ETag',
    'Date',
    'Vary',
    'Cache-Control',
    'CDN-Cache-Control',
    'Expires',
    'Content-Location',
    'Access-Control-Allow-Origin',
    'Cross-Origin-Resource-Policy',
    'Timing-Allow-Origin',
    'Age',
    'Cache-Status',
    'Via',
  ]);
});

test('conditional: a 304 without a tag keeps Last-Modified', (t) => {
  t.deepEqual(notModifiedFields(['Last-Modified', 'l', 'Server', 's']), ['Last-Modified', 'l']);
});

test('entity-tag: only one line in quotes without W/ is strong', (t) => {
  t.is(responseTag(['ETag', ' W/"a"\t']), 'W/"a"');
  t.is(responseTag(['ETag', '"a"', 'ETag', '"b"']), '');
  t.true(isStrongTag('""'));
  for (const tag of ['', '"', 'a', 'W/"a"', '"a"b"', '"a']) t.false(isStrongTag(tag), tag);
  t.false(isStrongMatch('a', 'a'));
});

test('entity-tag: splitting any text never throws', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary-ascii' }), (text) => {
      for (const tag of tagMembers(text)) t.true(tag.length > 0 && text.includes(tag));
    }),
  );
});

test('entity-tag: quoted tags joined by commas come apart as they went in', (t) => {
  const tag = fc.stringMatching(/^(W\/)?"[!#-~]*"$/);
  fc.assert(
    fc.property(fc.array(tag), (tags) => {
      t.deepEqual(tagMembers(tags.join(', ')), tags);
    }),
  );
});

test('merge: fields of the 304 replace, add, and leave the rest alone', (t) => {
  const before = ['X-A', '1', 'X-B', '2', 'X-B', '3', 'Content-Type', 'text/plain'];
  const after = mergeNotModified(before, ['x-b', '4', 'X-New', '5', 'Cache-Control', 'no-store']);
  t.deepEqual(after, [
    'X-A',
    '1',
    'Content-Type',
    'text/plain',
    'x-b',
    '4',
    'X-New',
    '5',
    'Cache-Control',
    'no-store',
  ]);
});

test('merge: fields that describe the stored body are not replaced', (t) => {
  const before = ['Content-Length', '5', 'Content-Encoding', 'gzip'];
  const answer = ['Content-Length', '0', 'Content-Encoding', 'br', 'Content-Range', 'bytes 0-1/2'];
  t.deepEqual(mergeNotModified(before, answer), before);
});

test('merge: hop-by-hop fields of the 304 do not get in', (t) => {
  const answer = ['Connection', 'x-a', 'X-A', '1', 'Transfer-Encoding', 'chunked', 'X-B', '2'];
  t.deepEqual(mergeNotModified([], answer), ['X-B', '2']);
});

test('merge: the age starts anew even if the 304 has neither Age nor Date', (t) => {
  t.deepEqual(mergeNotModified(['Age', '100', 'Date', 'd', 'ETag', '"a"'], []), ['ETag', '"a"']);
  t.deepEqual(mergeNotModified(['Age', '100'], ['Age', '3']), ['Age', '3']);
});

const matches = (answer: string[], etag = '"a"', lastModifiedS: number | null = modifiedS) =>
  matchesStored({ etag, lastModifiedS }, answer, nowMs);

test('merge: a strong tag in the 304 must be the stored one, strong as well', (t) => {
  t.true(matches(['ETag', '"a"']));
  t.false(matches(['ETag', '"b"']));
  t.false(matches(['ETag', '"a"'], 'W/"a"'));
  t.false(matches(['ETag', '"b"', 'Last-Modified', formatHttpDate(modifiedS)]));
});

test('merge: a weak tag in the 304 matches weakly', (t) => {
  t.true(matches(['ETag', 'W/"a"']));
  t.true(matches(['ETag', 'W/"a"'], 'W/"a"'));
  t.false(matches(['ETag', 'W/"b"']));
});

test('merge: without a tag the dates are compared', (t) => {
  t.true(matches(['Last-Modified', formatHttpDate(modifiedS)]));
  t.false(matches(['Last-Modified', formatHttpDate(modifiedS + 1)]));
  t.false(matches(['Last-Modified', formatHttpDate(modifiedS)], '"a"', null));
});

test('merge: a 304 without validators speaks of the one that was asked for', (t) => {
  t.true(matches([]));
  t.true(matches([], '', null));
});

test('merge: a tag that the stored response lacks needs the date to agree', (t) => {
  t.true(matches(['ETag', '"n"', 'Last-Modified', formatHttpDate(modifiedS)], ''));
  t.false(matches(['ETag', '"n"'], ''));
  t.false(matches(['ETag', '"a"', 'ETag', '"b"']));
  t.true(matches(['ETag', 'odd'], 'odd'));
});

test('merge: a HEAD contradicts what is stored by each field that differs, not by one it lacks', (t) => {
  const stored = { etag: '"a"', lastModifiedS: modifiedS, bodyLength: 9 };
  const against = (...answer: string[]) => contradicts(stored, answer, nowMs);
  t.false(against());
  t.false(
    against('ETag', '"a"', 'Last-Modified', formatHttpDate(modifiedS), 'Content-Length', '9'),
  );
  t.true(against('ETag', 'W/"a"'));
  t.true(against('ETag', '"a"', 'ETag', '"a"'));
  t.true(against('Last-Modified', formatHttpDate(modifiedS - 1)));
  t.true(against('Last-Modified', 'yesterday'));
  t.true(against('Content-Length', '10'));
  t.true(contradicts({ ...stored, bodyLength: null }, ['Content-Length', '9'], nowMs));
});

test('conditional: only If-None-Match and If-Modified-Since make a 304 an answer', (t) => {
  t.true(hasCondition(['IF-NONE-MATCH', '*']));
  t.true(hasCondition(['If-Modified-Since', '']));
  t.false(hasCondition(['If-Match', '*', 'If-Range', '"a"', 'Range', 'bytes=0-1']));
});
