// Fields behind a chunked body are taken out, wherever the reads part the bytes, and nothing else is touched.

import { Buffer } from 'node:buffer';
import test from 'ava';
import fc from 'fast-check';
import { TrailerFilter } from '../../../ts/upstream/trailers.js';

/** What the parser gets of a body that comes in reads of that many bytes. */
function passed(text: string, readBytes = text.length): string {
  const filter = new TrailerFilter();
  const bytes = Buffer.from(text, 'latin1');
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += readBytes) {
    parts.push(Buffer.from(filter.pass(bytes.subarray(at, at + readBytes))));
  }
  return Buffer.concat(parts).toString('latin1');
}

const chunks = '3\r\none\r\nA;x="y"\r\n0123456789\r\n000\r\n';

test('trailers: fields behind the last chunk are taken out, however the reads part them', (t) => {
  const text = `${chunks}Content-Length: 5\r\nX-T: 1, 2\r\n`;
  for (let size = 1; size <= text.length + 2; size += 1) {
    t.is(passed(`${text}\r\n`, size), `${chunks}\r\n`, `${size}`);
  }
});

test('trailers: a body without them is the very same memory', (t) => {
  const whole = Buffer.from(`${chunks}\r\n`, 'latin1');
  const filter = new TrailerFilter();
  t.is(filter.pass(whole), whole);
  t.true(filter.isOver);
  const more = Buffer.from('HTTP/1.1 200 OK');
  t.is(filter.pass(more), more);
});

test('trailers: what is in a chunk is data, whatever it looks like', (t) => {
  const data = '0\r\nContent-Length: 5\r\n\r\n';
  const text = `${data.length.toString(16)}\r\n${data}\r\n0\r\n\r\n`;
  for (const size of [1, 7, text.length]) t.is(passed(text, size), text);
});

test('trailers: what is malformed is left for the parser to judge', (t) => {
  for (const bad of [
    '0\r\nno field\r\n\r\n',
    '0\r\nX-A: 1\nX-B: 2\r\n\r\n',
    '0\r\nX-A : 1\r\n\r\n',
    '0\r\n X-A: 1\r\n\r\n',
    '0\r\nX-A: \0\r\n\r\n',
    '0x3\r\none\r\n0\r\nX-A: 1\r\n\r\n',
    '-3\r\none\r\n0\r\nX-A: 1\r\n\r\n',
    `${'f'.repeat(17)}\r\none\r\n0\r\nX-A: 1\r\n\r\n`,
    `0\r\n${'X-A: 1\r\n'.repeat(5000)}\r\n`,
  ]) {
    t.is(passed(bad), bad, bad.slice(0, 40));
    t.is(passed(bad, 4000), bad, bad.slice(0, 40));
  }
});

test('trailers: any chunks and any fields give the chunks alone, in reads of any size', (t) => {
  const data = fc.array(fc.string({ unit: 'binary-ascii', minLength: 1 }));
  const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/);
  const fields = fc.array(fc.tuple(token, fc.stringMatching(/^[ -~\t]*$/)));
  fc.assert(
    fc.property(data, fields, fc.integer({ min: 1, max: 64 }), (parts, lines, size) => {
      const body = parts.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join('');
      const behind = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
      t.is(passed(`${body}0\r\n${behind}\r\n`, size), `${body}0\r\n\r\n`);
    }),
  );
});
