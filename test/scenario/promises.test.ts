// What must hold whoever asks and whatever answers. Promises that another file shows in full have their
// shortest form here.

import { gate, until } from '../support/until.js';
import {
  answer,
  bytes,
  chunked,
  hangUp,
  head,
  notModified,
  scenario,
} from './language/scenario.js';

const fresh = 'Cache-Control: max-age=60';
const host = 'Host: site.test\r\n';

scenario('promise 1: a body is whole and exact, or visibly cut', async ({ origin, client }) => {
  const sizes = [0, 1, 4095, 65_535, 65_536, 65_537, 1_048_575, 1_048_577, 2_500_000];
  for (const size of sizes) {
    const body = Array.from({ length: size }, (_, at) => String.fromCharCode(at % 251)).join('');
    origin.plays(answer(fresh, body), chunked(fresh, ...(size === 0 ? [] : [body])));
    for (const target of [`/length-${size}`, `/chunks-${size}`]) {
      await client.get(target).gives({ body });
      await client.get(target).gives({ body, cache: 'HIT' });
    }
    if (size === 0) continue;
    origin.plays(bytes(`${head([fresh, `Content-Length: ${size + 1}`])}${body}`));
    await client.get(`/cut-${size}`).gives({ body, isCut: true });
  }
});

scenario('promise 3: nothing that broke off is stored as complete', async ({ origin, client }) => {
  for (const then of ['close', 'reset'] as const) {
    origin.plays(bytes(`${head([fresh, 'Content-Length: 9'])}12345678`, then), answer('', 'next'));
    await client.get(`/${then}`).gives({ isCut: true });
    await client.get(`/${then}`).gives({ body: 'next' });
  }
});

scenario(
  'promise 4: who waits for the same URL gets nothing that is not for sharing',
  async (s) => {
    for (const line of [
      'Cache-Control: private, max-age=60',
      'Cache-Control: no-store',
      'Vary: *',
    ]) {
      const goOn = gate();
      const target = `/${s.origin.requests.length}`;
      const before = s.origin.requests.length;
      s.origin.always(async (wire, request) => {
        await goOn.opened;
        await answer([fresh, line], request.field('cookie') ?? '')(wire, request);
      });
      const asking = ['a', 'b', 'c'].map((name) => s.client.get(target, `Cookie: ${name}`));
      await until('three exchanges', () => s.proxy.counters().exchangesOpen === 3);
      goOn.open();
      for (const [at, asked] of asking.entries()) await asked.gives({ body: 'abc'[at]! });
      s.origin.wasAsked(before + 3);
    }
  },
);

scenario(
  'promise 6: what is forwarded is canonical, however it came',
  async ({ origin, client }) => {
    // The origin of each scenario refuses what is not; this is the oddest that may still come.
    origin.plays(answer('', 'one'), answer('', 'two'));
    await client.get('/a', 'x-EMPTY:', 'X-Tab:\t1\t', 'X-Space:   1   ', 'X-High: \xff').gives({});
    const fields = { 'X-Empty': '', 'X-Tab': '1', 'X-Space': '1', 'X-High': '\xff' };
    await origin.got(1, { fields });
    const post = { method: 'POST', target: '/b', lines: ['transfer-ENCODING: Chunked'] };
    await client.send({ ...post, body: '1\r\nx\r\n0\r\n\r\n' }).gives({ body: 'two' });
    await origin.got(2, { body: 'x' });
  },
);

scenario('promise 7: behind a refused request nothing is read', async ({ origin, client }) => {
  const hidden = `GET /hidden HTTP/1.1\r\n${host}\r\n`;
  const length = `Content-Length: ${hidden.length}\r\n`;
  for (const start of [
    `PURGE /a HTTP/1.1\r\n${host}${length}`,
    `POST /a HTTP/1.1\r\n${host}Via: 1.1 x\r\nHost: twice\r\n${length}`,
    `GET http://user@site.test/ HTTP/1.1\r\n${host}${length}`,
  ]) {
    const got = await client.raw(`${start}\r\n${hidden}`);
    if (got.split('HTTP/1.1 ').length !== 2) throw new Error(got);
  }
  origin.wasAsked(0);
});

scenario(
  'promise 8: a connection with more or less than its response is not used again',
  async (s) => {
    const first = gate();
    s.origin.plays(async (line) => {
      await line.write(`${head('Content-Length: 3')}one...`);
      await line.closed;
      first.open();
    });
    s.origin.plays(answer('', 'two'));
    await s.client.get('/a').gives({ body: 'one' });
    await first.opened;
    await s.client.get('/b').gives({ body: 'two' });
  },
);

scenario('promise 9: nobody else is connected to, CONNECT and TRACE are refused', async (s) => {
  s.origin.always(answer('', 'one'));
  for (const line of ['CONNECT site.test:80 HTTP/1.1', 'CONNECT 127.0.0.1:1 HTTP/1.1']) {
    const got = await s.client.raw(`${line}\r\n${host}\r\n`);
    if (!/^HTTP\/1\.1 4\d\d /.test(got)) throw new Error(got);
  }
  s.origin.wasAsked(0);
  await s.client.get('http://127.0.0.1:1/a').gives({ body: 'one' });
});

scenario('promise 12: errors have to bring their lifetime', async ({ origin, client }) => {
  origin.plays(answer(fresh, 'gone', 404), answer('', 'gone', 410), answer('', 'back'));
  await client.get('/a').gives({ status: 404 });
  await client.get('/a').gives({ status: 404, cache: 'HIT' });
  await client.get('/b').gives({ status: 410 });
  await client.get('/b').gives({ body: 'back' });
  origin.always(hangUp);
  await client.get('/c').gives({ status: 502 });
  origin.always(answer('', 'there'));
  await client.get('/c').gives({ body: 'there' });
});

const short = { config: () => ({ timeouts: { head: '200ms', idle: '200ms', client_idle: '1s' } }) };

scenario('promise 13a: an origin that stalls is given up', short, async ({ origin, client }) => {
  const never = gate();
  origin.plays(
    () => never.opened,
    async (line) => {
      await line.write('HTTP/1.1 200 OK\r\nX-A: ');
      await never.opened;
    },
    async (line) => {
      await line.write(`${head([fresh, 'Content-Length: 9'])}1234`);
      await never.opened;
    },
  );
  await client.get('/a').gives({ status: 504 });
  await client.get('/b').gives({ status: 504 });
  await client.get('/c').gives({ body: '1234', isCut: true });
  never.open();
});

scenario('promise 13b: a client that stalls is given up', short, async ({ origin, client }) => {
  origin.always(async (_line, request) => void (await request.body.catch(() => {})));
  const half = [
    'GET /a HTTP/1.1\r\nHo',
    `POST /a HTTP/1.1\r\n${host}Content-Length: 9\r\n\r\n1234`,
    `POST /a HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n4\r\n1234\r\n`,
  ];
  const connections = await Promise.all(half.map(() => client.connect()));
  for (const [at, connection] of connections.entries()) connection.write(half[at]!);
  await Promise.all(connections.map((connection) => connection.rest()));
  await until('the end of every exchange', () => {
    return origin.requests.length > 0 === true && connections.every(({ isGone }) => isGone);
  });
});

scenario('promise 14: too large or too many is refused, at linear cost', async (s) => {
  s.origin.always(answer('', 'one'));
  const fields = (count: number) =>
    Array.from({ length: count }, (_, at) => `X-${at}: 1\r\n`).join('');
  const refused: ReadonlyArray<readonly [string, RegExp]> = [
    [`GET /${'a'.repeat(40_000)} HTTP/1.1\r\n${host}\r\n`, /^HTTP\/1\.1 4(00|14|31) /],
    [`GET /a HTTP/1.1\r\n${host}X: ${'a'.repeat(40_000)}\r\n\r\n`, /^HTTP\/1\.1 431 /],
    [`GET /a HTTP/1.1\r\n${host}${'a'.repeat(40_000)}: 1\r\n\r\n`, /^HTTP\/1\.1 431 /],
    [`GET /a HTTP/1.1\r\n${host}${fields(2500)}\r\n`, /^HTTP\/1\.1 431 /],
    [`GET /a HTTP/1.1\r\n${host}${fields(300)}\r\n`, /^HTTP\/1\.1 431 /],
  ];
  for (const [text, status] of refused) {
    const got = await s.client.raw(text.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
    if (!status.test(got)) throw new Error(`${text.length} bytes gave ${got.slice(0, 60)}`);
  }
  s.origin.wasAsked(0);
  await s.client.raw(`GET /a HTTP/1.1\r\n${host}${fields(150)}Connection: close\r\n\r\n`);
  await s.origin.got(1, { fields: { 'X-149': '1' } });
});

scenario('promise 16a: an unstored body goes at the pace of its reader', async (s) => {
  const part = 'x'.repeat(65_536);
  const parts = 640;
  let written = 0;
  s.origin.plays(async (line) => {
    await line.write(head(['Cache-Control: no-store', `Content-Length: ${parts * part.length}`]));
    for (; written < parts; written += 1) await line.write(part);
  });
  const connection = await s.client.connect();
  const asked = connection.ask({ target: '/a' });
  await until('the first bytes', () => connection.seen.length > 0);
  connection.pause();
  let before = -1;
  for (let still = 0; still < 300; still += 1) {
    if (written !== before) still = 0;
    before = written;
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (written > parts / 2) throw new Error(`${written} parts were taken for nobody`);
  connection.resume();
  const { body, isCut } = await asked;
  if (isCut || body.length !== parts * part.length) throw new Error(`${body.length} bytes`);
});

scenario('promise 16b: the last reader of an unstored body lets the origin go', async (s) => {
  const released = gate();
  s.origin.plays(async (line) => {
    await line.write(head(['Cache-Control: no-store', 'Transfer-Encoding: chunked']));
    await line.chunk('first');
    await line.closed;
    released.open();
  });
  const connection = await s.client.connect();
  const asked = connection.ask({ target: '/a' });
  await until('the first chunk', () => connection.seen.includes('first'));
  connection.reset();
  await asked.then(() => {});
  await released.opened;
});

const onDisk = { store: 'raw' } as const;

scenario('promise 2: what is found after a restart is what was stored', onDisk, async (s) => {
  const lines = [fresh, 'ETag: "v1"', 'X-Odd: \xe9'];
  const body = 'abc'.repeat(100_000);
  s.origin.plays(answer(lines, body), notModified(lines));
  await s.client.get('/a').gives({ body });
  await s.proxy.restart();
  const fields = { ETag: '"v1"', 'X-Odd': '\xe9' };
  await s.client.get('/a').gives({ body, cache: 'HIT', fields });
  s.clock.advance(61);
  await s.client.get('/a').gives({ body, cache: 'REVALIDATED', fields });
});

scenario('promise 5: scheme, host and raw target are the key', async ({ origin, client }) => {
  origin.plays(answer(fresh, 'one'), answer(fresh, 'two'), answer(fresh, 'three'));
  await client.get('/a%2Fb', 'Host: site.test').gives({ body: 'one' });
  await client.get('/a/b', 'Host: site.test').gives({ body: 'two' });
  await client.get('/a/b', 'Host: other.test').gives({ body: 'three' });
  await client.get('http://site.test/a/b').gives({ body: 'two', cache: 'HIT' });
});

scenario(
  'promise 10: named in Connection, gone in both directions and from the store',
  async (s) => {
    s.origin.plays(answer([fresh, 'Connection: X-Gone', 'X-Gone: 1', 'X-Kept: 1'], 'one'));
    const fields = { 'X-Gone': null, 'X-Kept': '1' };
    await s.client.get('/a', 'Connection: X-Gone', 'X-Gone: 1', 'X-Kept: 1').gives({ fields });
    await s.client.get('/a').gives({ fields, cache: 'HIT' });
    await s.origin.got(1, { fields });
  },
);
