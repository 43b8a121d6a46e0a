// Threats from clients: requests that two parsers could read differently, targets that lead elsewhere, fields
// that would strip others. Each is refused before the origin hears of it, or reaches it in one meaning.

import { until } from '../support/until.js';
import { answer, type Stage, scenario } from './language/scenario.js';

const host = 'Host: site.test\r\n';
const hidden = 'GET /hidden HTTP/1.1\r\nHost: site.test\r\n\r\n';

/** One answer of that status, the end of the connection, and nothing at the origin. */
async function isRefused({ client, origin }: Stage, text: string, status = /^(4\d\d|501)$/) {
  const before = origin.requests.length;
  const got = await client.raw(text);
  const [, found = 'nothing'] = /^HTTP\/1\.1 (\d+) /.exec(got) ?? [];
  if (!status.test(found)) throw new Error(`${JSON.stringify(text)} gave ${found}`);
  if (got.split('HTTP/1.1 ').length !== 2) throw new Error(`${JSON.stringify(text)}: two answers`);
  origin.wasAsked(before);
}

const post = (fields: string, body: string) => `POST /a HTTP/1.1\r\n${host}${fields}\r\n${body}`;

scenario('smuggling: both framings, in either order, are refused', async (s) => {
  const length = 'Content-Length: 4\r\n';
  const chunked = 'Transfer-Encoding: chunked\r\n';
  for (const fields of [length + chunked, chunked + length]) {
    await isRefused(s, post(fields, `0\r\n\r\n${hidden}`));
    await isRefused(s, post(fields, `5\r\nhello\r\n0\r\n\r\n${hidden}`));
  }
  await isRefused(s, post(`Content-Length: 0\r\n${chunked}`, `0\r\n\r\n${hidden}`));
});

scenario('smuggling: spellings of chunked that some take for it are refused', async (s) => {
  for (const line of [
    'Transfer-Encoding: xchunked',
    'Transfer-Encoding : chunked',
    'Transfer-Encoding: chunked, identity',
    'Transfer-Encoding: identity, chunked, identity',
    'Transfer-Encoding: chunked, cow',
    'Transfer-Encoding: chunked;q=1',
    'Transfer-Encoding: "chunked"',
    "Transfer-Encoding: 'chunked'",
    'Transfer-Encoding:\x0bchunked',
    'Transfer-Encoding:\x0cchunked',
    'Transfer-Encoding: chunked\x00',
    'Transfer-Encoding: chu\x00nked',
    'Transfer-Encoding:\r\n chunked',
    'Transfer-Encoding: \r\n\tchunked',
    'X: y\nTransfer-Encoding: chunked',
    'X: y\rTransfer-Encoding: chunked',
    ' Transfer-Encoding: chunked',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: cow',
    'Transfer-Encoding: cow\r\nTransfer-Encoding: chunked, cow',
    'Transfer-Encoding: \xffchunked',
    'Transfer_Encoding : chunked',
    'Transfer\x20Encoding: chunked',
    'Transfer-Encoding\x00: chunked',
    '\x00Transfer-Encoding: chunked',
  ]) {
    await isRefused(s, post(`${line}\r\n`, `0\r\n\r\n${hidden}`));
  }
});

scenario('smuggling: a length that is no plain number is refused', async (s) => {
  for (const line of [
    'Content-Length: +4',
    'Content-Length: -4',
    'Content-Length: 4.0',
    'Content-Length: 0x4',
    'Content-Length: 4,4',
    'Content-Length: 4, 4',
    'Content-Length: 4;4',
    'Content-Length: 4 4',
    'Content-Length: "4"',
    'Content-Length: four',
    'Content-Length: 4e0',
    'Content-Length: ',
    'Content-Length: 18446744073709551620',
    'Content-Length: 99999999999999999999999',
    'Content-Length: 4\x00',
    'Content-Length : 4',
    'Content-Length: 4\r\nContent-Length: 4',
    'Content-Length: 4\r\nContent-Length: 0',
    'Content-Length:\r\n 4',
    'X: y\nContent-Length: 4',
  ]) {
    await isRefused(s, post(`${line}\r\nConnection: close\r\n`, `abcd${hidden}`));
  }
});

scenario('smuggling: what may pass for a length reaches the origin as one', async (s) => {
  s.origin.plays(answer('', 'one'), answer('', 'two'));
  const padded = 'Content-Length:   0000005  \r\nConnection: close\r\n';
  const first = await s.client.raw(post(padded, 'hello'));
  if (!first.startsWith('HTTP/1.1 200 ')) throw new Error(first);
  await s.origin.got(1, { body: 'hello', fields: { 'Transfer-Encoding': null } });
  const upper = 'TRANSFER-ENCODING: CHUNKED\r\nConnection: close\r\n';
  const second = await s.client.raw(post(upper, '5;name=value\r\nhello\r\n0\r\n\r\n'));
  if (!second.startsWith('HTTP/1.1 200 ')) throw new Error(second);
  await s.origin.got(2, { body: 'hello' });
  const framings = ['content-length', 'transfer-encoding'];
  const { fields } = s.origin.requests[1]!;
  const found = fields.filter(
    (_, at) => at % 2 === 0 && framings.includes(fields[at]!.toLowerCase()),
  );
  if (found.length !== 1) throw new Error(`${found.length} framings`);
});

scenario('smuggling: what may stand around a request line does not reach the origin', async (s) => {
  s.origin.always(answer('', 'one'));
  for (const line of ['GET  /a HTTP/1.1', 'GET /a  HTTP/1.1', '\r\nGET /a HTTP/1.1']) {
    const got = await s.client.raw(`${line}\r\n${host}Connection: close\r\n\r\n`);
    if (!got.startsWith('HTTP/1.1 200 ')) throw new Error(got);
    await s.origin.got(s.origin.requests.length, { method: 'GET', target: '/a' });
  }
});

scenario('smuggling: a body is never read as a request', async ({ origin, client }) => {
  const fresh = 'Cache-Control: max-age=60';
  origin.plays(answer(fresh, 'one'), answer('', 'posted'), answer('', 'got'));
  await client.get('/a').gives({ body: 'one' });
  for (const [at, method] of ['POST', 'GET'].entries()) {
    const connection = await client.connect();
    await connection
      .ask({ method, target: '/a', body: hidden })
      .gives({ body: method === 'POST' ? 'posted' : 'got' });
    await origin.got(at + 2, { method, target: '/a', body: hidden });
    connection.close();
  }
  // On what is a hit otherwise, and with a body that nobody reads.
  const connection = await client.connect();
  connection.write(`GET /none HTTP/1.1\r\nHost: a, b\r\nContent-Length: ${hidden.length}\r\n\r\n`);
  connection.write(hidden);
  const rest = await connection.rest();
  if (rest.split('HTTP/1.1 ').length !== 2) throw new Error(rest);
  origin.wasAsked(3);
});

scenario('smuggling: HTTP/1.0 with a transfer coding is refused', async (s) => {
  const text = `POST /a HTTP/1.0\r\n${host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`;
  await isRefused(s, text);
});

scenario('smuggling: a wish to upgrade opens no tunnel', async ({ origin, client }) => {
  origin.plays(answer('', 'one'));
  const got = await client.raw(
    `GET /a HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n${hidden}`,
  );
  if (!/^HTTP\/1\.1 200 .*\r\nConnection: close\r\n/s.test(got)) throw new Error(got);
  await origin.got(1, { target: '/a', fields: { Upgrade: null, Connection: 'keep-alive' } });
  origin.wasAsked(1);
});

scenario('smuggling: two requests in one packet are two, in order', async ({ origin, client }) => {
  origin.plays(answer('', 'one'), answer('', 'two'));
  const connection = await client.connect();
  connection.write(
    `POST /1 HTTP/1.1\r\n${host}Content-Length: 3\r\n\r\nabc` + `GET /2 HTTP/1.1\r\n${host}\r\n`,
  );
  const bodies = [await connection.response(), await connection.response()];
  if (bodies.map(({ body }) => body.toString()).join() !== 'one,two') throw new Error('order');
  await origin.got(1, { method: 'POST', target: '/1', body: 'abc' });
  await origin.got(2, { method: 'GET', target: '/2' });
});

scenario('chunks: sizes that overflow or are no numbers make no whole body', async (s) => {
  for (const chunks of [
    'fffffffffffffffff\r\nx\r\n0\r\n\r\n',
    '10000000000000000\r\nx\r\n0\r\n\r\n',
    '-1\r\nx\r\n0\r\n\r\n',
    '+1\r\nx\r\n0\r\n\r\n',
    '0x1\r\nx\r\n0\r\n\r\n',
    ' 1\r\nx\r\n0\r\n\r\n',
    '1_0\r\nx\r\n0\r\n\r\n',
    '\r\nx\r\n0\r\n\r\n',
    '1\r\nxy\r\n0\r\n\r\n',
    '1\nx\n0\n\n',
    '1\rx\r0\r\r',
    '1\r\nx\n0\r\n\r\n',
    '1;a\nb\r\nx\r\n0\r\n\r\n',
    '1;a\r\x00\r\nx\r\n0\r\n\r\n',
  ]) {
    let isWhole = false;
    s.origin.always(async (line, request) => {
      await request.body;
      isWhole = true;
      await answer('', 'taken')(line, request);
    });
    const got = await s.client.raw(post('Transfer-Encoding: chunked\r\n', `${chunks}${hidden}`));
    await s.settled();
    if (/^HTTP\/1\.1 2/.test(got) || isWhole) throw new Error(`${JSON.stringify(chunks)}: ${got}`);
    if (s.origin.requests.some(({ target }) => target === '/hidden')) throw new Error('smuggled');
  }
});

scenario('chunks: extensions and trailers of a request go no further', async (s) => {
  s.origin.plays(answer('', 'one'));
  const body = '5;ext="a b"\r\nhello\r\n0;last\r\nX-Forwarded-For: evil\r\nX-T: 1\r\n\r\n';
  const fields = 'Transfer-Encoding: chunked\r\nTrailer: X-T\r\nConnection: close\r\n';
  const got = await s.client.raw(post(fields, body));
  if (!got.startsWith('HTTP/1.1 200 ')) throw new Error(got);
  const sent = { 'X-T': null, 'X-Forwarded-For': '127.0.0.1' };
  await s.origin.got(1, { body: 'hello', fields: sent });
});

scenario('chunks: an endless extension is cut off', async (s) => {
  s.origin.always(async (_line, request) => void (await request.body.catch(() => {})));
  const connection = await s.client.connect();
  connection.write(post('Transfer-Encoding: chunked\r\n', '1;'));
  const part = 'a'.repeat(16_384);
  for (let at = 0; at < 64 && !connection.isGone; at += 1) {
    connection.write(part);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await until('the end of the connection', () => connection.isGone);
});

scenario('request line: what is no HTTP/1 request line is refused', async (s) => {
  for (const line of [
    'GET\t/a\tHTTP/1.1',
    ' GET /a HTTP/1.1',
    'GET /a HTTP/1.1 ',
    'GET /a HTTP/1.1\x00',
    'GET /a\x00b HTTP/1.1',
    'GET /a\x7f HTTP/1.1',
    'GET /a b HTTP/1.1',
    'GET /a\r HTTP/1.1',
    'GET /a HTTP/1',
    'GET /a HTTP/2.0',
    'GET /a HTTP/0.9',
    'GET /a HTTP/1.2',
    'GET /\xe9 HTTP/1.1',
    'GET /a HTTP/1.2x',
    'GET /a http/1.1',
    'GET /a HTP/1.1',
    'G\x00T /a HTTP/1.1',
    'G@T /a HTTP/1.1',
    '/a HTTP/1.1',
    'GET HTTP/1.1',
    '\x16\x03\x01\x02',
  ]) {
    await isRefused(s, `${line}\r\n${host}Connection: close\r\n\r\n`);
  }
});

scenario('fields: names and values that are none are refused', async (s) => {
  for (const line of [
    'X A: 1',
    'X-A\t: 1',
    'X(A): 1',
    'X"A: 1',
    'X\xe9: 1',
    'X-A: a\x00b',
    'X-A: a\x01b',
    'X-A: a\x7fb',
    ': 1',
    'X-A',
    'X-A\x00: 1',
  ]) {
    await isRefused(s, `GET /a HTTP/1.1\r\n${host}${line}\r\nConnection: close\r\n\r\n`);
  }
});

scenario('routing: no target leads anywhere but to the origin', async ({ origin, client }) => {
  origin.always(answer('', 'one'));
  const targets = [
    'http://127.0.0.1:1/a',
    'http://169.254.169.254/latest/meta-data',
    'https://other.test/a',
    '//other.test/a',
    '/a@other.test',
    '/http://other.test/',
  ];
  for (const [at, target] of targets.entries()) {
    await client.get(target).gives({ body: 'one' });
    await origin.got(at + 1, { fields: { Host: /^127\.0\.0\.1:\d+$/ } });
  }
});

scenario('routing: CONNECT, authority form, users and odd schemes are refused', async (s) => {
  for (const line of [
    'CONNECT other.test:443 HTTP/1.1',
    'CONNECT /a HTTP/1.1',
    'GET other.test:80 HTTP/1.1',
    'GET @other.test/a HTTP/1.1',
    'GET http://a@other.test/a HTTP/1.1',
    'GET http:///a HTTP/1.1',
    'GET http:a HTTP/1.1',
    'GET ftp://other.test/a HTTP/1.1',
    'GET file:///etc/passwd HTTP/1.1',
    'GET gopher://other.test/ HTTP/1.1',
    'GET /a#b HTTP/1.1',
    'GET * HTTP/1.1',
  ]) {
    await isRefused(s, `${line}\r\n${host}Connection: close\r\n\r\n`);
  }
});

scenario('routing: purging takes permission', async ({ origin, client }) => {
  origin.plays(answer('Cache-Control: max-age=60', 'one'));
  await client.get('/a').gives({ body: 'one' });
  await client.send({ method: 'PURGE', target: '/a' }).gives({ status: 405 });
  await client.get('/a').gives({ body: 'one', cache: 'HIT' });
});

scenario('hop-by-hop: what we add cannot be named away', async ({ origin, client }) => {
  origin.plays(answer('', 'one'));
  const named = 'X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto, Via, Host';
  await client.get('/a', `Connection: ${named}`, 'Via: 1.1 down').gives({ body: 'one' });
  const fields = {
    'X-Forwarded-For': '127.0.0.1',
    'X-Forwarded-Host': 'site.test',
    'X-Forwarded-Proto': 'http',
    Via: /^1\.1 down, 1\.1 millrace/,
    Host: /./,
  };
  await origin.got(1, { fields });
});

scenario('hop-by-hop: conditions and credentials cannot be named away', async (s) => {
  const lines = ['Cache-Control: max-age=60', 'ETag: "a"'];
  s.origin.plays(answer(lines, 'secret'), answer(lines, 'public'));
  const named = 'Connection: Authorization, If-None-Match, Range, Cache-Control, Pragma';
  await s.client.get('/a', named, 'Authorization: me').gives({ body: 'secret' });
  await s.origin.got(1, { fields: { Authorization: 'me' } });
  await s.client.get('/a').gives({ body: 'public', cache: 'MISS' });
  await s.client.get('/a', named, 'If-None-Match: "a"').gives({ status: 304, cache: 'HIT' });
});
