// The flat field list: lookup without case, order and duplicates kept, list splitting that respects
// quotes. Random text is thrown at the readers, which must never throw back. Which fields are
// removed between hops is tested here too, since it works on the same lists.

import test from 'ava';
import fc from 'fast-check';
import {
  fieldLines,
  fieldValue,
  isToken,
  listMembers,
  type RawFields,
  withField,
  withoutField,
} from '../../../ts/http/fields.js';
import { withoutHopByHop, withoutNamed } from '../../../ts/http/hop-by-hop.js';

const vary: RawFields = ['Vary', 'Accept', 'X-Odd~Name', '\xe9', 'vARY', 'Origin'];

test('fields: names compare without case and lines keep their order', (t) => {
  t.deepEqual(fieldLines(vary, 'vary'), ['Accept', 'Origin']);
  t.deepEqual(fieldLines(vary, 'var'), []);
});

test('fields: several lines are one list, and none is undefined', (t) => {
  t.is(fieldValue(vary, 'vary'), 'Accept, Origin');
  t.is(fieldValue(vary, 'etag'), undefined);
  t.is(fieldValue(['ETag', ''], 'etag'), '');
});

test('fields: octets above 0x7f and odd names come back unchanged', (t) => {
  t.is(fieldValue(vary, 'x-odd~name'), '\xe9');
});

test('fields: list members are split outside of quotes and empty ones skipped', (t) => {
  t.deepEqual(listMembers(' a,, b ,\t"c, d",e="f\\", g" ,'), ['a', 'b', '"c, d"', 'e="f\\", g"']);
  t.deepEqual(listMembers(''), []);
});

test('fields: a quote that is never closed takes the rest into one member', (t) => {
  t.deepEqual(listMembers('a, b="c, d, e'), ['a', 'b="c, d, e']);
  t.deepEqual(listMembers('a, "b\\'), ['a', '"b\\']);
});

test('fields: a no-break space is not white space', (t) => {
  t.deepEqual(listMembers(' \xa0a , b\xa0'), ['\xa0a', 'b\xa0']);
});

test('fields: withField replaces every line at the place of the first', (t) => {
  t.deepEqual(withField(vary, 'Vary', '*'), ['Vary', '*', 'X-Odd~Name', '\xe9']);
});

test('fields: withField appends where there was no line', (t) => {
  t.deepEqual(withField(['A', '1'], 'Age', '5'), ['A', '1', 'Age', '5']);
});

test('fields: tokens have no blanks, separators or high octets', (t) => {
  t.true(isToken("a!#$%&'*+-.^_`|~9Z"));
  for (const text of ['', 'a b', 'a,b', 'a;b', '"a"', 'a=b', '\xe9', 'a\n']) t.false(isToken(text));
});

test('fields: splitting any text never throws and loses only commas and blanks', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary-ascii' }), (text) => {
      const rest = listMembers(text)
        .join('')
        .replace(/[\t ,]/g, '');
      return rest === text.replace(/[\t ,]/g, '');
    }),
  );
  t.pass();
});

test('fields: tokens joined by commas come apart as they went in', (t) => {
  const token = fc.stringMatching(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/);
  fc.assert(
    fc.property(fc.array(token), (tokens) => {
      t.deepEqual(listMembers(tokens.join(' ,\t')), tokens);
    }),
  );
});

test('hop-by-hop: connection fields are removed, whatever their case', (t) => {
  const names = [
    'Connection',
    'Keep-Alive',
    'Proxy-Connection',
    'TE',
    'Transfer-Encoding',
    'UPGRADE',
    'trailer',
    'Proxy-Authenticate',
    'Proxy-Authentication-Info',
    'Proxy-Authorization',
  ];
  for (const name of names) t.deepEqual(withoutHopByHop([name, 'x', 'A', '1']), ['A', '1'], name);
});

test('hop-by-hop: a name listed in any Connection line removes that field', (t) => {
  const fields = [
    'X-A',
    '1',
    'Connection',
    'close, x-B',
    'X-b',
    '2',
    'connection',
    '\tX-C ,',
    'X-C',
    '3',
  ];
  t.deepEqual(withoutHopByHop(fields), ['X-A', '1']);
});

test('hop-by-hop: quotes in Connection do not hide a name', (t) => {
  t.deepEqual(withoutHopByHop(['Connection', '"a, x-b, c', 'X-B', '1']), []);
});

test('hop-by-hop: Connection cannot strip what framing, routing and caching need', (t) => {
  const names = (
    'Accept-Ranges Age Authorization Cache-Control Cache-Status CDN-Cache-Control CDN-Loop ' +
    'Content-Encoding Content-Length Content-Location Content-Range Content-Type Cookie Date ETag ' +
    'Expires Host If-Match If-Modified-Since If-None-Match If-Range If-Unmodified-Since ' +
    'Last-Modified Location Max-Forwards Pragma Proxy-Status Range Set-Cookie Surrogate-Control ' +
    'Vary Via'
  ).split(' ');
  for (const name of names) {
    t.deepEqual(withoutHopByHop(['Connection', name, name, 'x']), [name, 'x']);
  }
});

test('hop-by-hop: everything else stays in order, unknown and repeated fields included', (t) => {
  const fields = [
    'Set-Cookie',
    'a=1',
    'X-Unknown',
    '\xff',
    'Set-Cookie',
    'b=2',
    'Warning',
    '199 -',
  ];
  t.deepEqual(withoutHopByHop(fields), fields);
});

test('hop-by-hop: what Connection names is away, and what belongs to each hop is still there', (t) => {
  const fields = ['Connection', 'close, X-A,', 'x-a', '1', 'X-B', '2', 'TE', 'trailers'];
  t.deepEqual(withoutNamed(fields), ['Connection', 'close, X-A,', 'X-B', '2', 'TE', 'trailers']);
  const plain = ['Connection', 'keep-alive, close, TE, Host, cdn-cache-control', 'X-A', '1'];
  t.is(withoutNamed(plain), plain, 'the very same where there is nothing to take');
});

test('fields: every line of a name is taken out, in any case', (t) => {
  t.deepEqual(withoutField(['A', '1', 'b', '2', 'a', '3', 'ab', '4'], 'a'), ['b', '2', 'ab', '4']);
});
