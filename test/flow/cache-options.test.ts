// The caching options of a route, each against a scripted origin: what it changes for clients and for the
// origin, beside what happens without it. What the defaults do is told in the scenarios of each clause.

import test, { type ExecutionContext } from 'ava';
import type { ConfigInput } from '../../ts/config/schema.js';
import { type Scene, withProxy } from '../support/harness.js';
import { always, type Script } from '../support/scripted-origin.js';

type CacheInput = NonNullable<NonNullable<ConfigInput['routes']>[number]['cache']>;

/** A proxy whose one route has these caching options. */
function withCache(
  t: ExecutionContext,
  cache: CacheInput,
  origin: Script,
  run: (scene: Scene) => Promise<void>,
): Promise<void> {
  return withProxy(t, { origin, config: () => ({ routes: [{ cache }] }) }, run);
}

/** How the second of two requests is answered. */
async function second(
  scene: Scene,
  fields: readonly string[] = [],
  target = '/a',
  later = fields,
): Promise<string | undefined> {
  await scene.get(target, fields);
  await scene.settled();
  return (await scene.get(target, later)).field('x-cache');
}

const lifetime = ['Cache-Control', 'max-age=60'];
const noCache = ['Cache-Control', 'no-cache'];

test('option: ignore_request_directives lets no client past the store', async (t) => {
  const origin = always({ fields: lifetime, body: 'x' });
  await withCache(t, {}, origin, async (scene) => {
    t.is(await second(scene, noCache), 'MISS');
    t.is((await scene.get('/b', ['Cache-Control', 'only-if-cached'])).status, 504);
    t.is(await second(scene, ['Cache-Control', 'no-store'], '/c'), 'MISS');
  });
  await withCache(t, { ignore_request_directives: true }, origin, async (scene) => {
    t.is(await second(scene, noCache), 'HIT');
    t.is(await second(scene, ['Pragma', 'no-cache'], '/d'), 'HIT');
    t.is((await scene.get('/b', ['Cache-Control', 'only-if-cached'])).status, 200);
    t.is(await second(scene, ['Cache-Control', 'no-store'], '/c'), 'HIT');
  });
});

test('option: set_cookie stores, refuses or strips what sets cookies', async (t) => {
  const origin = always({ fields: [...lifetime, 'Set-Cookie', 'a=1'], body: 'x' });
  const tries = [
    ['store', 'HIT', ['a=1']],
    ['refuse', 'MISS', ['a=1']],
    ['strip', 'HIT', []],
  ] as const;
  for (const [set_cookie, word, cookies] of tries) {
    await withCache(t, { set_cookie }, origin, async (scene) => {
      t.is(await second(scene), word, set_cookie);
      t.deepEqual((await scene.get('/a')).lines('set-cookie'), cookies, set_cookie);
    });
  }
  // Without a lifetime of its own: only what has no cookie any more.
  const heuristic = always({
    fields: ['Last-Modified', 'Fri, 15 Jan 2027 07:00:00 GMT', 'Set-Cookie', 'a=1'],
    body: 'x',
  });
  await withCache(t, {}, heuristic, async (scene) => {
    t.is(await second(scene), 'MISS');
  });
  await withCache(t, { set_cookie: 'strip' }, heuristic, async (scene) => {
    t.is(await second(scene), 'HIT');
  });
});

test('option: authorization decides whose answers are kept', async (t) => {
  const secret = ['Authorization', 'Bearer x'];
  const plain = always({ fields: lifetime, body: 'x' });
  const open = always({ fields: ['Cache-Control', 'public, max-age=60'], body: 'x' });
  const tries = [
    ['standard', 'MISS', 'HIT'],
    ['refuse', 'MISS', 'MISS'],
    ['share', 'HIT', 'HIT'],
  ] as const;
  for (const [authorization, withoutWord, withWord] of tries) {
    await withCache(t, { authorization }, plain, async (scene) => {
      t.is(await second(scene, secret), withoutWord, authorization);
    });
    await withCache(t, { authorization }, open, async (scene) => {
      t.is(await second(scene, secret), withWord, authorization);
    });
  }
});

test('option: ttl names a lifetime also for errors, where the origin gives none', async (t) => {
  const origin: Script = (request, reply) =>
    reply.send({
      status: Number(request.target.slice(1, 4)),
      fields: request.target.endsWith('own') ? ['Cache-Control', 'max-age=5'] : [],
      body: 'x',
    });
  await withCache(t, {}, origin, async (scene) => {
    t.is(await second(scene, [], '/404'), 'MISS');
    t.is(await second(scene, [], '/503'), 'MISS');
  });
  await withCache(t, { ttl: { 404: '10s', 503: '1s' } }, origin, async (scene) => {
    t.is(await second(scene, [], '/404'), 'HIT');
    t.is(await second(scene, [], '/503'), 'HIT');
    t.is(await second(scene, [], '/200'), 'MISS');
    t.is(await second(scene, [], '/404own'), 'HIT');
    scene.clock.advance(1000);
    t.is((await scene.get('/503')).field('x-cache'), 'EXPIRED', 'for one second');
    scene.clock.advance(4000);
    t.not((await scene.get('/404own')).field('x-cache'), 'HIT', "the origin's own counts");
    t.is((await scene.get('/404')).field('x-cache'), 'HIT');
  });
});

test('option: heuristic changes fraction and cap of an assumed lifetime', async (t) => {
  // An hour before the harness' clock.
  const origin = always({ fields: ['Last-Modified', 'Fri, 15 Jan 2027 07:00:00 GMT'], body: 'x' });
  const after = async (cache: CacheInput, seconds: number) => {
    let word: string | undefined;
    await withCache(t, cache, origin, async (scene) => {
      await scene.get('/a');
      await scene.settled();
      scene.clock.advance(seconds * 1000);
      word = (await scene.get('/a')).field('x-cache');
    });
    return word;
  };
  t.is(await after({}, 359), 'HIT');
  t.not(await after({}, 360), 'HIT');
  t.is(await after({ heuristic: { fraction: 0.5 } }, 1799), 'HIT');
  t.not(await after({ heuristic: { fraction: 0 } }, 1), 'HIT');
  t.not(await after({ heuristic: { max: '5m' } }, 300), 'HIT');
});

test('option: targeted_fields says who governs, consume_targeted who hears of it', async (t) => {
  const fields = [
    ...['Cache-Control', 'no-store', 'CDN-Cache-Control', 'max-age=60'],
    ...['Surrogate-Control', 'max-age=10', 'Edge-Control', 'no-store'],
  ];
  const origin = always({ fields, body: 'x' });
  await withCache(t, {}, origin, async (scene) => {
    t.is(await second(scene), 'HIT');
    t.is((await scene.get('/a')).field('cdn-cache-control'), 'max-age=60');
  });
  await withCache(t, { targeted_fields: [] }, origin, async (scene) => {
    t.is(await second(scene), 'MISS');
  });
  await withCache(t, { targeted_fields: ['Edge-Control'] }, origin, async (scene) => {
    t.is(await second(scene), 'MISS');
  });
  const surrogate = { targeted_fields: ['Surrogate-Control'], consume_targeted: true };
  await withCache(t, surrogate, origin, async (scene) => {
    t.is((await scene.get('/a')).field('surrogate-control'), undefined);
    await scene.settled();
    const hit = await scene.get('/a');
    t.is(hit.field('x-cache'), 'HIT');
    t.is(hit.field('surrogate-control'), undefined);
    t.is(hit.field('cdn-cache-control'), 'max-age=60', 'not ours to consume');
    scene.clock.advance(10_000);
    t.is((await scene.get('/a')).field('x-cache'), 'EXPIRED', 'after ten seconds, not sixty');
  });
});

test('option: key.fields tells apart what Vary does not', async (t) => {
  const origin: Script = (request, reply) =>
    reply.send({ fields: lifetime, body: request.field('x-tenant') ?? 'none' });
  const tenant = (name: string) => ['X-Tenant', name];
  await withCache(t, {}, origin, async (scene) => {
    t.is(await second(scene, tenant('one'), '/a', tenant('two')), 'HIT');
  });
  await withCache(t, { key: { fields: ['X-Tenant'] } }, origin, async (scene) => {
    t.is(await second(scene, tenant('one'), '/a', tenant('two')), 'MISS');
    await scene.settled();
    for (const name of ['one', 'two']) {
      const got = await scene.get('/a', tenant(name));
      t.is(got.field('x-cache'), 'HIT');
      t.is(got.body.toString(), name);
      t.is(got.field('vary'), undefined, 'nobody else has to know');
    }
    t.is((await scene.get('/a')).body.toString(), 'none');
  });
});

test('option: key.query takes names by their beginning', async (t) => {
  const origin: Script = (request, reply) => reply.send({ fields: lifetime, body: request.target });
  const rules: CacheInput = { key: { query: { without: ['utm_*', 'ref'] }, sort_query: true } };
  await withCache(t, rules, origin, async (scene) => {
    await scene.get('/a?b=1&c=2');
    await scene.settled();
    const same = await scene.get('/a?c=2&utm_source=x&ref=y&b=1&utm_id=3');
    t.is(same.field('x-cache'), 'HIT');
    t.is((await scene.get('/a?b=1&c=2&utm=1')).field('x-cache'), 'MISS');
  });
});

test('option: expose_key tells the key in Cache-Status', async (t) => {
  const origin = always({ fields: lifetime, body: 'x' });
  await withCache(t, {}, origin, async (scene) => {
    t.notRegex((await scene.get('/a?"'))!.field('cache-status')!, /key=/);
  });
  await withCache(t, { expose_key: true }, origin, async (scene) => {
    t.is(
      (await scene.get('/a?b')).field('cache-status'),
      'millrace; fwd=uri-miss; stored; key="http://site.test/a?b"',
    );
    await scene.settled();
    t.is(
      (await scene.get('/a?b')).field('cache-status'),
      'millrace; hit; ttl=60; key="http://site.test/a?b"; detail=memory',
    );
  });
});

test('option: authorization: share with Authorization in the key is for the same one alone', async (t) => {
  const origin: Script = (request, reply) =>
    reply.send({ fields: lifetime, body: request.field('authorization') ?? 'nobody' });
  const cache: CacheInput = { authorization: 'share', key: { fields: ['Authorization'] } };
  await withCache(t, cache, origin, async (scene) => {
    const as = (name: string) => ['Authorization', name];
    t.is(await second(scene, as('one')), 'HIT');
    t.is((await scene.get('/a', as('two'))).body.toString(), 'two');
    t.is((await scene.get('/a')).body.toString(), 'nobody');
    await scene.settled();
    t.is((await scene.get('/a', as('one'))).body.toString(), 'one');
  });
});

test('option: what Connection takes away is away for the key as well', async (t) => {
  const origin: Script = (request, reply) =>
    reply.send({
      fields: [...lifetime, 'Vary', 'X-Lang'],
      body: request.field('x-lang') ?? 'none',
    });
  for (const name of ['X-Lang', 'x-lang, close']) {
    await withCache(t, { key: { fields: ['X-Lang'] } }, origin, async (scene) => {
      // Else this would be what everybody gets who asks for "de".
      const evil = await scene.get('/a', ['X-Lang', 'de', 'Connection', name]);
      t.is(evil.body.toString(), 'none');
      await scene.settled();
      t.is((await scene.get('/a', ['X-Lang', 'de'])).body.toString(), 'de');
      t.is((await scene.get('/a')).field('x-cache'), 'HIT');
    });
  }
});
