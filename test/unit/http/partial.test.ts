// 206 responses as parts of a stored body: what may be kept, and what belongs together. Anything that is not
// said without doubt is no part.

import test from 'ava';
import { belongsTo, fieldsOfWhole, partOf } from '../../../ts/http/partial.js';

const part = ['Content-Range', 'bytes 2-5/10', 'ETag', '"a"', 'Content-Length', '4'];
const without = (name: string) =>
  part.filter((_, at) => part[at - (at % 2)]!.toLowerCase() !== name.toLowerCase());

test('partial: bytes, length and a strong tag make a part, the length of the message may lack', (t) => {
  const found = { start: 2, end: 6, length: 10 };
  t.deepEqual(partOf(part), found);
  t.deepEqual(partOf(without('Content-Length')), found);
});

test('partial: without one exact range nothing is a part', (t) => {
  t.is(partOf(without('Content-Range')), null);
  t.is(partOf([...part, 'content-range', 'bytes 2-5/10']), null);
  for (const range of ['bytes 2-5/*', 'bytes 5-2/10', 'bytes */10']) {
    t.is(partOf([...without('Content-Range'), 'Content-Range', range]), null, range);
  }
});

test('partial: without a strong tag nothing is a part', (t) => {
  t.is(partOf(without('ETag')), null);
  for (const tag of ['W/"a"', 'a', '']) {
    t.is(partOf([...without('ETag'), 'ETag', tag]), null, tag);
  }
});

test('partial: the message has as many bytes as its range, or it is none', (t) => {
  for (const size of ['3', '5', '04', '10', '']) {
    t.is(partOf([...without('Content-Length'), 'Content-Length', size]), null, size);
  }
});

const stored = { etag: '"a"', bodyLength: 10, fields: ['Content-Encoding', 'gzip'] };
const coded = [...part, 'Content-Encoding', 'gzip'];
const found = { start: 2, end: 6, length: 10 };

test('partial: tag, length and coding make parts of one version', (t) => {
  t.true(belongsTo(stored, coded, found));
  t.false(belongsTo({ ...stored, etag: '"b"' }, coded, found));
  t.false(belongsTo({ ...stored, etag: 'W/"a"' }, [...coded, 'ETag', 'W/"a"'], found));
  t.false(belongsTo({ ...stored, etag: '' }, [...without('ETag'), ...coded.slice(6)], found));
  t.false(belongsTo({ ...stored, bodyLength: 11 }, coded, found));
  t.false(belongsTo({ ...stored, bodyLength: null }, coded, found));
  t.false(belongsTo({ ...stored, fields: [] }, coded, found));
  t.false(belongsTo(stored, part, found));
});

test('partial: the whole has no range, and another length', (t) => {
  t.deepEqual(fieldsOfWhole(coded), ['ETag', '"a"', 'Content-Encoding', 'gzip']);
});
