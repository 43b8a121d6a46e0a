// Section 5 of the clauses: lifetime and age.

import { answer, notModified, scenario, withCache } from './language/scenario.js';

scenario('5.1a s-maxage beats max-age and Expires', async ({ origin, client, clock }) => {
  for (const [at, wanted] of [5, 60].entries()) {
    const lines = [`Cache-Control: max-age=20, s-maxage=${wanted}`, `Expires: ${clock.date(20)}`];
    origin.plays(answer(lines, 'one'), answer(lines, 'two'));
    await client.get(`/${at}`).gives({ body: 'one' });
    clock.advance(wanted - 1);
    await client.get(`/${at}`).gives({ body: 'one', cache: 'HIT' });
    clock.advance(1);
    await client.get(`/${at}`).gives({ body: 'two' });
  }
});

scenario('5.1b max-age beats Expires in both directions', async ({ origin, client, clock }) => {
  for (const [at, wanted] of [5, 60].entries()) {
    const lines = [`Cache-Control: max-age=${wanted}`, `Expires: ${clock.date(20)}`];
    origin.plays(answer(lines, 'one'), answer(lines, 'two'));
    await client.get(`/${at}`).gives({ body: 'one' });
    clock.advance(wanted - 1);
    await client.get(`/${at}`).gives({ body: 'one', cache: 'HIT' });
    clock.advance(1);
    await client.get(`/${at}`).gives({ body: 'two' });
  }
});

scenario('5.1c Expires counts from Date', async ({ origin, client, clock }) => {
  const lines = [`Date: ${clock.date(-10)}`, `Expires: ${clock.date(20)}`];
  origin.plays(answer(lines, 'one'), answer('', 'two'));
  await client.get('/a').gives({ body: 'one' });
  clock.advance(19);
  await client.get('/a').gives({ body: 'one', cache: 'HIT', age: 29 });
  clock.advance(1);
  await client.get('/a').gives({ body: 'two' });
});

scenario('5.2a a lifetime of zero is stale at once', async (s) => {
  await s.isNotReused(['Cache-Control: max-age=0', 'ETag: "a"']);
  await s.isNotReused(['Cache-Control: s-maxage=0, max-age=60', 'ETag: "a"']);
});

scenario('5.2b Expires at or before Date is stale, whatever our clock says', async (s) => {
  for (const [date, expires] of [
    [0, 0],
    [0, -1],
    [7200, 3600],
    [7200, 7200],
  ] as const) {
    await s.isNotReused([`Date: ${s.clock.date(date)}`, `Expires: ${s.clock.date(expires)}`]);
  }
});

scenario('5.2c our clock does not enter the lifetime', async ({ origin, client, clock }) => {
  // An origin whose clock is an hour ahead, and the lifetime that it means is 20 s.
  const lines = [`Date: ${clock.date(3600)}`, `Expires: ${clock.date(3620)}`];
  origin.plays(answer(lines, 'one'), answer('', 'two'));
  await client.get('/a').gives({ body: 'one' });
  clock.advance(19);
  await client.get('/a').gives({ body: 'one', cache: 'HIT' });
  clock.advance(1);
  await client.get('/a').gives({ body: 'two' });
});

scenario('5.3a an upstream Age counts', async ({ origin, client, clock }) => {
  origin.plays(answer(['Cache-Control: max-age=60', 'Age: 40'], 'one'), answer('', 'two'));
  await client.get('/a').gives({ body: 'one' });
  clock.advance(19);
  await client.get('/a').gives({ body: 'one', age: 59 });
  clock.advance(1);
  await client.get('/a').gives({ body: 'two' });
});

scenario('5.3b a Date in the past counts as age', async ({ origin, client, clock }) => {
  const lines = ['Cache-Control: max-age=60', `Date: ${clock.date(-40)}`];
  origin.plays(answer(lines, 'one'), answer('', 'two'));
  await client.get('/a').gives({ body: 'one' });
  clock.advance(19);
  await client.get('/a').gives({ body: 'one', age: 59 });
  clock.advance(1);
  await client.get('/a').gives({ body: 'two' });
});

scenario('5.3c the larger of Age and apparent age counts', async ({ origin, client, clock }) => {
  const date = `Date: ${clock.date(-30)}`;
  for (const [age, wanted] of [
    [10, 30],
    [50, 50],
  ]) {
    origin.plays(answer(['Cache-Control: max-age=60', date, `Age: ${age}`], 'one'));
    await client.get(`/${age}`).gives({ body: 'one' });
    await client.get(`/${age}`).gives({ body: 'one', age: wanted! });
  }
});

scenario('5.3d a Date in the future does not make a response younger', async (s) => {
  const lines = ['Cache-Control: max-age=60', `Date: ${s.clock.date(3600)}`];
  s.origin.plays(answer(lines, 'one'), answer('', 'two'));
  await s.client.get('/a').gives({ body: 'one' });
  s.clock.advance(59);
  await s.client.get('/a').gives({ body: 'one', age: 59 });
  s.clock.advance(1);
  await s.client.get('/a').gives({ body: 'two' });
});

scenario('5.3e the delay of the response counts as age', async ({ origin, client, clock }) => {
  origin.plays(async (line, request) => {
    clock.advance(25);
    await answer('Cache-Control: max-age=60', 'one')(line, request);
  });
  await client.get('/a').gives({ body: 'one' });
  await client.get('/a').gives({ body: 'one', age: 25 });
  clock.advance(34);
  await client.get('/a').gives({ body: 'one', age: 59 });
});

scenario('5.3f an Age beyond the lifetime is stale on arrival', async (s) => {
  await s.isNotReused(['Cache-Control: max-age=60', 'Age: 60', 'ETag: "a"']);
  await s.isNotReused(['Cache-Control: max-age=60', 'Age: 61']);
  await s.isReused(['Cache-Control: max-age=60', 'Age: 59']);
});

scenario('5.4a every answer from the store has one Age', async ({ origin, client, clock }) => {
  origin.plays(answer(['Cache-Control: max-age=60', 'Age: 7', 'ETag: "a"'], 'one'));
  await client.get('/a').gives({ body: 'one' });
  for (const age of [7, 8, 9]) {
    await client.get('/a').gives({ age, cache: 'HIT' });
    await client.head('/a').gives({ age, cache: 'HIT' });
    await client.get('/a', 'If-None-Match: "a"').gives({ status: 304, age });
    await client.get('/a', 'Range: bytes=0-1').gives({ status: 206, age, body: 'on' });
    clock.advance(1);
  }
});

scenario('5.4b a first response keeps the upstream Age', async ({ origin, client }) => {
  origin.plays(answer(['Cache-Control: max-age=60', 'Age: 7'], 'one'), answer('Age: 9', 'two'));
  await client.get('/a').gives({ age: 7 });
  await client.get('/b').gives({ age: 9 });
});

scenario('5.4c fractions of seconds do not add up to a wrong one', async (s) => {
  s.origin.plays(answer('Cache-Control: max-age=2', 'one'), answer('', 'two'));
  s.clock.advance(0.9);
  await s.client.get('/a').gives({ body: 'one' });
  s.clock.advance(1.95);
  await s.client.get('/a').gives({ body: 'one', cache: 'HIT', age: 1 });
  s.clock.advance(0.05);
  await s.client.get('/a').gives({ body: 'two' });
});

scenario('5.4d what was just validated may be as young as its 304', async (s) => {
  s.origin.plays(answer(['Cache-Control: max-age=10', 'ETag: "a"'], 'one'));
  s.origin.plays(notModified(['Cache-Control: max-age=10', 'ETag: "a"']));
  await s.client.get('/a').gives({ body: 'one' });
  s.clock.advance(11);
  await s.client.get('/a').gives({ body: 'one', cache: 'REVALIDATED' });
  s.clock.advance(3);
  await s.client.get('/a').gives({ body: 'one', cache: 'HIT', age: 3 });
});

scenario('5.4e a forwarded Age is one number', async ({ origin, client }) => {
  origin.plays(answer(['Age: 7, 100', 'Cache-Control: no-store'], 'one'));
  origin.plays(answer(['Age: x', 'Cache-Control: no-store'], 'one'));
  origin.plays(answer(['Age: 7', 'Age: 9', 'Cache-Control: no-store'], 'one'));
  await client.get('/a').gives({ body: 'one', age: 7 });
  await client.get('/b').gives({ body: 'one', age: null });
  await client.get('/c').gives({ body: 'one', age: 7 });
});

const heuristicStatuses = [200, 203, 300, 301, 308, 404, 405, 410, 414, 501];

scenario('5.5a statuses that may be assumed fresh', async ({ origin, client, clock }) => {
  for (const status of heuristicStatuses) {
    origin.plays(answer(`Last-Modified: ${clock.date(-864_000)}`, 'one', status));
    await client.get(`/${status}`).gives({ status, body: 'one' });
    await client.get(`/${status}`).gives({ status, body: 'one', cache: 'HIT' });
  }
});

scenario('5.5b statuses that may not', async ({ origin, client, clock }) => {
  for (const status of [201, 202, 302, 303, 307, 400, 403, 418, 500, 502, 503, 504, 599]) {
    const play = answer(`Last-Modified: ${clock.date(-864_000)}`, 'one', status);
    origin.plays(play, play);
    await client.get(`/${status}`).gives({ status, body: 'one' });
    await client.get(`/${status}`).gives({ status, body: 'one', cache: 'MISS' });
  }
});

scenario('5.5c public permits it for any status', async ({ origin, client, clock }) => {
  const lines = [`Last-Modified: ${clock.date(-864_000)}`, 'Cache-Control: public'];
  for (const status of [201, 302, 403, 500, 599]) {
    origin.plays(answer(lines, 'one', status));
    await client.get(`/${status}`).gives({ status, body: 'one' });
    await client.get(`/${status}`).gives({ status, body: 'one', cache: 'HIT' });
  }
});

scenario('5.5d a tenth of the time since Last-Modified is assumed', async (s) => {
  const lines = [`Last-Modified: ${s.clock.date(-1000)}`, `Date: ${s.clock.date(0)}`];
  s.origin.plays(answer(lines, 'one'), answer('', 'two'));
  await s.client.get('/a').gives({ body: 'one' });
  s.clock.advance(99);
  await s.client.get('/a').gives({ body: 'one', cache: 'HIT' });
  s.clock.advance(1);
  await s.client.get('/a').gives({ body: 'two' });
});

scenario('5.5e at most a day is assumed', async ({ origin, client, clock }) => {
  origin.plays(answer(`Last-Modified: ${clock.date(-400 * 86_400)}`, 'one'), answer('', 'two'));
  await client.get('/a').gives({ body: 'one' });
  clock.advance(86_399);
  await client.get('/a').gives({ body: 'one', cache: 'HIT' });
  clock.advance(1);
  await client.get('/a').gives({ body: 'two' });
});

scenario('5.5f nothing is assumed without Last-Modified, or beside a lifetime', async (s) => {
  const modified = `Last-Modified: ${s.clock.date(-864_000)}`;
  await s.isNotReused('ETag: "a"');
  await s.isNotReused([modified, 'Cache-Control: max-age=0']);
  await s.isNotReused([modified, `Expires: ${s.clock.date(-5)}`]);
  await s.isNotReused(`Last-Modified: ${s.clock.date(5)}`);
});

scenario('5.5g there is no default lifetime', async (s) => {
  await s.isNotReused('Content-Type: text/plain');
});

const careful = withCache({ heuristic: { fraction: 0 } });

scenario('5.5h a route may assume nothing', careful, async (s) => {
  await s.isNotReused(`Last-Modified: ${s.clock.date(-864_000)}`);
  await s.isReused('Cache-Control: max-age=60');
});

const capped = withCache({ heuristic: { max: '10s' } });

scenario('5.5i a route may assume less', capped, async ({ origin, client, clock }) => {
  origin.plays(answer(`Last-Modified: ${clock.date(-864_000)}`, 'one'), answer('', 'two'));
  await client.get('/a').gives({ body: 'one' });
  clock.advance(9);
  await client.get('/a').gives({ body: 'one', cache: 'HIT' });
  clock.advance(1);
  await client.get('/a').gives({ body: 'two' });
});

const negative = withCache({ ttl: { 404: '10s' } });

scenario('5.5j a route may name a lifetime for a status', negative, async (s) => {
  s.origin.plays(answer('', 'none', 404), answer('', 'one'));
  await s.client.get('/a').gives({ status: 404 });
  s.clock.advance(9);
  await s.client.get('/a').gives({ status: 404, cache: 'HIT' });
  s.clock.advance(1);
  await s.client.get('/a').gives({ body: 'one' });
});

scenario('5.6 immutable: a reload does not validate while it is fresh', async (s) => {
  const lines = ['Cache-Control: max-age=60, immutable', 'ETag: "a"'];
  s.origin.plays(answer(lines, 'one'), notModified(lines));
  await s.client.get('/a').gives({ body: 'one' });
  s.clock.advance(5);
  await s.client.get('/a', 'Cache-Control: max-age=0').gives({ body: 'one', cache: 'HIT' });
  s.clock.advance(55);
  await s.client.get('/a').gives({ body: 'one', cache: 'REVALIDATED' });
});

scenario('5.7a Pragma: no-cache counts only without Cache-Control', async ({ origin, client }) => {
  const lines = ['Cache-Control: max-age=60', 'ETag: "a"'];
  origin.plays(answer(lines, 'one'), notModified(lines));
  await client.get('/a').gives({ body: 'one' });
  await client.get('/a', 'Pragma: no-cache', 'Cache-Control: max-age=60').gives({ cache: 'HIT' });
  await client.get('/a', 'Pragma: other').gives({ cache: 'HIT' });
  await client.get('/a', 'Pragma: no-cache').gives({ cache: 'REVALIDATED' });
});

scenario('5.7b Pragma of a response means nothing', async (s) => {
  await s.isReused(['Cache-Control: max-age=60', 'Pragma: no-cache']);
  await s.isReused([`Expires: ${s.clock.date(60)}`, 'Pragma: no-cache, no-store']);
});
