// What must hold of rights, waits and memory, whoever asks and whatever answers: promises 11, 13 and
// 15, beside what promises.test.ts and threats-limits.test.ts show of them.

import { gate, until } from '../support/until.js';
import { answer, head, type ScenarioOptions, scenario } from './language/scenario.js';

const fresh = 'Cache-Control: max-age=60';
const mib = 1024 * 1024;

scenario('promise 11a: no path of the public listener is ours', async ({ origin, client }) => {
  origin.always(answer(fresh, 'of the origin'));
  const paths = '/ /purge /status /stats /metrics /warm /health /admin /.millrace /millrace';
  for (const target of paths.split(' ')) {
    await client.get(target).gives({ body: 'of the origin', cache: 'MISS' });
    await client.get(target).gives({ body: 'of the origin', cache: 'HIT' });
  }
  const everything = { method: 'POST', target: '/purge', body: '{"all":true}' };
  await client.send(everything).gives({ body: 'of the origin' });
  await client.get('/status').gives({ cache: 'HIT' });
});

scenario('promise 11b: nothing that a client says is a purge', async ({ origin, client }) => {
  origin.plays(answer(fresh, 'one'));
  await client.get('/a').gives({ body: 'one' });
  const right = ['Authorization: Bearer right', 'X-Purge-Token: right'];
  for (const target of ['/a', 'http://site.test/a']) {
    await client.send({ method: 'PURGE', target }).gives({ status: 405 });
    await client.send({ method: 'PURGE', target, lines: right }).gives({ status: 405 });
  }
  for (const name of ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override']) {
    await client.get('/a', `${name}: PURGE`).gives({ body: 'one', cache: 'HIT' });
  }
  for (const method of ['BAN', 'INVALIDATE', 'FLUSH']) {
    await client.send({ method, target: '/a' }).gives({ status: 501 });
  }
  await client.get('/a').gives({ body: 'one', cache: 'HIT' });
  origin.wasAsked(1);
});

const purging: ScenarioOptions = {
  config: () => ({ purge: { enabled: true, auth_token: 'right-token' } }),
};

scenario('promise 11c: a purge takes the very token', purging, async ({ origin, client }) => {
  origin.plays(answer(fresh, 'one'), answer(fresh, 'two'));
  await client.get('/a').gives({ body: 'one' });
  const purge = (...lines: readonly string[]) =>
    client.send({ method: 'PURGE', target: '/a', lines });
  await purge().gives({ status: 401, cache: 'NONE' });
  for (const lines of [
    ['Authorization: Bearer x'],
    ['Authorization: Bearer right-toke'],
    ['Authorization: Bearer right-token2'],
    ['Authorization: Bearer RIGHT-TOKEN'],
    ['Authorization: Bearer wrong', 'Authorization: Bearer right-token'],
    ['X-Purge-Token: right'],
  ]) {
    await purge(...lines).gives({ status: 403, cache: 'NONE' });
    await client.get('/a').gives({ body: 'one', cache: 'HIT' });
  }
  await purge('Authorization: Bearer right-token').gives({ status: 200 });
  await client.get('/a').gives({ body: 'two', cache: 'MISS' });
});

const short: ScenarioOptions = {
  config: () => ({ timeouts: { head: '200ms', idle: '200ms', client_idle: '1s' } }),
};

scenario('promise 13c: every wait has a limit that nobody had to ask for', async ({ proxy }) => {
  const dayMs = 24 * 3600 * 1000;
  const [upstream] = proxy.config.upstreams.values();
  const all: Readonly<Record<string, number>> = {
    ...proxy.config.timeouts,
    ...upstream!.timeouts,
  };
  const limits = Object.entries(all);
  if (limits.length < 7) throw new Error(`${limits.length} limits`);
  for (const [name, ms] of limits) {
    if (!(ms > 0 && ms <= dayMs)) throw new Error(`${name} is ${ms}`);
  }
});

scenario('promise 13d: a head that trickles has no longer than others', short, async (s) => {
  let isGivenUp = false;
  s.origin.plays(async (line) => {
    void line.closed.then(() => {
      isGivenUp = true;
    });
    await line.write('HTTP/1.1 200 OK\r\n');
    for (let at = 0; !isGivenUp; at += 1) {
      await line.write(at % 8 === 7 ? '\r\n' : ('X:'[at % 8] ?? 'x'));
      await new Promise((resolve) => setImmediate(resolve));
    }
  });
  const { status } = await s.client.get('/a');
  if (status !== 504 && status !== 502) throw new Error(`${status}`);
  await until('the end of the connection', () => isGivenUp);
});

scenario('promise 13e: a client that takes nothing is given up', short, async (s) => {
  const body = 'x'.repeat(16 * mib);
  s.origin.plays(answer(fresh, body));
  const connection = await s.client.connect();
  connection.pause();
  connection.write('GET /a HTTP/1.1\r\nHost: site.test\r\n\r\n');
  await until('the request', () => s.origin.requests.length === 1);
  await until('the end of the exchange', () => s.proxy.counters().exchangesOpen === 0);
  connection.resume();
  await connection.rest();
});

const narrow: ScenarioOptions = {
  config: (origin) => ({
    upstreams: {
      one: {
        origins: `http://${origin}`,
        max_connections: 1,
        timeouts: { connect: '200ms', head: '60s' },
      },
    },
    routes: [{ upstream: 'one' }],
    timeouts: { head: '60s' },
  }),
};

scenario('promise 13f: who waits for a place does so in a row with an end', narrow, async (s) => {
  const goOn = gate();
  s.origin.plays(async (line, request) => {
    await goOn.opened;
    await answer(fresh, 'one')(line, request);
  });
  const first = s.client.get('/a');
  await until('the first request', () => s.origin.requests.length === 1);
  s.origin.plays(answer(fresh, 'two'));
  const second = s.client.get('/b');
  await until('the second exchange', () => s.proxy.counters().exchangesOpen === 2);
  s.origin.wasAsked(1);
  goOn.open();
  await first.gives({ body: 'one' });
  await second.gives({ body: 'two' });
});

scenario('promise 15: memory does not follow size, number or pace of what is asked', async (s) => {
  const part = 'x'.repeat(mib);
  const parts = 64;
  const readers = 24;
  let written = 0;
  s.origin.always(async (line) => {
    await line.write(head([fresh, `Content-Length: ${parts * part.length}`]));
    for (let at = 0; at < parts; at += 1) {
      await line.write(part);
      written += part.length;
    }
  });
  const connections = await Promise.all(Array.from({ length: readers }, () => s.client.connect()));
  for (const [at, connection] of connections.entries()) {
    connection.pause();
    connection.write(`GET /${at} HTTP/1.1\r\nHost: site.test\r\n\r\n`);
  }
  await until('all requests', () => s.origin.requests.length === readers);
  const used = () => Number(s.proxy.storeStats().memoryUsed);
  let most = 0;
  let before = -1;
  for (let still = 0; still < 300; still += 1) {
    most = Math.max(most, used());
    if (written !== before) still = 0;
    before = written;
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { memoryLimitBytes, l1CacheSizeBytes } = s.proxy.config;
  if (most > memoryLimitBytes) throw new Error(`${most} bytes of ${memoryLimitBytes} were held`);
  const asked = readers * parts * mib;
  if (written > asked / 2) throw new Error(`${written} of ${asked} bytes were taken for nobody`);
  for (const connection of connections) connection.reset();
  await until('their end', () => s.proxy.counters().exchangesOpen === 0);
  await until('the pages back', () => used() <= l1CacheSizeBytes + 8 * mib);
});
