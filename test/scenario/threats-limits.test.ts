// Threats to time and memory: clients that send half of something or read nothing, crowds of them, origins
// that hang, floods of keys and variants. Others are served meanwhile, and what was held comes back.

import { gate, until } from '../support/until.js';
import { answer, head, scenario } from './language/scenario.js';

const fresh = 'Cache-Control: max-age=60';
const host = 'Host: site.test\r\n';
const impatient = { config: () => ({ timeouts: { client_idle: '1s' } }) };

scenario('limits: an upload that breaks off is no whole body for the origin', async (s) => {
  for (const [at, start] of [
    `POST /a HTTP/1.1\r\n${host}Content-Length: 10\r\n\r\n12345`,
    `POST /a HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n`,
    `POST /a HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n5\r\n123`,
  ].entries()) {
    for (const leave of ['end', 'reset'] as const) {
      let ending = '';
      s.origin.always(async (_line, request) => {
        ending = await request.body.then(
          () => 'whole',
          () => 'broken',
        );
      });
      const connection = await s.client.connect();
      connection.write(start);
      const number = at * 2 + (leave === 'end' ? 1 : 2);
      await until('the request', () => s.origin.requests.length === number);
      connection[leave]();
      await until('the end of the body', () => ending !== '');
      if (ending !== 'broken') throw new Error(`${leave} after ${start.length} bytes: ${ending}`);
    }
  }
});

const guarded = {
  config: (origin: string) => ({
    upstreams: { one: { origins: [`http://${origin}`], circuit_breaker: true } },
    routes: [{ upstream: 'one' }],
  }),
};

scenario('limits: clients that break off do not put the origin out', guarded, async (s) => {
  s.origin.always(async (_line, request) => void (await request.body.catch(() => {})));
  for (let at = 1; at <= 8; at += 1) {
    const connection = await s.client.connect();
    const expect = at % 2 === 0 ? 'Expect: 100-continue\r\n' : '';
    const body = expect === '' ? '12345' : '';
    connection.write(`POST /a HTTP/1.1\r\n${host}Content-Length: 10\r\n${expect}\r\n${body}`);
    await until('the request', () => s.origin.requests.length === at);
    connection.reset();
    await until('the end of the exchange', () => s.proxy.counters().exchangesOpen === 0);
  }
  s.origin.always(answer(fresh, 'one'));
  await s.client.get('/a').gives({ body: 'one' });
});

scenario('limits: an upload that is announced and never sent is given up', impatient, async (s) => {
  let isReleased = false;
  s.origin.always(async (line, request) => {
    await Promise.race([line.closed, request.body.catch(() => {})]);
    isReleased = true;
  });
  const connection = await s.client.connect();
  connection.write(`POST /a HTTP/1.1\r\n${host}Content-Length: 10\r\nExpect: 100-continue\r\n\r\n`);
  await connection.rest();
  await until('the end of every exchange', () => s.proxy.counters().exchangesOpen === 0);
  if (s.origin.requests.length > 0) await until('the origin', () => isReleased);
});

scenario('limits: a crowd of half requests keeps nobody from being served', async (s) => {
  s.origin.plays(answer(fresh, 'one'));
  const crowd = await Promise.all(Array.from({ length: 300 }, () => s.client.connect()));
  for (const [at, connection] of crowd.entries()) {
    connection.write(`GET /${at} HTTP/1.1\r\n${host}X-Slow: ${'a'.repeat(at)}`);
  }
  await s.client.get('/a').gives({ body: 'one' });
  for (let at = 0; at < 20; at += 1) await s.client.get('/a').gives({ cache: 'HIT' });
  for (const connection of crowd) connection.reset();
  s.origin.wasAsked(1);
});

scenario('limits: an origin that hangs on one URL does not hold up others', async (s) => {
  const never = gate();
  s.origin.always((line, request) =>
    request.target.startsWith('/hang') ? never.opened : answer(fresh, 'one')(line, request),
  );
  const waiting = await Promise.all(Array.from({ length: 200 }, () => s.client.connect()));
  for (const [at, connection] of waiting.entries()) {
    connection.write(`GET /hang-${at % 50} HTTP/1.1\r\n${host}\r\n`);
  }
  await until('who waits', () => s.proxy.counters().exchangesOpen === 200);
  await until('the origin', () => s.origin.requests.length >= 50);
  const connection = await s.client.connect();
  for (const cache of ['MISS', 'HIT', 'HIT'] as const) {
    await connection.ask({ target: '/a' }).gives({ body: 'one', cache });
  }
  const asked = s.origin.requests.filter(({ target }) => target.startsWith('/hang')).length;
  if (asked !== 50) throw new Error(`${asked} requests for 50 URLs`);
  for (const client of waiting) client.reset();
  never.open();
});

scenario('limits: readers that stop are no trouble for those who read', async (s) => {
  const body = 'x'.repeat(12 * 1024 * 1024);
  s.origin.plays(answer(fresh, body));
  await s.client.get('/a').gives({ body });
  const stopped = await Promise.all(Array.from({ length: 8 }, () => s.client.connect()));
  for (const connection of stopped) {
    connection.pause();
    connection.write(`GET /a HTTP/1.1\r\n${host}\r\n`);
  }
  await until('the exchanges', () => s.proxy.counters().exchangesOpen === 8);
  const reading = await s.client.connect();
  for (let at = 0; at < 3; at += 1) {
    await reading.ask({ target: '/a' }).gives({ body, cache: 'HIT' });
  }
  for (const connection of stopped) connection.reset();
  await until('their end', () => s.proxy.counters().exchangesOpen === 0);
});

scenario('limits: a flood of keys stays within the memory tier', async (s) => {
  const body = 'x'.repeat(64 * 1024);
  s.origin.always(answer(fresh, body));
  const connection = await s.client.connect();
  for (let at = 0; at < 600; at += 1) await connection.ask({ target: `/${at}` }).gives({ body });
  const { l1Used } = s.proxy.storeStats();
  if (!(Number(l1Used) > 0 && Number(l1Used) <= s.proxy.config.l1CacheSizeBytes)) {
    throw new Error(`${l1Used} bytes are held`);
  }
  await s.client.get('/599').gives({ cache: 'HIT' });
});

scenario('limits: a head that never ends is cut off', async ({ origin, client }) => {
  for (const part of [`X-A: ${'a'.repeat(1000)}\r\n`, 'a'.repeat(1000)]) {
    const connection = await client.connect();
    connection.write(`GET /a HTTP/1.1\r\n${host}X: `);
    for (let at = 0; at < 200 && !connection.isGone; at += 1) {
      connection.write(part);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const got = await connection.rest();
    if (!/^HTTP\/1\.1 431 /.test(got)) throw new Error(got);
  }
  origin.wasAsked(0);
});

scenario('limits: bytes behind a body are no part of it', async ({ origin, client }) => {
  origin.plays(answer('', 'one'));
  const got = await client.raw(`POST /a HTTP/1.1\r\n${host}Content-Length: 5\r\n\r\n12345678`);
  if (!/^HTTP\/1\.1 200 .*\r\n\r\none(HTTP\/1\.1 400 |$)/s.test(got)) throw new Error(got);
  await origin.got(1, { body: '12345' });
});

scenario('limits: a body that nobody reads does not fill memory', async (s) => {
  const part = 'x'.repeat(65_536);
  const parts = 640;
  s.origin.plays(async (line) => {
    await line.write(head([fresh, `Content-Length: ${parts * part.length}`]));
    for (let at = 0; at < parts; at += 1) await line.write(part);
  });
  const connection = await s.client.connect();
  connection.pause();
  connection.write(`GET /a HTTP/1.1\r\n${host}\r\n`);
  await until('the request', () => s.origin.requests.length === 1);
  let most = 0;
  let quiet = 0;
  let before = -1;
  while (quiet < 500) {
    const { memoryUsed = 0 } = s.proxy.storeStats() as { memoryUsed?: number };
    most = Math.max(most, memoryUsed);
    quiet = memoryUsed === before ? quiet + 1 : 0;
    before = memoryUsed;
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (most > s.proxy.config.memoryLimitBytes) throw new Error(`${most} bytes were held`);
  connection.reset();
});
