// Who may say how a request came, and what becomes of fields that could choose a response without being
// part of its key: what nobody trusted says never reaches origin and store together.

import test from 'ava';
import { openRequest } from '../support/client.js';
import { withProxy } from '../support/harness.js';
import type { Script } from '../support/scripted-origin.js';

const lifetime = ['Cache-Control', 'max-age=600'];
/** Tells what it was told. */
const echo: Script = (request, reply) =>
  reply.send({
    fields: lifetime,
    body: ['proto', 'host', 'for'].map((name) => request.field(`x-forwarded-${name}`)).join(' '),
  });
const claims = [
  ...['X-Forwarded-For', '10.1.1.1', 'X-Forwarded-Proto', 'https'],
  ...['X-Forwarded-Host', 'shop.test', 'X-Real-IP', '10.1.1.1', 'Forwarded', 'for=10.1.1.1'],
];

test('trusted: what a trusted proxy says is passed on, and is part of the key', async (t) => {
  const config = () => ({ trusted_proxies: ['10.0.0.0/8', '127.0.0.1'] });
  await withProxy(t, { origin: echo, config }, async (scene) => {
    t.is((await scene.get('/a', claims)).body.toString(), 'https shop.test 10.1.1.1, 127.0.0.1');
    t.is(scene.origin.requests[0]!.field('x-real-ip'), '10.1.1.1');
    t.is(scene.origin.requests[0]!.field('forwarded'), undefined);
    await scene.settled();
    const plain = await scene.get('/a', ['Host', 'shop.test']);
    t.is(plain.body.toString(), 'http shop.test 127.0.0.1', 'another scheme, another object');
    await scene.settled();
    t.is((await scene.get('/a', claims)).field('x-cache'), 'HIT');
    await scene.purge({ url: 'https://shop.test/a' });
    t.is((await scene.get('/a', claims)).field('x-cache'), 'MISS');
    t.is((await scene.get('/a', ['Host', 'shop.test'])).field('x-cache'), 'HIT');
    const odd = ['X-Forwarded-Proto', 'gopher', 'X-Forwarded-Host', 'a.test, b.test'];
    t.is((await scene.get('/b', odd)).body.toString(), 'http site.test 127.0.0.1');
    t.is((await scene.get('/b', ['X-Forwarded-Host', 'a b'])).status, 400);
  });
});

test('trusted: everybody else is not believed', async (t) => {
  const config = () => ({ trusted_proxies: ['10.0.0.0/8'] });
  await withProxy(t, { origin: echo, config }, async (scene) => {
    t.is((await scene.get('/a', claims)).body.toString(), 'http site.test 127.0.0.1');
    t.is(scene.origin.requests[0]!.field('x-real-ip'), undefined);
  });
});

test('trusted: names with _ are no way around what is removed', async (t) => {
  await withProxy(t, { origin: echo }, async (scene) => {
    const odd = ['X_Forwarded_Host', 'X-Original_URL', 'X_HTTP_Method_Override', 'Content_Length'];
    await scene.get(
      '/a',
      odd.flatMap((name) => [name, '1']),
    );
    for (const name of odd) {
      t.is(scene.origin.requests[0]!.field(name.toLowerCase()), undefined, name);
    }
  });
});

test('trusted: a method override is for requests that are no GET or HEAD', async (t) => {
  await withProxy(t, { origin: echo }, async (scene) => {
    const fields = ['X-HTTP-Method-Override', 'DELETE', 'X-Original-URL', '/b'];
    await scene.send('/a', { method: 'HEAD', fields });
    await scene.send('/a', { method: 'POST', fields, body: 'x' });
    const [head, post] = scene.origin.requests;
    t.is(head!.field('x-http-method-override'), undefined);
    t.is(post!.field('x-http-method-override'), 'DELETE');
    t.is(post!.field('x-original-url'), undefined);
  });
});

test('trusted: where one host stands for several, the origin cannot tell them apart', async (t) => {
  const config = () => ({ routes: [{ cache: { key: { host: 'mirror.test' } } }] });
  await withProxy(t, { origin: echo, config }, async (scene) => {
    const got = await scene.get('/a', ['Host', 'one.test']);
    t.is(got.body.toString(), 'http mirror.test 127.0.0.1');
    await scene.settled();
    t.is((await scene.get('/a', ['Host', 'two.test'])).field('x-cache'), 'HIT');
  });
});

test('loop: CDN-Loop is written, and shows a loop that Via does not', async (t) => {
  let proxy = '';
  const origin: Script = async (request, reply) => {
    if (request.target === '/plain') return reply.send({ body: 'x' });
    const fields = ['CDN-Loop', request.field('cdn-loop')!];
    const again = await openRequest(proxy, request.target, { fields });
    const { status, body } = await again.whole();
    return reply.send({ status, reason: 'From Inside', body });
  };
  await withProxy(t, { origin }, async (scene) => {
    proxy = scene.address;
    t.is((await scene.get('/a')).status, 508);
    t.is(scene.origin.requests.length, 1);
    await scene.get('/plain', ['CDN-Loop', 'other; v=1']);
    t.regex(scene.origin.requests[1]!.field('cdn-loop')!, /^other; v=1, millrace-[0-9a-f]{8}$/);
  });
});
