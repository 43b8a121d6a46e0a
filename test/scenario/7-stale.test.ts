// Section 7 of the clauses: stale responses and repeated requests.

import { gate, until } from '../support/until.js';
import {
  answer,
  bytes,
  hangUp,
  head,
  notModified,
  scenario,
  withCache,
} from './language/scenario.js';

const tagged = ['Cache-Control: max-age=60', 'ETag: "v1"'];
const asked = (more: string) => [`Cache-Control: max-age=60, ${more}`, 'ETag: "v1"'];

scenario('7.1a nothing stale where the response forbids it, origin gone', async (s) => {
  const kinds = ['must-revalidate', 'proxy-revalidate', 's-maxage=60', 'no-cache'];
  for (const [at, kind] of kinds.entries()) {
    s.origin.plays(answer(asked(`${kind}, stale-if-error=600`), 'one'));
    await s.client.get(`/${at}`).gives({ body: 'one' });
    s.clock.advance(61);
    s.origin.always(hangUp);
    const fields = { 'Cache-Status': /^millrace; fwd=(stale|request)$/ };
    await s.client.get(`/${at}`).gives({ status: 504, cache: 'NONE', fields });
  }
});

scenario("7.1b nothing stale where it forbids it, but the origin's own error", async (s) => {
  const kinds = ['must-revalidate', 'proxy-revalidate', 's-maxage=60', 'no-cache'];
  for (const [at, kind] of kinds.entries()) {
    s.origin.plays(answer(asked(`${kind}, stale-if-error=600`), 'one'), answer('', 'down', 503));
    await s.client.get(`/${at}`).gives({ body: 'one' });
    s.clock.advance(61);
    await s.client.get(`/${at}`).gives({ status: 503, body: 'down' });
  }
});

scenario('7.1c nothing stale while it is validated where it forbids it', async (s) => {
  s.origin.plays(answer(asked('must-revalidate, stale-while-revalidate=60'), 'one'));
  s.origin.plays(notModified(tagged));
  await s.client.get('/a').gives({ body: 'one' });
  s.clock.advance(61);
  await s.client.get('/a').gives({ body: 'one', cache: 'REVALIDATED' });
});

scenario('7.2 without permission what is stale is validated first', async (s) => {
  s.origin.plays(answer(tagged, 'one'), answer(tagged, 'two'));
  await s.client.get('/a').gives({ body: 'one' });
  s.clock.advance(60);
  await s.client.get('/a').gives({ body: 'two', cache: 'EXPIRED' });
});

scenario('7.3a an origin that is gone is stood in for, within a bound', async (s) => {
  s.origin.plays(answer(tagged, 'one'));
  await s.client.get('/a').gives({ body: 'one' });
  s.clock.advance(61);
  for (const ending of [hangUp, bytes('')]) {
    s.origin.always(ending);
    await s.client.get('/a').gives({ body: 'one', cache: 'STALE', age: 61 });
  }
  s.clock.advance(86_400);
  await s.client.get('/a').gives({ status: 502 });
});

scenario('7.3b an origin that refuses connections is stood in for', async (s) => {
  s.origin.plays(answer(tagged, 'one'));
  await s.client.get('/a').gives({ body: 'one' });
  s.clock.advance(61);
  await s.proxy.origin.stop();
  await s.client.get('/a').gives({ body: 'one', cache: 'STALE' });
  await s.client.get('/b').gives({ status: 502 });
});

const impatient = { config: () => ({ timeouts: { head: '150ms' } }) };

scenario('7.3c an origin that says nothing in time is stood in for', impatient, async (s) => {
  const silent = gate();
  s.origin.plays(
    answer(tagged, 'one'),
    () => silent.opened,
    () => silent.opened,
  );
  await s.client.get('/a').gives({ body: 'one' });
  s.clock.advance(61);
  await s.client.get('/a').gives({ body: 'one', cache: 'STALE' });
  await s.client.get('/b').gives({ status: 504 });
  silent.open();
});

scenario('7.3d a received 5xx is no disconnection', async ({ origin, client, clock }) => {
  for (const status of [500, 502, 503, 504]) {
    origin.plays(answer(tagged, 'one'), answer('', 'down', status));
    await client.get(`/${status}`).gives({ body: 'one' });
    clock.advance(61);
    await client.get(`/${status}`).gives({ status, body: 'down' });
  }
});

const brief = withCache({ stale: { max: '10s' } });

scenario(
  '7.3e a route may bound how long it stands in',
  brief,
  async ({ origin, client, clock }) => {
    origin.plays(answer(tagged, 'one'));
    await client.get('/a').gives({ body: 'one' });
    origin.always(hangUp);
    clock.advance(69);
    await client.get('/a').gives({ body: 'one', cache: 'STALE' });
    clock.advance(1);
    await client.get('/a').gives({ status: 502 });
  },
);

scenario('7.4a stale-while-revalidate: the answer at once, one question behind it', async (s) => {
  const lines = asked('stale-while-revalidate=30');
  const answered = gate();
  s.origin.plays(answer(lines, 'one'), async (line, request) => {
    await answered.opened;
    await answer(lines, 'two')(line, request);
  });
  await s.client.get('/a').gives({ body: 'one' });
  s.clock.advance(61);
  for (let at = 0; at < 5; at += 1) {
    await s.client.get('/a').gives({ body: 'one', cache: 'STALE', age: 61 });
  }
  answered.open();
  await s.settled();
  await s.client.get('/a').gives({ body: 'two', cache: 'HIT' });
});

scenario('7.4b after the window it is validated in line', async ({ origin, client, clock }) => {
  const lines = asked('stale-while-revalidate=30');
  origin.plays(answer(lines, 'one'), answer(lines, 'two'));
  await client.get('/a').gives({ body: 'one' });
  clock.advance(90);
  await client.get('/a').gives({ body: 'two', cache: 'EXPIRED' });
});

scenario('7.4c an answer behind it that forbids reuse counts for the next', async (s) => {
  s.origin.plays(answer(asked('stale-while-revalidate=30'), 'one'));
  s.origin.plays(notModified('Cache-Control: no-store'), answer('', 'two'));
  await s.client.get('/a').gives({ body: 'one' });
  s.clock.advance(61);
  await s.client.get('/a').gives({ body: 'one', cache: 'STALE' });
  await s.client.get('/a').gives({ body: 'two', cache: 'MISS' });
});

const eager = withCache({ stale: { while_revalidate: '30s' } });

scenario('7.4d a route may grant stale-while-revalidate', eager, async (s) => {
  s.origin.plays(answer(tagged, 'one'), answer(tagged, 'two'));
  await s.client.get('/a').gives({ body: 'one' });
  s.clock.advance(61);
  await s.client.get('/a').gives({ body: 'one', cache: 'STALE' });
  await s.client.get('/a').gives({ body: 'two', cache: 'HIT' });
});

scenario('7.5a stale-if-error hides errors within its window', async (s) => {
  const lines = asked('stale-if-error=30');
  for (const status of [500, 502, 503, 504]) {
    s.origin.plays(answer(lines, 'one'), answer('', 'down', status), answer('', 'down', status));
    await s.client.get(`/${status}`).gives({ body: 'one' });
    s.clock.advance(89);
    await s.client.get(`/${status}`).gives({ body: 'one', cache: 'STALE', age: 89 });
    s.clock.advance(1);
    await s.client.get(`/${status}`).gives({ status, body: 'down' });
  }
});

scenario('7.5b stale-if-error hides no other status', async ({ origin, client, clock }) => {
  for (const status of [404, 403, 501]) {
    origin.plays(answer(asked('stale-if-error=30'), 'one'), answer('', 'no', status));
    await client.get(`/${status}`).gives({ body: 'one' });
    clock.advance(61);
    await client.get(`/${status}`).gives({ status, body: 'no' });
  }
});

scenario('7.5c stale-if-error of an origin that is gone', async ({ origin, client, clock }) => {
  const lines = asked('stale-if-error=200000');
  origin.plays(answer(lines, 'one'));
  await client.get('/a').gives({ body: 'one' });
  origin.always(hangUp);
  // Beyond the bound that holds where nothing is said.
  clock.advance(100_000);
  await client.get('/a').gives({ body: 'one', cache: 'STALE' });
});

scenario('7.5d a request may ask for stale-if-error', async ({ origin, client, clock }) => {
  const down = answer('', 'down', 503);
  origin.plays(answer(tagged, 'one'), down, down);
  await client.get('/a').gives({ body: 'one' });
  clock.advance(70);
  const asking = (seconds: number) => `Cache-Control: stale-if-error=${seconds}`;
  await client.get('/a', asking(11)).gives({ body: 'one', cache: 'STALE' });
  await client.get('/a', asking(10)).gives({ status: 503, body: 'down' });
});

const forgiving = withCache({ stale: { if_error: '30s' } });

scenario('7.5e a route may grant stale-if-error', forgiving, async ({ origin, client, clock }) => {
  origin.plays(answer(tagged, 'one'), answer('', 'down', 500), answer('', 'down', 500));
  await client.get('/a').gives({ body: 'one' });
  clock.advance(89);
  await client.get('/a').gives({ body: 'one', cache: 'STALE' });
  clock.advance(1);
  await client.get('/a').gives({ status: 500 });
});

const polite = withCache({ stale: { on_429: true, if_error: '600s' } });

scenario('7.5f a route may take a 429 for an error, and wait as it says', polite, async (s) => {
  s.origin.plays(answer(tagged, 'one'), answer('Retry-After: 100', 'too many', 429));
  await s.client.get('/a').gives({ body: 'one' });
  s.clock.advance(61);
  await s.client.get('/a').gives({ body: 'one', cache: 'STALE' });
  await s.client.get('/a').gives({ body: 'one', cache: 'STALE' });
  await s.client.get('/b').gives({ status: 503 });
  s.clock.advance(101);
  s.origin.plays(answer(tagged, 'two'));
  await s.client.get('/a').gives({ body: 'two' });
});

scenario('7.5g otherwise a 429 is passed on', async ({ origin, client, clock }) => {
  origin.plays(answer(asked('stale-if-error=600'), 'one'), answer('', 'too many', 429));
  await client.get('/a').gives({ body: 'one' });
  clock.advance(61);
  await client.get('/a').gives({ status: 429, body: 'too many' });
});

scenario('7.5h many who wait for one failing validation are one request', async (s) => {
  const goOn = gate();
  s.origin.plays(
    answer(['Cache-Control: max-age=60, stale-if-error=600', 'ETag: "v1"'], 'one'),
    async (line, request) => {
      await goOn.opened;
      await answer('', 'down', 503)(line, request);
    },
  );
  await s.client.get('/a').gives({ body: 'one' });
  s.clock.advance(61);
  const asking = Array.from({ length: 10 }, () => s.client.get('/a'));
  await until('ten exchanges', () => s.proxy.counters().exchangesOpen === 10);
  goOn.open();
  for (const asked of asking) await asked.gives({ body: 'one', cache: 'STALE' });
});

scenario('7.6a Age of a stale answer is true, and Warning is left alone', async (s) => {
  s.origin.plays(answer([...tagged, 'Warning: 299 - "hello"'], 'one'));
  await s.client.get('/a').gives({ body: 'one' });
  s.origin.always(hangUp);
  s.clock.advance(100);
  const fields = { Warning: '299 - "hello"' };
  await s.client.get('/a').gives({ body: 'one', cache: 'STALE', age: 100, fields });
});

scenario('7.6b no Warning is made up', async ({ origin, client, clock }) => {
  origin.plays(answer(tagged, 'one'));
  await client.get('/a').gives({ body: 'one' });
  origin.always(hangUp);
  clock.advance(100);
  await client.get('/a').gives({ cache: 'STALE', fields: { Warning: null } });
});

scenario('7.7a what is not idempotent is never sent twice', async ({ origin, client }) => {
  origin.plays(hangUp);
  await client.send({ method: 'POST', target: '/a', body: 'x' }).gives({ status: 502 });
  origin.wasAsked(1);
});

scenario('7.7b a GET whose connection died unanswered is sent once more', async (s) => {
  s.origin.plays(hangUp, answer('', 'one'));
  await s.client.get('/a').gives({ body: 'one' });
  s.origin.plays(hangUp, hangUp);
  await s.client.get('/b').gives({ status: 502 });
});

scenario('7.7c what was begun to be answered is not repeated', async ({ origin, client }) => {
  origin.plays(bytes(`${head(['Content-Length: 10', 'Cache-Control: max-age=60'])}half`, 'reset'));
  await client.get('/a').gives({ body: 'half', isCut: true });
  origin.wasAsked(1);
});
