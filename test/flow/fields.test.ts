// Header fields on their way through: what comes back unchanged, what is taken out between hops, what the
// proxy adds or overwrites in both directions. Stored and forwarded responses must not differ in this.

import test from 'ava';
import { withProxy } from '../support/harness.js';
import { always, type Script } from '../support/scripted-origin.js';

test('fields: odd fields, repeated fields and bytes above ascii come back as they were', async (t) => {
  const odd = [
    'x-lower',
    'a',
    'X-UPPER',
    '  b  c ',
    "!#$%&'*+-.^_`|~",
    'legal',
    'X-Twice',
    'one',
    'Set-Cookie',
    'a=1; Path=/',
    'X-Twice',
    'two',
    'Set-Cookie',
    'b=2',
    'X-Empty',
    '',
    'X-Bytes',
    'caf\xe9 \xff\x80',
    'ETag',
    '"\xe4\xf6"',
  ];
  const origin = always({ fields: ['Cache-Control', 'max-age=600', ...odd], body: 'x' });
  await withProxy(t, { origin, store: 'raw' }, async (scene) => {
    const miss = await scene.get('/a');
    await scene.settled();
    const hit = await scene.get('/a');
    await scene.restart();
    const cold = await scene.get('/a');
    for (const response of [miss, hit, cold]) {
      const at = response.fields.indexOf('x-lower');
      const expected = odd.map((text) => text.trim());
      t.deepEqual(response.fields.slice(at, at + odd.length), expected);
    }
    t.is(cold.field('x-cache'), 'HIT');
  });
});

test('fields: hop-by-hop fields, named ones too, are removed in both directions', async (t) => {
  const origin = always({
    fields: [
      'Cache-Control',
      'max-age=600',
      'Connection',
      'X-Hop, Cache-Control',
      'X-Hop',
      '1',
      'Keep-Alive',
      'timeout=5',
      'Proxy-Authenticate',
      'Basic',
      'Upgrade',
      'h2c',
      'Trailer',
      'X-T',
      'X-End',
      'to-end',
    ],
    body: 'x',
  });
  await withProxy(t, { origin }, async (scene) => {
    const fields = [
      'Connection',
      'close, X-Mine',
      'X-Mine',
      '1',
      'TE',
      'trailers',
      'Proxy-Authorization',
      'Basic eA==',
      'Proxy-Connection',
      'keep-alive',
      'X-Kept',
      'yes',
    ];
    const miss = await scene.get('/a', fields);
    await scene.settled();
    const hit = await scene.get('/a');
    const [asked] = scene.origin.requests;
    for (const name of ['x-mine', 'te', 'proxy-authorization', 'proxy-connection']) {
      t.is(asked!.field(name), undefined, name);
    }
    t.is(asked!.field('x-kept'), 'yes');
    for (const response of [miss, hit]) {
      for (const name of ['x-hop', 'proxy-authenticate', 'upgrade', 'trailer']) {
        t.deepEqual(response.lines(name), [], name);
      }
      t.is(response.field('x-end'), 'to-end');
      t.is(response.field('cache-control'), 'max-age=600', 'caching is no matter of one hop');
    }
    t.is(hit.field('x-cache'), 'HIT');
  });
});

test('fields: Via is added in both directions, behind what was there', async (t) => {
  const origin = always({
    fields: ['Cache-Control', 'max-age=600', 'Via', '1.0 inner'],
    body: 'x',
  });
  await withProxy(t, { origin }, async (scene) => {
    const miss = await scene.get('/a', ['Via', '1.1 outer']);
    await scene.settled();
    const hit = await scene.get('/a');
    t.regex(scene.origin.requests[0]!.field('via')!, /^1\.1 outer, 1\.1 millrace-[0-9a-f]{8}$/);
    t.regex(miss.field('via')!, /^1\.0 inner, 1\.1 millrace-[0-9a-f]{8}$/);
    t.is(hit.field('via'), miss.field('via'));
  });
});

test('fields: what a client claims about forwarding is overwritten', async (t) => {
  const origin = always({ fields: ['Cache-Control', 'max-age=600'], body: 'x' });
  await withProxy(t, { origin }, async (scene) => {
    await scene.get('/a', [
      'X-Forwarded-For',
      '10.1.1.1',
      'X-Forwarded-Host',
      'evil.test',
      'X-Forwarded-Proto',
      'https',
      'X-Forwarded-Port',
      '1',
      'X-Forwarded-Prefix',
      '/evil',
      'Forwarded',
      'for=10.1.1.1',
      'X-Real-IP',
      '10.1.1.1',
      'X-HTTP-Method-Override',
      'DELETE',
      'X-Original-URL',
      '/evil',
    ]);
    const [asked] = scene.origin.requests;
    t.is(asked!.field('x-forwarded-for'), '127.0.0.1');
    t.is(asked!.field('x-forwarded-host'), 'site.test');
    t.is(asked!.field('x-forwarded-proto'), 'http');
    t.is(asked!.field('host'), scene.origin.address);
    const gone = ['x-forwarded-port', 'x-forwarded-prefix', 'forwarded', 'x-real-ip'];
    for (const name of [...gone, 'x-http-method-override', 'x-original-url']) {
      t.is(asked!.field(name), undefined, name);
    }
  });
});

test('fields: Date is kept; where the origin gave none it tells the time of receipt', async (t) => {
  const lifetime = ['Cache-Control', 'max-age=600'];
  const origin: Script = (request, reply) =>
    request.target === '/dated'
      ? reply.send({ fields: [...lifetime, 'Date', 'Fri, 15 Jan 2027 07:59:50 GMT'], body: 'x' })
      : reply.send({ fields: lifetime, body: 'x' });
  await withProxy(t, { origin }, async (scene) => {
    await scene.get('/dated');
    await scene.get('/undated');
    await scene.settled();
    scene.clock.advance(20_000);
    const dated = await scene.get('/dated');
    t.is(dated.field('date'), 'Fri, 15 Jan 2027 07:59:50 GMT');
    t.is(dated.field('age'), '30');
    const undated = await scene.get('/undated');
    t.is(undated.field('date'), 'Fri, 15 Jan 2027 08:00:00 GMT');
    t.is(undated.field('age'), '20');
  });
});

test('fields: Cache-Status follows what caches before us said', async (t) => {
  const inner = ['Cache-Status', 'inner; hit', 'X-Cache', 'HIT from inner'];
  const origin = always({ fields: ['Cache-Control', 'max-age=600', ...inner], body: 'x' });
  await withProxy(t, { origin }, async (scene) => {
    const miss = await scene.get('/a');
    await scene.settled();
    const hit = await scene.get('/a');
    t.is(miss.field('cache-status'), 'inner; hit, millrace; fwd=uri-miss; stored');
    t.is(miss.field('x-cache'), 'MISS');
    t.is(hit.field('cache-status'), 'inner; hit, millrace; hit; ttl=600; detail=memory');
    t.is(hit.field('x-cache'), 'HIT');
  });
});

test('fields: of an upstream Age the first number goes on, and what is none does not', async (t) => {
  const ages: ReadonlyArray<readonly [string[], string | undefined]> = [
    [['Age', '5'], '5'],
    [['Age', '5, 10'], '5'],
    [['Age', '5', 'Age', '10'], '5'],
    [['Age', 'abc'], undefined],
    [['Age', '-1'], undefined],
    [['Age', '1.5'], undefined],
  ];
  const origin: Script = (request, reply) =>
    reply.send({
      fields: ['Cache-Control', 'max-age=60', ...ages[Number(request.target.slice(1))]![0]],
      body: 'x',
    });
  await withProxy(t, { origin }, async (scene) => {
    for (const [at, [given, age]] of ages.entries()) {
      t.is((await scene.get(`/${at}`)).field('age'), age, given.join());
    }
  });
});
