// Section 5b of the clauses: what a client may ask of the cache.

import { answer, notModified, type Stage, scenario, withCache } from './language/scenario.js';

const lines = ['Cache-Control: max-age=60', 'ETag: "a"'];

/** /a is stored, and so many seconds old. */
async function stored({ origin, client, clock }: Stage, ageS: number, more = ''): Promise<void> {
  origin.plays(answer([`Cache-Control: max-age=60${more}`, 'ETag: "a"'], 'one'));
  await client.get('/a').gives({ body: 'one' });
  clock.advance(ageS);
}

const asks = (directives: string) => `Cache-Control: ${directives}`;

scenario('5b.1 max-age: reuse only up to that age', async (s) => {
  await stored(s, 10);
  await s.client.get('/a', asks('max-age=11')).gives({ cache: 'HIT' });
  await s.client.get('/a', asks('max-age=10')).gives({ cache: 'HIT' });
  s.origin.plays(notModified(lines), notModified(lines));
  await s.client.get('/a', asks('max-age=9')).gives({ body: 'one', cache: 'REVALIDATED' });
  s.clock.advance(1);
  await s.client.get('/a', asks('max-age=0')).gives({ body: 'one', cache: 'REVALIDATED' });
});

scenario('5b.2 min-fresh: reuse only what stays fresh so long', async (s) => {
  await stored(s, 10);
  await s.client.get('/a', asks('min-fresh=50')).gives({ cache: 'HIT' });
  s.origin.plays(notModified(lines));
  await s.client.get('/a', asks('min-fresh=51')).gives({ body: 'one', cache: 'REVALIDATED' });
});

scenario('5b.3a max-stale: what is stale by no more will do', async (s) => {
  await stored(s, 70);
  await s.client.get('/a', asks('max-stale')).gives({ cache: 'STALE', age: 70 });
  await s.client.get('/a', asks('max-stale=10')).gives({ cache: 'STALE', age: 70 });
  s.origin.plays(notModified(lines));
  await s.client.get('/a', asks('max-stale=9')).gives({ body: 'one', cache: 'REVALIDATED' });
});

scenario('5b.3b max-stale: not where the response forbids it', async (s) => {
  const kinds = ['must-revalidate', 'proxy-revalidate', 's-maxage=60', 'no-cache'];
  for (const [at, kind] of kinds.entries()) {
    const given = [`Cache-Control: max-age=60, ${kind}`, 'ETag: "a"'];
    s.origin.plays(answer(given, 'one'), notModified(given));
    await s.client.get(`/${at}`).gives({ body: 'one' });
    s.clock.advance(61);
    await s.client.get(`/${at}`, asks('max-stale')).gives({ cache: 'REVALIDATED' });
  }
});

scenario('5b.4 no-cache: validates first', async (s) => {
  await stored(s, 1);
  s.origin.plays(notModified(lines), answer(lines, 'two'));
  await s.client.get('/a', asks('no-cache')).gives({ body: 'one', cache: 'REVALIDATED' });
  await s.client.get('/a', asks('no-cache')).gives({ body: 'two' });
  await s.client.get('/a').gives({ body: 'two', cache: 'HIT' });
});

scenario('5b.5 no-store: the answer is not kept', async ({ origin, client }) => {
  origin.plays(answer(lines, 'one'), answer(lines, 'two'));
  await client.get('/a', asks('no-store')).gives({ body: 'one' });
  await client.get('/a').gives({ body: 'two', cache: 'MISS' });
});

scenario('5b.6 no-transform: nothing is transformed', async ({ origin, client }) => {
  const given = [...lines, 'Content-Encoding: gzip', 'Content-Type: text/plain'];
  origin.plays(answer(given, '\x1f\x8bnot really'));
  const fields = { 'Content-Encoding': 'gzip', 'Content-Type': 'text/plain' };
  for (const cache of ['MISS', 'HIT'] as const) {
    await client
      .get('/a', asks('no-transform'), 'Accept-Encoding: gzip')
      .gives({ body: '\x1f\x8bnot really', fields, cache });
  }
});

scenario('5b.7 only-if-cached: a hit, or a 504 without the origin', async (s) => {
  const ours = { status: 504, cache: 'NONE', fields: { 'Cache-Status': 'millrace' } } as const;
  await s.client.get('/a', asks('only-if-cached')).gives(ours);
  await stored(s, 1);
  await s.client.get('/a', asks('only-if-cached')).gives({ body: 'one', cache: 'HIT' });
  s.clock.advance(60);
  await s.client.get('/a', asks('only-if-cached')).gives(ours);
  s.origin.wasAsked(1);
});

scenario('5b.8a unknown directives change nothing', async (s) => {
  await stored(s, 1);
  await s.client.get('/a', asks('something, other=5, third="a, b"')).gives({ cache: 'HIT' });
});

const deaf = withCache({ ignore_request_directives: true });

scenario('5b.8b a route may hear none of them', deaf, async (s) => {
  await stored(s, 10);
  for (const line of ['no-cache', 'max-age=0', 'max-age=5', 'min-fresh=59', 'no-store']) {
    await s.client.get('/a', asks(line)).gives({ body: 'one', cache: 'HIT' });
  }
  await s.client.get('/a', 'Pragma: no-cache').gives({ body: 'one', cache: 'HIT' });
  s.clock.advance(60);
  s.origin.plays(notModified(lines));
  await s.client.get('/a', asks('max-stale')).gives({ body: 'one', cache: 'REVALIDATED' });
});
