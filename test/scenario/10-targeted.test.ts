// Section 10 of the clauses: CDN-Cache-Control, and what Cache-Status tells.

import { gate, until } from '../support/until.js';
import { answer, hangUp, notModified, scenario, withCache } from './language/scenario.js';

const cdn = (value: string) => `CDN-Cache-Control: ${value}`;

scenario('10.1a the targeted field governs alone', async (s) => {
  await s.isReused([cdn('max-age=60'), 'Cache-Control: no-store']);
  await s.isReused([cdn('max-age=60'), 'Cache-Control: private, no-cache, max-age=0']);
  await s.isReused([cdn('max-age=60'), `Expires: ${s.clock.date(-60)}`, 'Pragma: no-cache']);
  const long = ['Cache-Control: max-age=60', `Expires: ${s.clock.date(60)}`];
  for (const value of ['no-store', 'private', 'no-cache', 'max-age=0']) {
    await s.isNotReused([cdn(value), ...long]);
  }
});

scenario('10.1b its lifetime is the one that counts', async ({ origin, client, clock }) => {
  const lines = [cdn('max-age=10'), 'Cache-Control: max-age=60', 'ETag: "a"'];
  origin.plays(answer(lines, 'one'), notModified(lines));
  await client.get('/a').gives({ body: 'one' });
  clock.advance(9);
  await client.get('/a').gives({ cache: 'HIT' });
  clock.advance(1);
  await client.get('/a').gives({ cache: 'REVALIDATED' });
});

scenario('10.1c an empty targeted field counts as absent', async (s) => {
  await s.isReused([cdn(''), 'Cache-Control: max-age=60']);
  await s.isNotReused([cdn(''), 'Cache-Control: no-store']);
});

const listed = withCache({ targeted_fields: ['Our-Cache-Control', 'CDN-Cache-Control'] });

scenario('10.1d of a list of targeted fields the first one counts', listed, async (s) => {
  const own = (value: string) => `Our-Cache-Control: ${value}`;
  await s.isReused([own('max-age=60'), cdn('no-store'), 'Cache-Control: no-store']);
  await s.isNotReused([own('no-store'), cdn('max-age=60'), 'Cache-Control: max-age=60']);
  await s.isReused([own('max age'), cdn('max-age=60'), 'Cache-Control: no-store']);
  await s.isReused([own(''), cdn('max-age=60'), 'Cache-Control: no-store']);
});

const plain = withCache({ targeted_fields: [] });

scenario('10.1e without a list only Cache-Control counts', plain, async (s) => {
  await s.isNotReused([cdn('max-age=60'), 'Cache-Control: no-store']);
  await s.isReused([cdn('no-store'), 'Cache-Control: max-age=60']);
});

scenario('10.2a a field that cannot be parsed is ignored wholly', async (s) => {
  const bad = [
    'max-age=60, &',
    'max-age = 60',
    'Max-Age=60',
    'max-age=',
    '"max-age=60"',
    'no-store;',
  ];
  for (const value of bad) {
    await s.isNotReused([cdn(value), 'Cache-Control: no-store']);
    await s.isReused([cdn(value), 'Cache-Control: max-age=60']);
  }
});

scenario('10.2b parameters are ignored, and of equal keys the last wins', async (s) => {
  await s.isReused([cdn('max-age=60;a=b;c'), 'Cache-Control: no-store']);
  await s.isReused([cdn('max-age=0, max-age=60'), 'Cache-Control: no-store']);
  await s.isNotReused([cdn('max-age=60, max-age=0'), 'Cache-Control: max-age=60']);
});

scenario('10.2c only integers are lifetimes, large ones too', async (s) => {
  for (const value of ['max-age="60"', 'max-age=60.0', 'max-age=?1', 'max-age=:NjA=:']) {
    await s.isNotReused([cdn(value), 'Cache-Control: max-age=60']);
  }
  await s.isReused([cdn('max-age=999999999999999'), 'Cache-Control: no-store']);
});

scenario('10.3a Age beyond the targeted lifetime is stale', async (s) => {
  await s.isNotReused([cdn('max-age=60'), 'Age: 60', 'Cache-Control: max-age=600']);
  await s.isReused([cdn('max-age=60'), 'Age: 59', 'Cache-Control: max-age=10']);
});

scenario('10.3b directives mean the same as in Cache-Control', async (s) => {
  s.origin.plays(answer([cdn('s-maxage=60, max-age=1'), 'ETag: "a"'], 'one'));
  await s.client.get('/a').gives({ body: 'one' });
  s.origin.always(hangUp);
  s.clock.advance(59);
  await s.client.get('/a').gives({ body: 'one', cache: 'HIT' });
  s.clock.advance(1);
  await s.client.get('/a').gives({ status: 504 });
});

scenario('10.4a the targeted field goes on to others, nothing is rewritten', async (s) => {
  const fields = { 'CDN-Cache-Control': 'max-age=60', 'Cache-Control': 'max-age=5', Age: '3' };
  s.origin.plays(answer([cdn('max-age=60'), 'Cache-Control: max-age=5', 'Age: 3'], 'one'));
  await s.client.get('/a').gives({ fields });
  await s.client.get('/a').gives({ fields, cache: 'HIT' });
});

const ours = (value: string | RegExp) => ({ fields: { 'Cache-Status': value } });

const consuming = withCache({ consume_targeted: true });

scenario('10.4b a route may consume it', consuming, async ({ origin, client }) => {
  origin.plays(answer([cdn('max-age=60'), 'Cache-Control: max-age=5'], 'one'));
  const fields = { 'CDN-Cache-Control': null, 'Cache-Control': 'max-age=5' };
  await client.get('/a').gives({ fields });
  await client.get('/a').gives({ fields, cache: 'HIT' });
});

scenario('10.5a Cache-Status tells hit and the lifetime that is left', async (s) => {
  s.origin.plays(answer(['Cache-Control: max-age=60', 'ETag: "a"'], 'one'));
  await s.client.get('/a').gives(ours('millrace; fwd=uri-miss; stored'));
  s.clock.advance(10);
  await s.client.get('/a').gives(ours('millrace; hit; ttl=50; detail=memory'));
});

scenario('10.5b Cache-Status tells why it was forwarded', async ({ origin, client, clock }) => {
  const lines = ['Cache-Control: max-age=60', 'Vary: X-A', 'ETag: "a"'];
  origin.plays(answer(lines, 'one'), answer(lines, 'two'), notModified(lines), answer(lines, 'x'));
  await client.get('/a', 'X-A: 1').gives(ours('millrace; fwd=uri-miss; stored'));
  await client.get('/a', 'X-A: 2').gives(ours('millrace; fwd=vary-miss; stored'));
  clock.advance(61);
  await client.get('/a', 'X-A: 1').gives(ours('millrace; fwd=stale; fwd-status=304'));
  const asked = client.get('/a', 'X-A: 1', 'Cache-Control: no-cache');
  await asked.gives(ours('millrace; fwd=request; stored'));
  origin.plays(answer('', 'posted'));
  const post = client.send({ method: 'POST', target: '/a' });
  await post.gives(ours(/^millrace; fwd=method\b/));
});

scenario('10.5c Cache-Status of a stale answer has a negative ttl', async (s) => {
  s.origin.plays(answer(['Cache-Control: max-age=60', 'ETag: "a"'], 'one'));
  await s.client.get('/a').gives({ body: 'one' });
  s.clock.advance(70);
  s.origin.always(hangUp);
  await s.client.get('/a').gives(ours('millrace; fwd=stale; ttl=-10; detail=origin-failed'));
  const willing = s.client.get('/a', 'Cache-Control: max-stale=20');
  await willing.gives(ours(/^millrace; hit; ttl=-10; detail=\S+$/));
});

scenario('10.5d Cache-Status is put behind what caches before us said', async (s) => {
  s.origin.plays(answer(['Cache-Control: max-age=60', 'Cache-Status: up; hit; ttl=3'], 'one'));
  await s.client.get('/a').gives(ours('up; hit; ttl=3, millrace; fwd=uri-miss; stored'));
  await s.client.get('/a').gives(ours(/^up; hit; ttl=3, millrace; hit; ttl=60; detail=\S+$/));
});

scenario('10.5e Cache-Status of a shared fetch says collapsed', async (s) => {
  const goOn = gate();
  s.origin.plays(async (line, request) => {
    await goOn.opened;
    await answer('Cache-Control: max-age=60', 'one')(line, request);
  });
  const asking = [s.client.get('/a'), s.client.get('/a')];
  await until('two exchanges', () => s.proxy.counters().exchangesOpen === 2);
  goOn.open();
  const [first, second] = await Promise.all(asking);
  const values = [first, second].map(
    (got) => `${got!.fields[got!.fields.indexOf('Cache-Status') + 1]}`,
  );
  const wanted = ['millrace; fwd=uri-miss; stored', 'millrace; fwd=uri-miss; stored; collapsed'];
  if (values.sort().join('|') !== wanted.join('|')) throw new Error(`Cache-Status: ${values}`);
});

const naming = withCache({ expose_key: true });

scenario('10.5f Cache-Status may tell the key', naming, async ({ origin, client }) => {
  origin.plays(answer('Cache-Control: max-age=60', 'one'));
  await client.get('/a?b').gives(ours(/; key="[^"]*site\.test[^"]*\/a\?b"/));
  await client.get('/a?b').gives(ours(/^millrace; hit; .*; key="[^"]*site\.test[^"]*\/a\?b"/));
});

scenario(
  '10.5g a cache before us that cannot be read is left alone',
  async ({ origin, client }) => {
    origin.plays(answer(['Cache-Control: max-age=60', 'Cache-Status: (('], 'one'));
    await client.get('/a').gives({ fields: { 'Cache-Status': /^millrace; / } });
  },
);

const surrogate = () => ({
  routes: [{ cache: { targeted_fields: ['Surrogate-Control', 'CDN-Cache-Control'] } }],
});

scenario(
  '10.6a Surrogate-Control governs where the route asks for it',
  { config: surrogate },
  async (s) => {
    const plain = [cdn('no-store'), 'Cache-Control: no-store'];
    s.origin.plays(
      answer(['Surrogate-Control: max-age=60', ...plain], 'one'),
      answer(plain, 'two'),
    );
    await s.client.get('/a').gives({ body: 'one' });
    s.clock.advance(59);
    await s.client.get('/a').gives({ body: 'one', cache: 'HIT' });
    s.clock.advance(1);
    await s.client.get('/a').gives({ body: 'two' });
  },
);

scenario('10.6b Surrogate-Control means nothing where nobody asks for it', async (s) => {
  const fields = ['Surrogate-Control: max-age=60', 'Cache-Control: no-store'];
  s.origin.plays(answer(fields, 'one'), answer(fields, 'two'));
  await s.client.get('/a').gives({ body: 'one' });
  await s.client.get('/a').gives({ body: 'two' });
});
