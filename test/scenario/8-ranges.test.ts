// Section 8 of the clauses: parts of responses, asked for, sent and received, and responses that end early.

import { gate, until } from '../support/until.js';
import { answer, bytes, head, type Stage, scenario } from './language/scenario.js';

const digits = '0123456789';
const fresh = 'Cache-Control: max-age=60';
const tagged = [fresh, 'ETag: "v1"'];

async function stored({ origin, client }: Stage, ...more: readonly string[]): Promise<void> {
  origin.plays(answer([...tagged, ...more], digits));
  await client.get('/a').gives({ body: digits });
}

const part = (body: string, range: string) => ({
  status: 206,
  body,
  cache: 'HIT' as const,
  fields: { 'Content-Range': `bytes ${range}/10`, 'Content-Length': `${body.length}` },
});

scenario('8.1a a stored 200 answers a range of its bytes', async (s) => {
  await stored(s, 'X-Own: 1', 'Content-Type: text/plain');
  for (const [range, body, sent] of [
    ['0-0', '0', '0-0'],
    ['2-4', '234', '2-4'],
    ['7-', '789', '7-9'],
    ['7-9', '789', '7-9'],
    ['7-99', '789', '7-9'],
    ['0-99999999999999999999', digits, '0-9'],
    ['-3', '789', '7-9'],
    ['-10', digits, '0-9'],
    ['-99', digits, '0-9'],
    ['-99999999999999999999', digits, '0-9'],
    ['002-0004', '234', '2-4'],
  ] as const) {
    await s.client.get('/a', `Range: bytes=${range}`).gives(part(body, sent));
  }
  const fields = { 'X-Own': '1', 'Content-Type': 'text/plain', ETag: '"v1"' };
  await s.client.get('/a', 'Range: bytes=1-2').gives({ status: 206, body: '12', fields });
});

scenario('8.1b the name of the unit compares without case', async (s) => {
  await stored(s);
  await s.client.get('/a', 'Range: BYTES=2-4').gives(part('234', '2-4'));
  await s.client.get('/a', 'Range: Bytes=-1').gives(part('9', '9-9'));
});

scenario('8.1c what is no range of bytes is ignored', async (s) => {
  await stored(s);
  const odd = ['lines=1-2', 'bytes', 'bytes=', 'bytes=-', 'bytes=x-2', 'bytes=4-2', 'bytes=1-2-3'];
  for (const range of [
    ...odd,
    'bytes=+1-2',
    'bytes=1.0-2',
    'bytes=0x1-2',
    'bytes 1-2',
    '1-2',
    '',
  ]) {
    const asked = s.client.get('/a', `Range: ${range}`);
    await asked.gives({ body: digits, cache: 'HIT', fields: { 'Content-Range': null } });
  }
});

scenario('8.2a absurd ranges are answered with the whole', async (s) => {
  await stored(s);
  const many = Array.from({ length: 1000 }, () => '0-9').join();
  await s.client.get('/a', `Range: bytes=${many}`).gives({ body: digits, cache: 'HIT' });
});

/** The parts of a multipart/byteranges body: Content-Range and bytes of each. */
function partsOf(type: string, body: string): Array<readonly [string, string]> {
  const boundary = /^multipart\/byteranges; boundary=([\w'()+,./:=?-]+)$/.exec(type)?.[1];
  const [first = '', ...rest] = `\r\n${body}`.split(`\r\n--${boundary}`);
  if (boundary === undefined || first !== '') throw new Error(`no multipart: ${type}`);
  if (!/^--(\r\n)?$/.test(rest.pop() ?? '')) throw new Error('the multipart has no end');
  return rest.map((part) => {
    const end = part.indexOf('\r\n\r\n');
    const range = /^content-range: bytes (.*)$/im.exec(part.slice(0, end).replaceAll('\r', ''));
    return [range?.[1] ?? '', part.slice(end + 4)];
  });
}

async function parts({ client }: Stage, ranges: string): Promise<string> {
  const { status, fields, body, isCut } = await client.get('/a', `Range: bytes=${ranges}`);
  if (status !== 206 || isCut) throw new Error(`${ranges} gave ${status}`);
  const type = fields[fields.indexOf('Content-Type') + 1]!;
  return partsOf(type, body.toString('latin1')).join(' ');
}

scenario('8.2b several ranges are parts of one answer, in the order asked for', async (s) => {
  await stored(s, 'Content-Type: text/plain');
  for (const [ranges, wanted] of [
    ['0-1,4-5', '0-1/10,01 4-5/10,45'],
    ['8-9,0-0', '8-9/10,89 0-0/10,0'],
    ['0-1,-1', '0-1/10,01 9-9/10,9'],
    ['0-1,99-,7-', '0-1/10,01 7-9/10,789'],
  ] as const) {
    const found = await parts(s, ranges);
    if (found !== wanted) throw new Error(`${ranges} gave ${found}`);
  }
});

scenario('8.2c what overlaps is put together, and one that is left is no multipart', async (s) => {
  await stored(s);
  await s.client.get('/a', 'Range: bytes=2-4,99-').gives(part('234', '2-4'));
  for (const ranges of ['0-5,3-8', '0-4,5-8', '0-8,2-3,4-4']) {
    const { status, body } = await s.client.get('/a', `Range: bytes=${ranges}`);
    const text = body.toString();
    const isBounded = status === 200 ? text === digits : text.split('4').length === 2;
    if (!isBounded) throw new Error(`${ranges} gave ${status} ${text}`);
  }
});

scenario('8.2d of several that nothing satisfies comes a 416', async (s) => {
  await stored(s);
  const fields = { 'Content-Range': 'bytes */10' };
  await s.client.get('/a', 'Range: bytes=10-,20-30,-0').gives({ status: 416, fields });
});

scenario('8.3a nothing satisfiable is a 416 that tells the length', async (s) => {
  await stored(s);
  for (const range of ['10-', '10-20', '99999999999999999999-', '-0']) {
    await s.client
      .get('/a', `Range: bytes=${range}`)
      .gives({ status: 416, cache: 'HIT', fields: { 'Content-Range': 'bytes */10' } });
  }
});

scenario('8.3b conditions are judged before the range', async (s) => {
  await stored(s);
  for (const range of ['2-4', '99-']) {
    const lines = ['If-None-Match: "v1"', `Range: bytes=${range}`];
    await s.client.get('/a', ...lines).gives({ status: 304, body: '' });
  }
  await s.client.get('/a', 'If-None-Match: "v0"', 'Range: bytes=2-4').gives(part('234', '2-4'));
});

scenario('8.3c a range concerns GET alone', async (s) => {
  await stored(s);
  const fields = { 'Content-Length': '10', 'Content-Range': null };
  await s.client.head('/a', 'Range: bytes=2-4').gives({ cache: 'HIT', fields });
});

scenario('8.3d a range concerns a stored 200 alone', async ({ origin, client }) => {
  origin.plays(answer(tagged, digits, 404));
  await client.get('/a').gives({ status: 404 });
  await client.get('/a', 'Range: bytes=2-4').gives({ status: 404, body: digits, cache: 'HIT' });
});

scenario('8.4a If-Range: the same strong tag gives the part', async (s) => {
  await stored(s);
  await s.client.get('/a', 'Range: bytes=2-4', 'If-Range: "v1"').gives(part('234', '2-4'));
  for (const tag of ['"v2"', 'W/"v1"', 'v1', '*', '']) {
    const asked = s.client.get('/a', 'Range: bytes=2-4', `If-Range: ${tag}`);
    await asked.gives({ body: digits, cache: 'HIT' });
  }
  const beyond = s.client.get('/a', 'Range: bytes=99-', 'If-Range: "v2"');
  await beyond.gives({ body: digits, cache: 'HIT' });
});

scenario('8.4b If-Range: a weak tag never matches', async ({ origin, client }) => {
  origin.plays(answer([fresh, 'ETag: W/"v1"'], digits));
  await client.get('/a').gives({ body: digits });
  for (const tag of ['W/"v1"', '"v1"']) {
    const asked = client.get('/a', 'Range: bytes=2-4', `If-Range: ${tag}`);
    await asked.gives({ body: digits, cache: 'HIT' });
  }
});

scenario(
  '8.4c If-Range: a date has to be the same and strong',
  async ({ origin, client, clock }) => {
    const old = clock.date(-3600);
    const recent = clock.date(-1);
    const date = `Date: ${clock.date()}`;
    origin.plays(answer([fresh, date, `Last-Modified: ${old}`], digits));
    origin.plays(answer([fresh, date, `Last-Modified: ${recent}`], digits));
    await client.get('/a').gives({ body: digits });
    await client.get('/b').gives({ body: digits });
    await client.get('/a', 'Range: bytes=2-4', `If-Range: ${old}`).gives(part('234', '2-4'));
    for (const other of [clock.date(-3599), clock.date(), 'never']) {
      const asked = client.get('/a', 'Range: bytes=2-4', `If-Range: ${other}`);
      await asked.gives({ body: digits, cache: 'HIT' });
    }
    const weak = client.get('/b', 'Range: bytes=2-4', `If-Range: ${recent}`);
    await weak.gives({ body: digits, cache: 'HIT' });
  },
);

scenario('8.5a a range on a miss gets its part', async ({ origin, client }) => {
  origin.always(async (line, request) => {
    const range = request.field('range');
    if (range === undefined) return answer(tagged, digits)(line, request);
    const lines = [...tagged, 'Content-Range: bytes 2-4/10'];
    return answer(lines, '234', 206)(line, request);
  });
  const asked = client.get('/a', 'Range: bytes=2-4');
  await asked.gives({ status: 206, body: '234', fields: { 'Content-Range': 'bytes 2-4/10' } });
  await client.get('/a').gives({ body: digits });
});

scenario('8.5b a range never goes upstream beside a condition of ours', async (s) => {
  await stored(s);
  s.clock.advance(61);
  s.origin.always(async (line, request) => {
    if (request.field('if-none-match') !== undefined && request.field('range') !== undefined) {
      throw new Error('a condition and a range');
    }
    const isAsked = request.field('if-none-match') !== undefined;
    return answer(tagged, isAsked ? '' : digits, isAsked ? 304 : 200)(line, request);
  });
  await s.client.get('/a', 'Range: bytes=2-4').gives({ status: 206, body: '234' });
});

const partOf = (from: number, to: number, tag = '"v1"') =>
  answer(
    [fresh, `ETag: ${tag}`, `Content-Range: bytes ${from}-${to}/10`],
    digits.slice(from, to + 1),
    206,
  );

scenario('8.6a a part answers what lies within it, and nothing else', async (s) => {
  s.origin.plays(partOf(2, 7), partOf(8, 9));
  await s.client.get('/a', 'Range: bytes=2-7').gives({ status: 206, body: '234567' });
  await s.client.get('/a', 'Range: bytes=3-5').gives(part('345', '3-5'));
  await s.client.get('/a', 'Range: bytes=2-7').gives(part('234567', '2-7'));
  const beyond = s.client.get('/a', 'Range: bytes=6-9');
  await beyond.gives({ status: 206, body: '6789', cache: 'MISS' });
  await s.origin.got(2, { fields: { Range: 'bytes=8-9', 'If-Range': '"v1"' } });
});

scenario('8.6b a part with a Content-Range that makes no sense is not stored', async (s) => {
  const ranges = ['bytes 2-9/10', 'bytes 2-4/4', 'bytes 4-2/10', 'bytes */10', '2-4/10', 'x'];
  for (const [at, range] of ranges.entries()) {
    const odd = answer([...tagged, `Content-Range: ${range}`], '234', 206);
    s.origin.plays(odd, partOf(2, 4));
    await s.client.get(`/${at}`, 'Range: bytes=2-4');
    await s.client.get(`/${at}`, 'Range: bytes=2-4').gives({ status: 206, body: '234' });
  }
});

scenario('8.6c a part is never served as the whole', async ({ origin, client }) => {
  const lines = [...tagged, 'Content-Range: bytes 2-4/10'];
  origin.plays(answer(lines, '234', 206), answer(tagged, digits));
  const asked = client.get('/a', 'Range: bytes=2-4', 'Cache-Control: no-store');
  await asked.gives({ status: 206, body: '234' });
  await client.get('/a').gives({ body: digits });
});

scenario('8.7a parts of one strong tag become a whole', async (s) => {
  s.origin.plays(partOf(0, 4), partOf(5, 9));
  await s.client.get('/a', 'Range: bytes=0-4').gives({ status: 206, body: '01234' });
  await s.client.get('/a', 'Range: bytes=5-9').gives({ status: 206, body: '56789' });
  await s.client.get('/a').gives({ body: digits, cache: 'HIT', fields: { 'Content-Range': null } });
  await s.client.get('/a', 'Range: bytes=4-5').gives(part('45', '4-5'));
});

scenario('8.7d what lacks is asked for, and a 200 replaces everything', async (s) => {
  s.origin.plays(partOf(3, 6), answer([fresh, 'ETag: "v2"'], 'abcdefghij'));
  await s.client.get('/a', 'Range: bytes=3-6').gives({ status: 206, body: '3456' });
  await s.client.get('/a').gives({ body: 'abcdefghij' });
  await s.origin.got(2, { fields: { 'If-Range': '"v1"' } });
  await s.client.get('/a', 'Range: bytes=3-6').gives(part('defg', '3-6'));
});

scenario('8.7b parts of two versions are never put together', async ({ origin, client }) => {
  origin.plays(partOf(0, 4), partOf(5, 9, '"v2"'), answer(tagged, 'abcdefghij'));
  await client.get('/a', 'Range: bytes=0-4').gives({ status: 206, body: '01234' });
  await client.get('/a', 'Range: bytes=5-9').gives({ status: 206, body: '56789' });
  await client.get('/a').gives({ body: 'abcdefghij' });
});

scenario('8.7c nor are parts with a weak tag or none', async ({ origin, client }) => {
  for (const [at, tag] of ['W/"v1"', ''].entries()) {
    origin.plays(partOf(0, 4, tag), partOf(5, 9, tag), answer(tagged, digits));
    await client.get(`/${at}`, 'Range: bytes=0-4').gives({ status: 206, body: '01234' });
    await client.get(`/${at}`, 'Range: bytes=5-9').gives({ status: 206, body: '56789' });
    await client.get(`/${at}`).gives({ body: digits });
  }
});

const short = `${head([...tagged, 'Content-Length: 10'])}01234`;
const openChunks = `${head([...tagged, 'Transfer-Encoding: chunked'])}5\r\n01234\r\n`;

scenario('8.8a a body that ends early ends visibly, and is not stored as whole', async (s) => {
  for (const [at, text] of [short, openChunks, `${openChunks}5\r\n012`].entries()) {
    for (const then of ['close', 'reset'] as const) {
      const target = `/${at}-${then}`;
      s.origin.plays(bytes(text, then));
      await s.client.get(target).gives({ isCut: true, body: /^01234/ });
      s.origin.plays(answer(tagged, digits));
      await s.client.get(target).gives({ body: digits });
    }
  }
});

scenario('8.8b a body that ends with an orderly close is complete', async ({ origin, client }) => {
  origin.plays(bytes(`${head(tagged)}${digits}`, 'close'));
  await client.get('/a').gives({ body: digits });
  await client.get('/a').gives({ body: digits, cache: 'HIT' });
});

scenario('8.8c a body that ends with a reset is not', async ({ origin, client }) => {
  origin.plays(async (line) => {
    await line.write(`${head(tagged)}${digits}`);
    await client.connect();
    line.reset();
  });
  await client.get('/a').gives({ isCut: true });
  origin.plays(answer(tagged, 'whole'));
  await client.get('/a').gives({ body: 'whole' });
});

scenario('8.9a a client that goes away does not damage the entry', async (s) => {
  const goOn = gate();
  s.origin.plays(async (line) => {
    await line.write(`${head([...tagged, 'Content-Length: 10'])}01234`);
    await goOn.opened;
    await line.write('56789');
  });
  const connection = await s.client.connect();
  const asked = connection.ask({ target: '/a' });
  await until('half of the body', () => connection.seen.endsWith('01234'));
  connection.reset();
  await asked.then(() => {});
  goOn.open();
  await s.settled();
  await s.client.get('/a').gives({ body: digits, cache: 'HIT' });
});
