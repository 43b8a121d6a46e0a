// Section 4 of the clauses: what is stored of a message, and what is sent on.

import { gate, until } from '../support/until.js';
import { answer, bytes, chunked, head, notModified, scenario } from './language/scenario.js';

const fresh = 'Cache-Control: max-age=60';

scenario('4.1a hop-by-hop fields of a request go no further', async ({ origin, client }) => {
  origin.plays(answer('', 'one'));
  await client.get(
    '/a',
    'Connection: close, X-Hop, x-lower',
    'X-Hop: 1',
    'X-Lower: 1',
    'Keep-Alive: timeout=5',
    'Proxy-Connection: keep-alive',
    'TE: trailers',
    'Upgrade: h2c',
    'Trailer: X-T',
    'X-End: 1',
  );
  const gone = ['X-Hop', 'X-Lower', 'Keep-Alive', 'Proxy-Connection', 'TE', 'Upgrade', 'Trailer'];
  await origin.got(1, { fields: Object.fromEntries(gone.map((name) => [name, null])) });
  await origin.got(1, { fields: { 'X-End': '1' } });
});

scenario('4.1b hop-by-hop fields of a response are neither sent on nor stored', async (s) => {
  const lines = [
    fresh,
    'Connection: X-Hop',
    'X-Hop: 1',
    'Keep-Alive: timeout=77',
    'Proxy-Connection: keep-alive',
    'TE: trailers',
    'Upgrade: h2c',
    'X-End: 1',
  ];
  s.origin.plays(answer(lines, 'one'));
  const fields = {
    'X-Hop': null,
    'Proxy-Connection': null,
    TE: null,
    Upgrade: null,
    'X-End': '1',
    'Keep-Alive': /^timeout=(?!77)/,
  };
  await s.client.get('/a').gives({ body: 'one', fields });
  await s.client.get('/a').gives({ body: 'one', fields, cache: 'HIT' });
});

scenario('4.1c Connection is no way to strip what framing and caching need', async (s) => {
  const named = 'Cache-Control, Content-Length, Content-Type, ETag, Vary, Age, Set-Cookie, Date';
  s.origin.plays(
    answer(
      [
        `Connection: ${named}`,
        'Cache-Control: private',
        'ETag: "a"',
        'Age: 3',
        'Content-Type: text/plain',
      ],
      'one',
    ),
  );
  const fields = {
    'Cache-Control': 'private',
    ETag: '"a"',
    Age: '3',
    'Content-Type': 'text/plain',
    'Content-Length': '3',
  };
  await s.client.get('/a').gives({ body: 'one', fields });
  s.origin.plays(answer(fresh, 'two'));
  const lines = ['Connection: Host, Authorization, Cookie, Cache-Control, Content-Length'];
  await s.client
    .get('/b', ...lines, 'Authorization: x', 'Cookie: a=1', 'Cache-Control: no-store')
    .gives({ body: 'two' });
  const sent = { Authorization: 'x', Cookie: 'a=1', 'Cache-Control': 'no-store', Host: /./ };
  await s.origin.got(2, { fields: sent });
});

scenario('4.2a what is between a client and a proxy is not stored', async ({ origin, client }) => {
  const lines = [
    fresh,
    'Proxy-Authenticate: Basic',
    'Proxy-Authentication-Info: x',
    'X-Unknown: 1',
  ];
  origin.plays(answer(lines, 'one'));
  const fields = {
    'Proxy-Authenticate': null,
    'Proxy-Authentication-Info': null,
    'X-Unknown': '1',
  };
  await client.get('/a', 'Proxy-Authorization: Basic dTpw').gives({ body: 'one', fields });
  await client.get('/a').gives({ body: 'one', fields, cache: 'HIT' });
  await origin.got(1, { fields: { 'Proxy-Authorization': null } });
});

scenario('4.3 no-cache with field names counts as no-cache', async ({ origin, client }) => {
  const lines = ['Cache-Control: max-age=60, no-cache="X-A"', 'ETag: "a"', 'X-A: 1'];
  origin.plays(answer(lines, 'one'), notModified(lines));
  await client.get('/a').gives({ body: 'one' });
  await client.get('/a').gives({ body: 'one', cache: 'REVALIDATED' });
});

scenario('4.4a Content-Length is that of what is sent', async ({ origin, client }) => {
  origin.plays(answer([fresh, 'ETag: "a"'], '0123456789'));
  const length = (value: string | null) => ({ fields: { 'Content-Length': value } });
  await client.get('/a').gives(length('10'));
  await client.get('/a').gives(length('10'));
  await client.head('/a').gives(length('10'));
  await client.get('/a', 'Range: bytes=2-4').gives({ status: 206, ...length('3') });
  await client.get('/a', 'If-None-Match: "a"').gives({ status: 304, ...length(null) });
});

scenario('4.4b a body of unknown length goes out in chunks, or until the close', async (s) => {
  s.origin.plays(chunked(fresh, 'one', 'two'), chunked('', 'three'), bytes(`${head('')}four`));
  const inChunks = { 'Transfer-Encoding': 'chunked', 'Content-Length': null };
  await s.client.get('/a').gives({ body: 'onetwo', fields: inChunks });
  await s.client.get('/a').gives({ body: 'onetwo', cache: 'HIT' });
  const untilClose = { 'Transfer-Encoding': null, 'Content-Length': null, Connection: 'close' };
  await s.client
    .send({ target: '/b', version: '1.0' })
    .gives({ body: 'three', fields: untilClose });
  await s.client.get('/c').gives({ body: 'four', fields: inChunks });
});

const withTrailers = (...trailers: readonly string[]) =>
  bytes(
    `${head([fresh, 'Transfer-Encoding: chunked', 'Trailer: X-T, Cache-Control'])}` +
      `3\r\none\r\n0\r\n${trailers.map((line) => `${line}\r\n`).join('')}\r\n`,
    'stay',
  );

scenario('4.5a trailers are never merged into the header', async ({ origin, client }) => {
  origin.plays(withTrailers('X-T: 1', 'ETag: "t"', 'Set-Cookie: a=1'));
  const fields = { 'X-T': null, ETag: null, 'Set-Cookie': null };
  await client.get('/a').gives({ body: 'one', fields });
  await client.get('/a').gives({ body: 'one', fields, cache: 'HIT' });
  await client.head('/a').gives({ fields, cache: 'HIT' });
});

scenario('4.5b trailers that would govern framing or caching have no effect', async (s) => {
  s.origin.plays(withTrailers('Cache-Control: no-store', 'Vary: *', 'Age: 3600', 'Host: x'));
  await s.client.get('/a').gives({ body: 'one' });
  const fields = { 'Cache-Control': 'max-age=60', Vary: null };
  await s.client.get('/a').gives({ body: 'one', cache: 'HIT', age: 0, fields });
});

scenario('4.5c trailers of a stored response are not trusted on a hit', async (s) => {
  s.origin.plays(
    bytes(
      `${head([fresh, 'Transfer-Encoding: chunked', 'Trailer: X-T'])}3\r\none\r\n0\r\nX-T: 1\r\n\r\n`,
      'stay',
    ),
  );
  await s.client.get('/a').gives({ body: 'one' });
  await s.client.get('/a').gives({ body: 'one', cache: 'HIT', fields: { 'X-T': null } });
});

scenario('4.5d a length or a coding among the trailers does not break the body', async (s) => {
  for (const [at, trailer] of [
    'Content-Length: 99',
    'content-length: 3',
    'Content-Length: 0',
    'Transfer-Encoding: gzip',
    'Connection: close',
  ].entries()) {
    s.origin.plays(withTrailers('X-T: 1', trailer), answer('', 'next'));
    await s.client.get(`/${at}`).gives({ body: 'one', fields: { 'Content-Length': null } });
    await s.client.get(`/${at}`).gives({ body: 'one', cache: 'HIT' });
    await s.client.get('/next').gives({ body: 'next' });
  }
});

scenario('4.5e a request with a length among its trailers is refused', async (s) => {
  const chunks = '3\r\none\r\n0\r\nContent-Length: 99\r\n\r\n';
  const text = await s.client.raw(
    `POST /a HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`,
  );
  if (!text.startsWith('HTTP/1.1 400 ')) throw new Error(text);
});

scenario('4.6a Via in both directions, behind what was there', async ({ origin, client }) => {
  origin.plays(answer([fresh, 'Via: 1.0 up'], 'one'));
  const fields = { Via: /^1\.0 up, 1\.1 millrace-\w+$/ };
  await client.get('/a', 'Via: 1.0 down').gives({ body: 'one', fields });
  await client.get('/a').gives({ body: 'one', fields, cache: 'HIT' });
  await origin.got(1, { fields: { Via: /^1\.0 down, 1\.1 millrace-\w+$/ } });
});

scenario('4.6b a request that was here already is a loop', async ({ origin, client }) => {
  origin.plays(answer('', 'one'));
  const first = await client.get('/a');
  const via = first.fields[first.fields.indexOf('Via') + 1]!;
  for (const line of [via, `1.1 other, ${via}`, via.toUpperCase(), `${via} (comment), 1.0 x`]) {
    await client.get('/a', `Via: ${line}`).gives({ status: 508 });
  }
  origin.wasAsked(1);
});

scenario('4.7a Max-Forwards 0 of OPTIONS and TRACE is answered here', async (s) => {
  for (const method of ['OPTIONS', 'TRACE']) {
    const { status } = await s.client.send({ method, target: '/a', lines: ['Max-Forwards: 0'] });
    if (status === 502) throw new Error(`${method} was forwarded`);
  }
  s.origin.wasAsked(0);
});

scenario('4.7b Max-Forwards of OPTIONS is counted down', async ({ origin, client }) => {
  origin.plays(answer('', 'one'));
  const lines = ['Max-Forwards: 5'];
  await client.send({ method: 'OPTIONS', target: '/a', lines }).gives({ body: 'one' });
  await origin.got(1, { fields: { 'Max-Forwards': '4' } });
});

scenario('4.8a nothing is rewritten because time passed', async ({ origin, client, clock }) => {
  const fields = {
    Date: clock.date(-3),
    Expires: clock.date(60),
    'Last-Modified': clock.date(-600),
    ETag: '"a"',
    'Cache-Control': 'max-age=60',
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}`);
  origin.plays(answer(lines, 'one'));
  await client.get('/a').gives({ fields });
  clock.advance(50);
  await client.get('/a').gives({ fields, cache: 'HIT', age: 53 });
});

scenario('4.8b Date is added where the origin sent none: the time of receipt', async (s) => {
  const receipt = s.clock.date();
  s.origin.plays(answer(fresh, 'one'));
  await s.client.get('/a').gives({ fields: { Date: receipt } });
  s.clock.advance(50);
  await s.client.get('/a').gives({ fields: { Date: receipt }, cache: 'HIT' });
});

scenario('4.9 bodies and their codings are left alone', async ({ origin, client }) => {
  const text = 'the same again and '.repeat(5000);
  const lines = ['Content-Type: text/plain', 'ETag: "a"'];
  for (const [at, more] of ['', ', no-transform'].entries()) {
    origin.plays(answer([`Cache-Control: max-age=60${more}`, ...lines], text));
    const fields = { 'Content-Encoding': null, ETag: '"a"', 'Content-Type': 'text/plain' };
    const accept = 'Accept-Encoding: gzip, br, zstd';
    await client.get(`/${at}`, accept).gives({ body: text, fields });
    await client.get(`/${at}`, accept).gives({ body: text, fields, cache: 'HIT' });
  }
});

scenario('4.10a interim responses go on to the client at once', async ({ origin, client }) => {
  const goOn = gate();
  origin.plays(async (line) => {
    await line.write(head('Link: </style.css>; rel=preload', 103, 'Early Hints'));
    await line.write(head('', 102, 'Processing'));
    await goOn.opened;
    await line.write(`${head([fresh, 'Content-Length: 3'])}one`);
  });
  const connection = await client.connect();
  const asked = connection.ask({ target: '/a' });
  await until('both interim responses', () =>
    /HTTP\/1.1 103.*HTTP\/1.1 102/s.test(connection.seen),
  );
  goOn.open();
  await asked.gives({ body: 'one', interim: [103, 102], fields: { Link: null } });
  await client.get('/a').gives({ body: 'one', interim: [], cache: 'HIT' });
});

scenario('4.10b interim responses do not go to clients of HTTP/1.0', async (s) => {
  s.origin.plays(bytes(`${head('', 103)}${head([fresh, 'Content-Length: 3'])}one`, 'stay'));
  await s.client.send({ target: '/a', version: '1.0' }).gives({ body: 'one', interim: [] });
});

scenario('4.10c Expect: 100-continue reaches the origin, and its 100 the client', async (s) => {
  const body = gate();
  s.origin.plays(async (line, request) => {
    await line.write(head('', 100, 'Continue'));
    if ((await request.body).toString() !== 'hello') throw new Error('another body');
    body.open();
    await answer('', 'taken')(line, request);
  });
  const connection = await s.client.connect();
  const lines = ['Expect: 100-continue', 'Content-Length: 5'];
  const asked = connection.ask({ method: 'POST', target: '/a', lines });
  await until('100 Continue', () => connection.seen.startsWith('HTTP/1.1 100'));
  connection.write('hello');
  await body.opened;
  await asked.gives({ body: 'taken' });
});

scenario('4.10d a 101 that nobody asked for is an error', async ({ origin, client }) => {
  const switching = head(['Upgrade: x', 'Connection: Upgrade'], 101, 'Switching Protocols');
  origin.plays(bytes(`${switching}x`, 'stay'), bytes(`${switching}x`, 'stay'));
  await client.get('/a').gives({ status: 502 });
});

scenario('4.11a unknown statuses and reasons pass unchanged', async ({ origin, client }) => {
  for (const [status, reason] of [
    [299, 'Fine So Far'],
    [499, ''],
    [599, 'Network (Odd)'],
    [200, 'All is well, really'],
  ] as const) {
    origin.plays(bytes(`${head('Content-Length: 3', status, reason)}one`, 'stay'));
    await client.get(`/${status}`).gives({ status, reason, body: 'one' });
  }
});

scenario('4.11b methods that are not ours pass unchanged', async ({ origin, client }) => {
  for (const [at, method] of ['MERGE', 'LINK', 'M-SEARCH', 'PROPPATCH', 'QUERY'].entries()) {
    origin.plays(answer('', method));
    await client.send({ method, target: '/a' }).gives({ body: method });
    await origin.got(at + 1, { method });
  }
});

scenario('4.11c methods that no parser knows are a 501 and end the connection', async (s) => {
  // FLUSH and PLAY are of RTSP, whose requests look alike.
  for (const method of ['FOO', 'PURGEX', 'get', 'FLUSH', 'PLAY']) {
    const text = `${method} /a HTTP/1.1\r\nHost: site.test\r\n\r\n`;
    const got = await s.client.raw(`${text}GET /b HTTP/1.1\r\nHost: site.test\r\n\r\n`);
    if (!/^HTTP\/1\.1 501 Not Implemented\r\n/.test(got)) throw new Error(got);
    if (got.split('HTTP/1.1').length !== 2) throw new Error(got);
  }
  s.origin.wasAsked(0);
});
