// Section 2 of the clauses: what makes two requests one object, and which variant answers.

import { answer, notModified, scenario, withCache } from './language/scenario.js';

const fresh = 'Cache-Control: max-age=60';

scenario('2.1a host, path and query are each part of the key', async ({ origin, client }) => {
  const requests = [
    ['/a', 'Host: site.test'],
    ['/a?', 'Host: site.test'],
    ['/a?x=1', 'Host: site.test'],
    ['/a?x=2', 'Host: site.test'],
    ['/a?x=1&y', 'Host: site.test'],
    ['/A', 'Host: site.test'],
    ['/a/', 'Host: site.test'],
    ['/a', 'Host: other.test'],
    ['/a', 'Host: site.test:8080'],
  ] as const;
  for (const [at, [target, host]] of requests.entries()) {
    origin.plays(answer(fresh, `body ${at}`));
    await client.get(target, host).gives({ body: `body ${at}`, cache: 'MISS' });
  }
  for (const [at, [target, host]] of requests.entries()) {
    await client.get(target, host).gives({ body: `body ${at}`, cache: 'HIT' });
  }
});

scenario('2.1b an absolute target beats Host', async ({ origin, client }) => {
  origin.plays(answer(fresh, 'site'), answer(fresh, 'other'));
  await client.get('/a', 'Host: site.test').gives({ body: 'site' });
  await client.get('http://site.test/a', 'Host: other.test').gives({ body: 'site', cache: 'HIT' });
  await client.get('http://other.test/a', 'Host: site.test').gives({ body: 'other' });
  await origin.got(2, { target: '/a', fields: { 'X-Forwarded-Host': 'other.test' } });
});

scenario('2.1c the case of a host does not matter', async ({ origin, client }) => {
  origin.plays(answer(fresh, 'one'));
  await client.get('/a', 'Host: site.test').gives({ body: 'one' });
  await client.get('/a', 'Host: SITE.Test').gives({ body: 'one', cache: 'HIT' });
});

scenario('2.1d what a client says about the scheme is not believed', async ({ origin, client }) => {
  origin.plays(answer(fresh, 'one'));
  await client.get('/a', 'X-Forwarded-Proto: https').gives({ body: 'one' });
  await client.get('/a').gives({ body: 'one', cache: 'HIT' });
  await origin.got(1, { fields: { 'X-Forwarded-Proto': 'http' } });
});

const byQuery = (query: 'drop' | { only: string[] } | { without: string[] }) =>
  withCache({ key: { query } });

scenario('2.1e a route may leave the query out of the key', byQuery('drop'), async (s) => {
  s.origin.plays(answer(fresh, 'one'));
  await s.client.get('/a?x=1').gives({ body: 'one' });
  await s.client.get('/a?x=2').gives({ body: 'one', cache: 'HIT' });
  await s.client.get('/a').gives({ body: 'one', cache: 'HIT' });
});

const tracked = byQuery({ without: ['utm_*'] });

scenario('2.1f a route may leave parameters out of the key', tracked, async (s) => {
  s.origin.plays(answer(fresh, 'one'), answer(fresh, 'two'));
  await s.client.get('/a?x=1&utm_source=a').gives({ body: 'one' });
  await s.client.get('/a?utm_medium=b&x=1').gives({ body: 'one', cache: 'HIT' });
  await s.client.get('/a?x=2&utm_source=a').gives({ body: 'two' });
});

const sorted = withCache({ key: { sort_query: true } });

scenario('2.1g a route may sort the parameters of the key', sorted, async (s) => {
  s.origin.plays(answer(fresh, 'one'));
  await s.client.get('/a?x=1&y=2').gives({ body: 'one' });
  await s.client.get('/a?y=2&x=1').gives({ body: 'one', cache: 'HIT' });
});

const tenants = withCache({ key: { fields: ['X-Tenant'] } });

scenario('2.1h a route may add fields to the key', tenants, async ({ origin, client }) => {
  origin.plays(answer(fresh, 'one'), answer(fresh, 'two'), answer(fresh, 'three'));
  await client.get('/a', 'X-Tenant: 1').gives({ body: 'one' });
  await client.get('/a', 'X-Tenant: 2').gives({ body: 'two' });
  await client.get('/a').gives({ body: 'three' });
  await client.get('/a', 'X-Tenant: 1').gives({ body: 'one', cache: 'HIT' });
});

const mirrors = withCache({ key: { host: 'mirror.test' } });

scenario('2.1i a route may give mirrors one host in the key', mirrors, async (s) => {
  s.origin.plays(answer(fresh, 'one'));
  await s.client.get('/a', 'Host: a.mirror.test').gives({ body: 'one' });
  await s.client.get('/a', 'Host: b.mirror.test').gives({ body: 'one', cache: 'HIT' });
});

scenario('2.1j a default port is no port', async ({ origin, client }) => {
  origin.plays(answer(fresh, 'one'));
  await client.get('/a', 'Host: site.test').gives({ body: 'one' });
  await client.get('/a', 'Host: site.test:80').gives({ body: 'one', cache: 'HIT' });
});

scenario('2.2a a response with Vary answers only the same value', async ({ origin, client }) => {
  const lines = [fresh, 'Vary: X-A'];
  origin.plays(answer(lines, 'one'), answer(lines, 'two'), answer(lines, 'three'));
  await client.get('/a', 'X-A: 1').gives({ body: 'one' });
  await client.get('/a', 'X-A: 1').gives({ body: 'one', cache: 'HIT' });
  await client.get('/a', 'X-A: 2').gives({ body: 'two' });
  await client.get('/a').gives({ body: 'three' });
  await client.get('/a').gives({ body: 'three', cache: 'HIT' });
});

scenario('2.2b an absent field does not match an empty one', async ({ origin, client }) => {
  origin.plays(answer([fresh, 'Vary: X-A'], 'absent'), answer([fresh, 'Vary: X-A'], 'empty'));
  await client.get('/a').gives({ body: 'absent' });
  await client.get('/a', 'X-A:').gives({ body: 'empty' });
  await client.get('/a').gives({ body: 'absent', cache: 'HIT' });
});

scenario('2.2c names in Vary compare without case', async ({ origin, client }) => {
  origin.plays(answer([fresh, 'Vary: x-CHOICE'], 'one'));
  await client.get('/a', 'X-Choice: 1').gives({ body: 'one' });
  await client.get('/a', 'x-choice: 1').gives({ body: 'one', cache: 'HIT' });
});

scenario('2.2d every named field has to match', async ({ origin, client }) => {
  const lines = [fresh, 'Vary: X-A, X-B'];
  origin.plays(answer(lines, 'one'), answer(lines, 'two'), answer(lines, 'three'));
  await client.get('/a', 'X-A: 1', 'X-B: 1').gives({ body: 'one' });
  await client.get('/a', 'X-A: 1', 'X-B: 2').gives({ body: 'two' });
  await client.get('/a', 'X-A: 2', 'X-B: 1').gives({ body: 'three' });
  await client.get('/a', 'X-B: 1', 'X-A: 1').gives({ body: 'one', cache: 'HIT' });
});

scenario('2.2e a damaged Vary is not stored', async ({ origin, client }) => {
  origin.plays(answer([fresh, 'Vary: X-A; X-B'], 'one'), answer('', 'two'));
  await client.get('/a').gives({ body: 'one' });
  await client.get('/a').gives({ body: 'two' });
});

scenario('2.2f a variant is chosen by fields after Connection took some away', async (s) => {
  s.origin.plays(answer([fresh, 'Vary: X-A'], 'none'), answer([fresh, 'Vary: X-A'], 'one'));
  await s.client.get('/a', 'Connection: X-A', 'X-A: 1').gives({ body: 'none' });
  await s.client.get('/a').gives({ body: 'none', cache: 'HIT' });
  await s.client.get('/a', 'X-A: 1').gives({ body: 'one', cache: 'MISS' });
});

scenario('2.3a several lines match one joined line, whatever stands around commas', async (s) => {
  s.origin.plays(answer([fresh, 'Vary: Accept-Language'], 'one'));
  await s.client.get('/a', 'Accept-Language: de', 'Accept-Language: en').gives({ body: 'one' });
  for (const line of ['de, en', 'de,en', 'de ,  en']) {
    await s.client.get('/a', `Accept-Language: ${line}`).gives({ body: 'one', cache: 'HIT' });
  }
});

scenario('2.3b no variant is taken because it would do', async ({ origin, client }) => {
  const lines = [fresh, 'Vary: Accept-Language'];
  origin.plays(answer(lines, 'one'), answer(lines, 'two'), answer(lines, 'three'));
  await client.get('/a', 'Accept-Language: de, en').gives({ body: 'one' });
  await client.get('/a', 'Accept-Language: de').gives({ body: 'two' });
  await client.get('/a', 'Accept-Language: de;q=0.5, en').gives({ body: 'three' });
});

scenario('2.3c unknown fields are compared as they are', async ({ origin, client }) => {
  const lines = [fresh, 'Vary: X-A'];
  origin.plays(answer(lines, 'one'), answer(lines, 'two'));
  await client.get('/a', 'X-A: b').gives({ body: 'one' });
  await client.get('/a', 'X-A: B').gives({ body: 'two' });
});

scenario('2.4 a star anywhere in Vary matches nothing', async (s) => {
  for (const lines of [
    ['Vary: *'],
    ['Vary: *, *'],
    ['Vary: , *'],
    ['Vary: X-A, *'],
    ['Vary: *, X-A'],
    ['Vary: X-A', 'Vary: *'],
  ]) {
    await s.isNotReused([fresh, 'ETag: "v1"', ...lines]);
  }
});

scenario('2.5a several variants of one URL are kept', async ({ origin, client }) => {
  const lines = [fresh, 'Vary: X-A'];
  for (let at = 0; at < 8; at += 1) {
    origin.plays(answer(lines, `variant ${at}`));
    await client.get('/a', `X-A: ${at}`).gives({ body: `variant ${at}` });
  }
  for (let at = 0; at < 8; at += 1) {
    await client.get('/a', `X-A: ${at}`).gives({ body: `variant ${at}`, cache: 'HIT' });
  }
});

scenario('2.5c variants in number are bounded, and the oldest goes', async (s) => {
  s.origin.always(answer([fresh, 'Vary: X-A'], 'one'));
  for (let at = 0; at < 40; at += 1) {
    await s.client.get('/a', `X-A: ${at}`).gives({ body: 'one' });
    s.clock.advance(0.1);
  }
  await s.client.get('/a', 'X-A: 39').gives({ cache: 'HIT' });
  await s.client.get('/a', 'X-A: 0').gives({ cache: 'MISS' });
});

scenario('2.5b fields that Vary does not name do not matter', async ({ origin, client }) => {
  origin.plays(answer([fresh, 'Vary: X-A'], 'one'));
  await client.get('/a', 'Cookie: a=1', 'User-Agent: x').gives({ body: 'one' });
  await client.get('/a', 'Cookie: b=2', 'User-Agent: y').gives({ body: 'one', cache: 'HIT' });
  await client.get('/a').gives({ body: 'one', cache: 'HIT' });
});

scenario('2.6a a newer response without Vary is not hidden by older variants', async (s) => {
  s.origin.plays(answer([fresh, 'Vary: X-A'], 'one'), answer([fresh], 'plain'));
  await s.client.get('/a', 'X-A: 1').gives({ body: 'one' });
  s.clock.advance(1);
  await s.client.get('/a', 'X-A: 2').gives({ body: 'plain' });
  await s.client.get('/a', 'X-A: 1').gives({ body: 'plain', cache: 'HIT' });
  await s.client.get('/a').gives({ body: 'plain', cache: 'HIT' });
});

scenario('2.6b a newer variant is not hidden by an older response without Vary', async (s) => {
  s.origin.plays(answer('Cache-Control: max-age=5', 'plain'), answer([fresh, 'Vary: X-A'], 'one'));
  s.origin.plays(answer([fresh, 'Vary: X-A'], 'two'));
  await s.client.get('/a').gives({ body: 'plain' });
  s.clock.advance(6);
  await s.client.get('/a', 'X-A: 1').gives({ body: 'one' });
  await s.client.get('/a', 'X-A: 1').gives({ body: 'one', cache: 'HIT' });
  await s.client.get('/a', 'X-A: 2').gives({ body: 'two' });
});

scenario('2.6c each candidate is judged by its own Vary', async ({ origin, client, clock }) => {
  origin.plays(answer([fresh, 'Vary: X-A'], 'by A'), answer([fresh, 'Vary: X-B'], 'by B'));
  await client.get('/a', 'X-A: 1', 'X-B: 1').gives({ body: 'by A' });
  clock.advance(1);
  await client.get('/a', 'X-A: 2', 'X-B: 1').gives({ body: 'by B' });
  // Both match: the newer one counts.
  await client.get('/a', 'X-A: 1', 'X-B: 1').gives({ body: 'by B', cache: 'HIT' });
});

scenario('2.7 the tags of all variants may be asked about; the 304 names one', async (s) => {
  const variant = (tag: string) => [fresh, 'Vary: X-A', `ETag: "${tag}"`];
  s.origin.plays(answer(variant('one'), 'one'), answer(variant('two'), 'two'));
  await s.client.get('/a', 'X-A: 1').gives({ body: 'one' });
  await s.client.get('/a', 'X-A: 2').gives({ body: 'two' });
  s.origin.plays(notModified(variant('one')));
  await s.client.get('/a', 'X-A: 3').gives({ body: 'one' });
  await s.origin.got(3, { fields: { 'If-None-Match': /^("one", "two"|"two", "one")$/ } });
  await s.client.get('/a', 'X-A: 3').gives({ body: 'one', cache: 'HIT' });
});
