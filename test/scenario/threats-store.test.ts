// Threats to what is stored: one client's answer for another, an answer that an attacker shaped, an error
// that stays, a page that was not meant for a cache. Two requests: the first is the attacker's or the
// owner's, the second is anybody's.

import { answer, bytes, head, type Play, type Stage, scenario } from './language/scenario.js';

const fresh = 'Cache-Control: max-age=60';
const canary = 'canary.test';

/** The body tells every field that the origin got, and how. */
const mirror =
  (lines: string | readonly string[]): Play =>
  async (line, request) => {
    const { method, target, fields } = request;
    const body = `${method} ${target} ${fields.join(' ')} ${(await request.body).toString()}`;
    await answer(lines, body)(line, request);
  };

/** What the first one got is not what the second one gets. */
async function staysWithOwner(
  { origin, client }: Stage,
  lines: string | readonly string[],
  owner: readonly string[] = ['Cookie: owner'],
  other: readonly string[] = ['Cookie: other'],
): Promise<void> {
  const target = `/${origin.requests.length}`;
  origin.always(answer(lines, 'secret'));
  await client.get(target, ...owner).gives({ body: 'secret' });
  origin.always(answer(lines, 'another'));
  const received = await client.get(target, ...other);
  if (received.body.toString() !== 'another') {
    throw new Error(`${JSON.stringify(lines)}: ${received.status} ${received.body}`);
  }
}

scenario('leakage: what forbids storing does so in every spelling', async (s) => {
  for (const value of [
    'private',
    'no-store',
    'PRIVATE',
    'No-Store',
    'private="a"',
    'private=""',
    'private=a',
    'max-age=60, private',
    'max-age=60,private',
    'max-age=60 ,\tprivate',
    'public, private, max-age=60',
    'max-age=60; private',
    'max-age=60 private',
    'max-age=60, no-store=1',
    'x="a, max-age=60", private',
    'max-age=60, no-cache',
    'max-age=60, x="unclosed, no-store',
    'max-age="60, no-store',
  ]) {
    await staysWithOwner(s, `Cache-Control: ${value}`);
  }
  await staysWithOwner(s, [fresh, 'Cache-Control: private']);
  await staysWithOwner(s, ['Cache-Control: private', fresh]);
  await staysWithOwner(s, ['cache-control: private', 'CACHE-CONTROL: max-age=60']);
});

scenario('leakage: credentials, cookies and Vary', async (s) => {
  const me = ['Authorization: me'];
  await staysWithOwner(s, fresh, me, []);
  await staysWithOwner(s, fresh, me, ['Authorization: you']);
  await staysWithOwner(s, [fresh, 'Vary: Cookie']);
  await staysWithOwner(s, [fresh, 'Vary: X-A', 'Vary: Cookie']);
  await staysWithOwner(s, [fresh, 'Vary: X-A,,Cookie']);
  await staysWithOwner(s, [fresh, 'Vary: *']);
  await staysWithOwner(s, [fresh, 'Vary: Accept, *']);
  await staysWithOwner(s, [fresh, 'Vary: Accept', 'Vary: *']);
  await staysWithOwner(s, 'Set-Cookie: session=owner');
  await staysWithOwner(s, [`Last-Modified: ${s.clock.date(-864_000)}`, 'Set-Cookie: a=owner']);
  await staysWithOwner(s, ['ETag: "a"', 'Set-Cookie: session=owner']);
});

scenario('leakage: what only looks as if it had a lifetime', async (s) => {
  await staysWithOwner(s, 'Expires: 0');
  await staysWithOwner(s, 'Expires: -1');
  await staysWithOwner(s, 'Expires: Thu, 01 Jan 1970 00:00:00 GMT');
  await staysWithOwner(s, `Expires: ${s.clock.date(-1)}`);
  await staysWithOwner(s, [fresh, 'Age: 60']);
  await staysWithOwner(s, [fresh, 'Age: 61, 0']);
  await staysWithOwner(s, [fresh, `Date: ${s.clock.date(-60)}`]);
  await staysWithOwner(s, 'Cache-Control: max-age=0');
  await staysWithOwner(s, 'Cache-Control: s-maxage=0, max-age=60');
  await staysWithOwner(s, 'X-Cache-Control: max-age=60');
});

const unkeyed = [
  'X-Forwarded-Host',
  'X-Forwarded-For',
  'X-Forwarded-Proto',
  'X-Forwarded-Scheme',
  'X-Forwarded-Port',
  'X-Forwarded-Server',
  'X-Forwarded-Prefix',
  'X-Forwarded-Path',
  'Forwarded',
  'X-Real-IP',
  'X-Host',
  'X-Original-URL',
  'X-Original-Host',
  'X-Original-URI',
  'X-Rewrite-URL',
  'X-HTTP-Method',
  'X-HTTP-Method-Override',
  'X-Method-Override',
  'Proxy-Authorization',
  'Upgrade',
  'TE',
];

scenario('poisoning: fields that many origins believe do not reach a stored answer', async (s) => {
  for (const name of unkeyed) {
    const target = `/${name}`;
    s.origin.plays(mirror(fresh));
    await s.client.get(target, `${name}: ${canary}`).gives({ cache: 'MISS' });
    const received = await s.client.get(target);
    if (received.body.includes(canary)) throw new Error(`${name} was stored: ${received.body}`);
  }
});

scenario('poisoning: Host and absolute targets shape only their own entry', async (s) => {
  s.origin.plays(mirror(fresh), mirror(fresh), mirror(fresh));
  await s.client.get('/a', `Host: ${canary}`);
  await s.client.get(`http://${canary}/b`, 'Host: site.test');
  const received = await s.client.get('/a', 'Host: site.test');
  if (received.body.includes(canary)) throw new Error(`poisoned: ${received.body}`);
  await s.client.get('/b', `Host: ${canary}`).gives({ cache: 'HIT' });
});

scenario('poisoning: a port in Host is part of the key', async ({ origin, client }) => {
  origin.plays(mirror(fresh), mirror(fresh));
  await client.get('/a', 'Host: site.test:1337').gives({ body: /site\.test:1337/ });
  await client.get('/a', 'Host: site.test').gives({ cache: 'MISS' });
});

scenario('poisoning: a body is not stored under its URL', async ({ origin, client }) => {
  for (const method of ['GET', 'POST', 'PUT', 'OPTIONS']) {
    origin.plays(mirror([fresh, 'Content-Location: /a']), mirror(fresh));
    await client.send({ method, target: `/${method}`, body: canary });
    const received = await client.get(`/${method}`);
    if (received.body.includes(canary)) throw new Error(`${method} was stored`);
  }
  const chunked = { lines: ['Transfer-Encoding: chunked'], body: `b\r\n${canary}\r\n0\r\n\r\n` };
  origin.plays(mirror(fresh), mirror(fresh));
  await client.send({ target: '/chunked', ...chunked });
  const received = await client.get('/chunked');
  if (received.body.includes(canary)) throw new Error('a chunked body was stored');
});

scenario('poisoning: HEAD, a range or a condition first leaves the whole for others', async (s) => {
  const whole: Play = async (line, request) => {
    const range = request.field('range');
    const isPart = range !== undefined;
    const lines = [fresh, 'ETag: "a"', ...(isPart ? ['Content-Range: bytes 0-0/5'] : [])];
    await answer(lines, isPart ? 'w' : 'whole', isPart ? 206 : 200)(line, request);
  };
  s.origin.always(whole);
  await s.client.head('/head');
  await s.client.get('/range', 'Range: bytes=0-0').gives({ status: 206, body: 'w' });
  await s.client.get('/beyond', 'Range: bytes=99-').then(() => {});
  await s.client.get('/ranges', 'Range: bytes=0-0,2-2').then(() => {});
  await s.client.get('/tag', 'If-None-Match: "a"').gives({ status: 304 });
  await s.client.get('/if-range', 'Range: bytes=0-0', 'If-Range: "b"').then(() => {});
  await s.client.get('/match', 'If-Match: "b"').then(() => {});
  for (const target of ['head', 'range', 'beyond', 'ranges', 'tag', 'if-range', 'match']) {
    await s.client.get(`/${target}`).gives({ body: 'whole' });
  }
});

scenario('confusion: targets that an origin can tell apart share nothing', async (s) => {
  const targets = [
    '/a/b',
    '/a//b',
    '//a/b',
    '/a/b/',
    '/a/./b',
    '/a/../a/b',
    '/a%2Fb',
    '/a%2fb',
    '/a\\b',
    '/a%5Cb',
    '/%61/b',
    '/A/b',
    '/a;x/b',
    '/a/b;x',
    '/a/b?',
    '/a/b?x',
    '/a/b?x=',
    '/a/b%3Fx',
    '/a/b?x&y',
    '/a/b?y&x',
    '/a/b?x&x',
    '/a/b%00',
    '/a/b%0a',
    '/a/b%20',
    '/a/b+',
    '/a/b.css',
    '/a/b/..;/c.css',
    '/a/b%23c',
  ];
  for (const target of targets) {
    s.origin.plays(mirror(fresh));
    await s.client.get(target).gives({ cache: 'MISS' });
    await s.origin.got(s.origin.requests.length, { target });
  }
  for (const target of targets) {
    const received = await s.client.get(target);
    if (!received.body.toString().startsWith(`GET ${target} `)) throw new Error(target);
  }
});

scenario('deception: nothing is stored because of how its URL looks', async (s) => {
  for (const target of [
    '/account/a.css',
    '/account/a.js',
    '/account.png',
    '/account;a.css',
    '/account%00.css',
    '/account%23.css',
    '/account%3f.css',
    '/account/..%2fstatic/a.css',
    '/static/..%2faccount',
    '/static/../account',
    '/account?a.css',
    '/robots.txt',
    '/favicon.ico',
  ]) {
    for (const lines of ['', 'Set-Cookie: session=1', 'Cache-Control: no-cache', 'ETag: "a"']) {
      s.origin.always(answer(lines, 'secret'));
      await s.client.get(target, 'Cookie: owner').gives({ body: 'secret' });
      s.origin.always(answer('', 'login'));
      await s.client.get(target).gives({ body: 'login' });
    }
  }
});

scenario('denial: an error that a request provoked is not kept for others', async (s) => {
  const provoking = [
    'X-Metachars: \x80\xff',
    `X-Long: ${'a'.repeat(20_000)}`,
    'X-HTTP-Method-Override: DELETE',
    'X-Forwarded-Port: 0',
    'Accept-Encoding: junk;q=99',
    'Range: bytes=0-0',
    'If-None-Match: x',
    'Expect: 200-ok',
    'Content-Type: x',
    'Origin: null',
    'Transfer-Encoding: x',
    'User-Agent: scanner',
  ];
  for (const [at, line] of provoking.entries()) {
    for (const status of [400, 403, 404, 405, 413, 414, 416, 417, 429, 431, 500, 501, 502, 503]) {
      const target = `/${at}-${status}`;
      s.origin.always(answer('Content-Type: text/plain', 'bad', status));
      await s.client.get(target, line);
      s.origin.always(answer('', 'good'));
      await s.client.get(target).gives({ body: 'good' });
    }
  }
});

scenario('denial: what we refuse ourselves is not kept', async ({ origin, client }) => {
  origin.plays(answer(fresh, 'good'));
  for (const fields of ['Host: site.test\r\nX A: 1\r\n', `X: ${'a'.repeat(40_000)}\r\n`, '']) {
    await client.raw(`GET /a HTTP/1.1\r\n${fields}Connection: close\r\n\r\n`);
  }
  await client.get('/a', 'Cache-Control: only-if-cached').gives({ status: 504 });
  await client.get('/a').gives({ body: 'good' });
  await client.get('/a').gives({ body: 'good', cache: 'HIT' });
});

scenario('denial: redirects and errors without a lifetime are not kept', async (s) => {
  for (const status of [300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 501]) {
    s.origin.plays(answer('Location: /loop', 'bad', status), answer('', 'good'));
    await s.client.get(`/${status}`).gives({ status });
    await s.client.get(`/${status}`).gives({ body: 'good', cache: 'MISS' });
  }
});

scenario('denial: junk fields do not lead past the store', async ({ origin, client }) => {
  origin.plays(answer(fresh, 'one'));
  await client.get('/a').gives({ body: 'one' });
  for (const line of [
    'Cookie: junk',
    'Authorization: junk',
    'X-Junk: 1',
    'Cache-Control: junk',
    'Pragma: junk',
    'Accept-Encoding: junk',
    'Accept: junk',
    'Range: junk',
    'If-Modified-Since: junk',
    'If-None-Match: junk',
    'If-Range: junk',
    'Connection: junk',
    'TE: junk',
    'Content-Length: 0',
    'User-Agent: junk',
  ]) {
    await client.get('/a', line).gives({ body: 'one', cache: 'HIT' });
  }
});

scenario('ranges: numbers that wrap are no way into other bytes', async ({ origin, client }) => {
  origin.plays(answer(fresh, '0123456789'));
  await client.get('/a').gives({ body: '0123456789' });
  for (const range of [
    '0-18446744073709551615',
    '0-9223372036854775807',
    '-18446744073709551615',
    '-9223372036854775808',
    '0-4294967295',
  ]) {
    await client.get('/a', `Range: bytes=${range}`).gives({ status: 206, body: '0123456789' });
  }
  for (const range of ['18446744073709551614-', '9223372036854775807-', '4294967296-']) {
    await client.get('/a', `Range: bytes=${range}`).gives({ status: 416 });
  }
  for (const range of ['18446744073709551615-0', '5-4', '--5', '0-5,-18446744073709551615x']) {
    await client.get('/a', `Range: bytes=${range}`).gives({ body: '0123456789' });
  }
});

scenario('ranges: overlapping and tiny ones in number cost no more than the whole', async (s) => {
  const body = 'x'.repeat(10_000);
  s.origin.plays(answer(fresh, body));
  await s.client.get('/a').gives({ body });
  const overlapping = Array.from({ length: 500 }, (_, at) => `${at}-9999`).join();
  const tiny = Array.from({ length: 1500 }, (_, at) => `${2 * at}-${2 * at}`).join();
  const nested = Array.from({ length: 500 }, (_, at) => `${at}-${9999 - at}`).join();
  for (const ranges of [overlapping, tiny, nested]) {
    const received = await s.client.get('/a', `Range: bytes=${ranges}`);
    if (received.body.length > 2 * body.length) throw new Error(`${received.body.length} bytes`);
  }
});

scenario('ranges: a 206 that lies about its bytes is not put together', async (s) => {
  for (const [at, range] of [
    'bytes 0-9/10',
    'bytes 0-4/3',
    'bytes 5-2/10',
    'bytes 0-18446744073709551615/18446744073709551616',
    'bytes */10',
    'bytes 0-4/-1',
    'lines 0-4/10',
    '',
  ].entries()) {
    const lines = [fresh, 'ETag: "a"', `Content-Range: ${range}`];
    s.origin.always(answer(lines, '01234', 206));
    await s.client.get(`/${at}`, 'Range: bytes=0-4').then(() => {});
    s.origin.always(answer([fresh, 'ETag: "a"'], 'abcdefghij'));
    await s.client.get(`/${at}`).gives({ body: 'abcdefghij' });
  }
});

scenario("truncation: half of a body is nobody's whole", async ({ origin, client }) => {
  const half = (lines: readonly string[]) => bytes(`${head([fresh, ...lines])}5\r\n01234\r\n`);
  origin.plays(half(['Content-Length: 100']), answer(fresh, 'whole'));
  await client.get('/a').gives({ isCut: true });
  await client.get('/a').gives({ body: 'whole', cache: 'MISS' });
  origin.plays(half(['Transfer-Encoding: chunked']), answer(fresh, 'whole'));
  await client.get('/b').gives({ isCut: true, body: '01234' });
  await client.get('/b').gives({ body: 'whole', cache: 'MISS' });
});
