// Section 11 of the clauses: framing in both directions, Host, what could poison the store, collapsed
// requests, and reuse. More spellings of the same attacks are in threats-*.test.ts.

import { gate, until } from '../support/until.js';
import { answer, bytes, chunked, hangUp, head, scenario } from './language/scenario.js';

const fresh = 'Cache-Control: max-age=60';
const host = 'Host: site.test\r\n';

scenario('11.1a a request with two framings or a bad length is refused', async (s) => {
  for (const fields of [
    'Content-Length: 3\r\nTransfer-Encoding: chunked\r\n',
    'Content-Length: 3\r\nContent-Length: 4\r\n',
    'Content-Length: 3, 4\r\n',
    'Content-Length: x\r\n',
    'Content-Length: -3\r\n',
    'X-A: 1\nX-B: 2\r\n',
    'X-A: 1\rX-B: 2\r\n',
    'X-A : 1\r\n',
    'X-A: 1\r\n 2\r\n',
    'Transfer-Encoding: gzip\r\n',
    'Transfer-Encoding: chunked, gzip\r\n',
    'Transfer-Encoding: xchunked\r\n',
  ]) {
    const text = await s.client.raw(`POST /a HTTP/1.1\r\n${host}${fields}\r\n0\r\n\r\n`);
    if (!/^HTTP\/1\.1 (400|501) /.test(text)) throw new Error(`${fields} gave ${text}`);
    if (text.split('HTTP/1.1').length !== 2) throw new Error(`${fields} gave more than one answer`);
  }
  s.origin.wasAsked(0);
});

scenario('11.1b a response with two framings or a bad length is a 502', async (s) => {
  for (const [at, lines] of [
    ['Content-Length: 3', 'Transfer-Encoding: chunked'],
    ['Content-Length: 3', 'Content-Length: 4'],
    ['Content-Length: 3, 4'],
    ['Content-Length: x'],
    ['Content-Length: -3'],
    ['Content-Length: 3', 'X-A : 1'],
    ['Content-Length: 3', 'X-A: 1\rX-B: 2'],
    ['Content-Length: 3', ': 1'],
  ].entries()) {
    const play = bytes(`${head([fresh, ...lines])}one`);
    s.origin.always(play);
    await s.client.get(`/${at}`).gives({ status: 502 });
    s.origin.always(answer(fresh, 'good'));
    await s.client.get(`/${at}`).gives({ body: 'good', cache: 'MISS' });
  }
});

scenario('11.1c a transfer coding in HTTP/1.0 is a 502', async ({ origin, client }) => {
  const old = (lines: readonly string[]) => head([fresh, ...lines]).replace('HTTP/1.1', 'HTTP/1.0');
  origin.always(bytes(`${old(['Transfer-Encoding: chunked'])}3\r\none\r\n0\r\n\r\n`));
  await client.get('/a').gives({ status: 502 });
  for (const lines of [['Content-Length: 3'], []]) {
    const target = `/${lines.length}`;
    origin.always(bytes(`${old(lines)}one`));
    await client.get(target).gives({ body: 'one', cache: 'MISS' });
    await client.get(target).gives({ body: 'one', cache: 'HIT' });
  }
});

scenario('11.2a no body for HEAD, 204 and 304, whatever the fields say', async (s) => {
  s.origin.plays(bytes(head([fresh, 'Content-Length: 99']), 'stay'), answer('', 'next'));
  await s.client.head('/a').gives({ fields: { 'Content-Length': '99' } });
  await s.client.get('/b').gives({ body: 'next' });
  s.origin.plays(bytes(head([fresh, 'Content-Length: 99'], 204), 'close'), answer('', 'next'));
  await s.client.get('/c').gives({ status: 204, fields: { 'Content-Length': null } });
  await s.client.get('/d').gives({ body: 'next' });
});

scenario('11.2b the final chunked coding frames, else the length, else the close', async (s) => {
  s.origin.plays(chunked(fresh, 'one'), answer(fresh, 'two'), bytes(`${head(fresh)}three`));
  for (const [target, body] of [
    ['/a', 'one'],
    ['/b', 'two'],
    ['/c', 'three'],
  ] as const) {
    await s.client.get(target).gives({ body });
    await s.client.get(target).gives({ body, cache: 'HIT' });
  }
});

scenario('11.2c a coding that is not chunked alone is an error', async ({ origin, client }) => {
  const codings = ['gzip', 'chunked, gzip', 'gzip, chunked', 'strange', 'identity', 'xchunked'];
  for (const [at, coding] of codings.entries()) {
    const lines = [fresh, `Transfer-Encoding: ${coding}`];
    origin.always(bytes(`${head(lines)}5\r\nbytes\r\n0\r\n\r\n`));
    await client.get(`/${at}`).gives({ status: 502 });
    origin.always(answer(fresh, 'good'));
    await client.get(`/${at}`).gives({ body: 'good', cache: 'MISS' });
  }
});

scenario('11.3a exactly one valid Host', async ({ origin, client }) => {
  for (const fields of [
    '',
    'Host: site.test\r\nHost: other.test\r\n',
    'Host: site.test\r\nHost: site.test\r\n',
    'Host: site.test, other.test\r\n',
    'Host: site.test/a\r\n',
    'Host: a@site.test\r\n',
    'Host: site test\r\n',
    'Host:\r\n',
  ]) {
    const text = await client.raw(`GET /a HTTP/1.1\r\n${fields}Connection: close\r\n\r\n`);
    if (!text.startsWith('HTTP/1.1 400 ')) throw new Error(`${fields} gave ${text}`);
  }
  origin.wasAsked(0);
});

scenario('11.3b Host and target agree at the origin', async ({ origin, client }) => {
  origin.plays(answer('', 'one'));
  await client.get('http://other.test:81/a?b', 'Host: site.test').gives({ body: 'one' });
  const fields = { Host: /^127\.0\.0\.1:\d+$/, 'X-Forwarded-Host': 'other.test:81' };
  await origin.got(1, { target: '/a?b', fields });
});

scenario('11.4a what a client claims about forwarding is overwritten', async (s) => {
  const evil = ['evil.test', '"evil"'];
  s.origin.plays(answer(fresh, 'one'));
  await s.client.get(
    '/a',
    `X-Forwarded-Host: ${evil[0]}`,
    `X-Forwarded-For: ${evil[0]}`,
    `X-Forwarded-Proto: ${evil[0]}`,
    `X-Forwarded-Port: ${evil[0]}`,
    `X-Forwarded-Prefix: ${evil[0]}`,
    `Forwarded: host=${evil[1]}`,
    `X-Real-IP: ${evil[0]}`,
  );
  const { fields } = s.origin.requests[0]!;
  if (fields.some((text) => text.includes('evil'))) throw new Error(fields.join('\n'));
});

scenario('11.4b fields that rename method or target do not reach a fill', async (s) => {
  s.origin.plays(answer(fresh, 'one'));
  const names = ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override'];
  names.push('X-Original-URL', 'X-Rewrite-URL', 'X-Original-Host', 'X-Host');
  await s.client.get('/a', ...names.map((name) => `${name}: evil`)).gives({ body: 'one' });
  await s.origin.got(1, { fields: Object.fromEntries(names.map((name) => [name, null])) });
});

scenario('11.4c a GET with a body is neither stored nor answered from the store', async (s) => {
  s.origin.plays(answer(fresh, 'fat'), answer(fresh, 'plain'), answer(fresh, 'fat again'));
  await s.client.send({ target: '/a', body: 'x=1' }).gives({ body: 'fat', cache: 'BYPASS' });
  await s.origin.got(1, { body: 'x=1' });
  await s.client.get('/a').gives({ body: 'plain', cache: 'MISS' });
  await s.client.send({ target: '/a', body: 'x=1' }).gives({ body: 'fat again' });
  await s.client.get('/a').gives({ body: 'plain', cache: 'HIT' });
});

scenario('11.5a concurrent misses on one key are one request', async (s) => {
  const goOn = gate();
  s.origin.plays(async (line, request) => {
    await goOn.opened;
    await answer(fresh, 'one')(line, request);
  });
  const asking = Array.from({ length: 20 }, () => s.client.get('/a'));
  await until('twenty exchanges', () => s.proxy.counters().exchangesOpen === 20);
  goOn.open();
  for (const asked of asking) await asked.gives({ body: 'one' });
});

scenario('11.5b what is not for sharing is asked for by each', async (s) => {
  const kinds = ['Cache-Control: private', 'Cache-Control: no-store', 'Vary: *', 'Set-Cookie: a=1'];
  for (const [at, kind] of kinds.entries()) {
    const goOn = gate();
    const before = s.origin.requests.length;
    s.origin.always(async (line, request) => {
      await goOn.opened;
      await answer(kind, request.field('x-who') ?? '')(line, request);
    });
    const who = ['a', 'b', 'c', 'd'];
    const asking = who.map((name) => s.client.get(`/${at}`, `X-Who: ${name}`));
    await until('four exchanges', () => s.proxy.counters().exchangesOpen === 4);
    goOn.open();
    for (const [place, asked] of asking.entries()) await asked.gives({ body: who[place]! });
    s.origin.wasAsked(before + 4);
  }
});

scenario('11.5c another variant is asked for alone', async (s) => {
  const goOn = gate();
  s.origin.always(async (line, request) => {
    await goOn.opened;
    await answer([fresh, 'Vary: X-Who'], request.field('x-who') ?? '')(line, request);
  });
  const who = ['a', 'b', 'a', 'b'];
  const asking = who.map((name) => s.client.get('/a', `X-Who: ${name}`));
  await until('four exchanges', () => s.proxy.counters().exchangesOpen === 4);
  goOn.open();
  for (const [place, asked] of asking.entries()) await asked.gives({ body: who[place]! });
  s.origin.wasAsked(2);
});

scenario('11.5d the answer to an authorized request is for it alone', async (s) => {
  const goOn = gate();
  s.origin.always(async (line, request) => {
    await goOn.opened;
    await answer(fresh, request.field('authorization') ?? 'nobody')(line, request);
  });
  const asking = [s.client.get('/a', 'Authorization: me'), s.client.get('/a')];
  await until('two exchanges', () => s.proxy.counters().exchangesOpen === 2);
  goOn.open();
  await asking[0]!.gives({ body: 'me' });
  await asking[1]!.gives({ body: 'nobody' });
});

scenario('11.5e a slow reader does not hold up the others', async (s) => {
  const body = 'x'.repeat(3 * 1024 * 1024);
  s.origin.plays(answer(fresh, body));
  const slow = await s.client.connect();
  const asked = slow.ask({ target: '/a' });
  await until('the first bytes', () => slow.seen.length > 0);
  slow.pause();
  for (let at = 0; at < 3; at += 1) await s.client.get('/a').gives({ body });
  slow.resume();
  await asked.gives({ body });
});

const impatient = { config: () => ({ timeouts: { head: '150ms' } }) };

scenario('11.5f a stalled origin lets those who wait go', impatient, async (s) => {
  const never = gate();
  s.origin.always(() => never.opened);
  const asking = [s.client.get('/a'), s.client.get('/a'), s.client.get('/a')];
  for (const asked of asking) await asked.gives({ status: 504 });
  never.open();
});

scenario('11.5g a request with no-store shares with nobody', async (s) => {
  const goOn = gate();
  s.origin.always(async (line, request) => {
    await goOn.opened;
    await answer(fresh, request.field('x-who') ?? '')(line, request);
  });
  const asking = [
    s.client.get('/a', 'X-Who: a', 'Cache-Control: no-store'),
    s.client.get('/a', 'X-Who: b'),
  ];
  await until('two exchanges', () => s.proxy.counters().exchangesOpen === 2);
  goOn.open();
  await asking[0]!.gives({ body: 'a' });
  await asking[1]!.gives({ body: 'b' });
  await s.client.get('/a').gives({ body: 'b', cache: 'HIT' });
});

scenario('11.5h who leads may leave; who follows gets the whole', async (s) => {
  const goOn = gate();
  s.origin.plays(async (line) => {
    await line.write(`${head([fresh, 'Content-Length: 6'])}one`);
    await goOn.opened;
    await line.write('two');
  });
  const leader = await s.client.connect();
  const leading = leader.ask({ target: '/a' });
  await until('the first bytes', () => leader.seen.endsWith('one'));
  const following = s.client.get('/a');
  await until('two exchanges', () => s.proxy.counters().exchangesOpen === 2);
  leader.reset();
  await leading.then(() => {});
  goOn.open();
  await following.gives({ body: 'onetwo' });
});

scenario('11.5i an origin that breaks off breaks the bodies of all who follow', async (s) => {
  const goOn = gate();
  s.origin.plays(async (line) => {
    await line.write(`${head([fresh, 'Content-Length: 6'])}one`);
    await goOn.opened;
    line.reset();
  });
  const asking = [s.client.get('/a'), s.client.get('/a'), s.client.get('/a')];
  await until('three exchanges', () => s.proxy.counters().exchangesOpen === 3);
  goOn.open();
  for (const asked of asking) await asked.gives({ body: 'one', isCut: true });
  s.origin.plays(answer('', 'next'));
  await s.client.get('/a').gives({ body: 'next' });
});

scenario('11.6 errors without a lifetime are not stored', async ({ origin, client, clock }) => {
  const modified = `Last-Modified: ${clock.date(-864_000)}`;
  for (const status of [400, 403, 429, 500, 502, 503, 504]) {
    origin.plays(answer(modified, 'bad', status), answer(fresh, 'good'));
    await client.get(`/${status}`).gives({ status, body: 'bad' });
    await client.get(`/${status}`).gives({ body: 'good', cache: 'MISS' });
  }
});

scenario('11.6b our own errors are not stored', async ({ origin, client }) => {
  origin.always(hangUp);
  const fields = { 'Cache-Control': 'no-store' };
  await client.get('/a').gives({ status: 502, fields });
  origin.always(answer(fresh, 'good'));
  await client.get('/a').gives({ body: 'good', cache: 'MISS' });
});

scenario(
  '11.7a a response answers others as soon as it was delivered',
  { store: 'raw' },
  async (s) => {
    s.origin.plays(answer(fresh, 'one'));
    await s.client.get('/a').gives({ body: 'one' });
    await s.client.get('/a').gives({ body: 'one', cache: 'HIT' });
  },
);

scenario('11.7b after a restart its age counts the time between', { store: 'raw' }, async (s) => {
  s.origin.plays(answer([fresh, 'ETag: "a"'], 'one'));
  await s.client.get('/a').gives({ body: 'one' });
  await s.proxy.restart(() => s.clock.advance(30));
  await s.client.get('/a').gives({ body: 'one', cache: 'HIT', age: 30 });
  s.origin.plays(answer(fresh, 'two'));
  await s.proxy.restart(() => s.clock.advance(30));
  await s.client.get('/a').gives({ body: 'two' });
});
