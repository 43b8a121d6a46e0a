// The texts between the parts of a multipart/byteranges body, byte for byte, and their length.

import test from 'ava';
import { multipartOf } from '../../../ts/http/multipart.js';

const parts = [
  { start: 0, end: 0 },
  { start: 4, end: 9 },
];

test('multipart: each part has its range and the type of the whole', (t) => {
  const { heads, tail, length, contentType } = multipartOf(parts, 20, 'text/plain', 'B');
  t.is(contentType, 'multipart/byteranges; boundary=B');
  t.deepEqual(heads.map(String), [
    '--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-0/20\r\n\r\n',
    '\r\n--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 4-9/20\r\n\r\n',
  ]);
  t.is(String(tail), '\r\n--B--\r\n');
  t.is(length, heads[0]!.length + heads[1]!.length + tail.length + 7);
});

test('multipart: where the whole has no type, no part has one', (t) => {
  const { heads } = multipartOf(parts, 20, undefined, 'B');
  t.deepEqual(heads.map(String), [
    '--B\r\nContent-Range: bytes 0-0/20\r\n\r\n',
    '\r\n--B\r\nContent-Range: bytes 4-9/20\r\n\r\n',
  ]);
});
