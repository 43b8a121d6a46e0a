// How much one origin gets at a time, what becomes of the rest, and the circuit breaker.

import test from 'ava';
import type { ConfigInput } from '../../ts/config/schema.js';
import { withProxy } from '../support/harness.js';
import { always, type Script, startOrigin } from '../support/scripted-origin.js';
import { gate, until } from '../support/until.js';

const lifetime = ['Cache-Control', 'max-age=600'];
const hub =
  (options: object) =>
  (address: string): ConfigInput => ({
    upstreams: { hub: { origins: address, ...options } },
    routes: [{ upstream: 'hub' }],
  });

test('limits: one origin has max_connections requests at a time, and all are answered', async (t) => {
  let now = 0;
  let most = 0;
  const doors = Array.from({ length: 6 }, () => gate());
  const origin: Script = async (request, reply) => {
    now += 1;
    most = Math.max(most, now);
    await doors[Number(request.target.slice(1))]!.opened;
    now -= 1;
    await reply.send({ fields: lifetime, body: request.target });
  };
  const config = hub({ max_connections: 2 });
  await withProxy(t, { origin, config }, async (scene) => {
    const all = doors.map((_, at) => scene.get(`/${at}`));
    await until('a full house', () => scene.upstreams().hub!.origins[0]!.waiting === 4);
    t.is(scene.upstreams().hub!.origins[0]!.active, 2);
    for (const door of doors) door.open();
    for (const [at, answer] of (await Promise.all(all)).entries()) {
      t.is(answer.body.toString(), `/${at}`);
    }
    t.is(most, 2);
    t.true(scene.origin.connections <= 2, `${scene.origin.connections}`);
    await until('the end', () => scene.upstreams().hub!.origins[0]!.active === 0);
    t.like(scene.upstreams().hub!.origins[0], { waiting: 0, turnedAway: 0 });
  });
});

test('limits: a place is held until the body is through, and given back when a client leaves', async (t) => {
  const door = gate();
  const origin: Script = async (_request, reply) => {
    await reply.head(200, ['Cache-Control', 'no-store', 'Content-Length', '4']);
    await reply.raw('ab');
    await Promise.race([door.opened, reply.closed]);
    await reply.raw('cd');
  };
  const config = hub({ max_connections: 1 });
  await withProxy(t, { origin, config }, async (scene) => {
    const first = await scene.open('/a');
    await first.hasBytes(2);
    t.is(scene.upstreams().hub!.origins[0]!.active, 1);
    const second = scene.open('/b');
    await until('the second to wait', () => scene.upstreams().hub!.origins[0]!.waiting === 1);
    first.leave();
    const next = await second;
    await next.hasBytes(2);
    door.open();
    t.is((await next.whole()).body.toString(), 'abcd');
    await until('the end', () => scene.upstreams().hub!.origins[0]!.active === 0);
    t.pass();
  });
});

test('limits: a full queue is a 503 that says when to come again', async (t) => {
  const door = gate();
  const origin: Script = async (request, reply) => {
    await door.opened;
    await reply.send({ body: request.target });
  };
  const config = hub({ max_connections: 1, max_waiting: 1 });
  await withProxy(t, { origin, config }, async (scene) => {
    const first = scene.get('/a');
    await until('the first to be asked', () => scene.origin.requests.length === 1);
    const second = scene.get('/b');
    await until('the second to wait', () => scene.upstreams().hub!.origins[0]!.waiting === 1);
    const third = await scene.get('/c');
    t.is(third.status, 503);
    t.is(third.field('retry-after'), '1');
    t.is(third.field('proxy-status'), 'millrace; error=connection_limit_reached');
    t.regex(third.body.toString(), /all 1 connections to http:\/\/127.*as many requests wait/);
    t.is(scene.upstreams().hub!.origins[0]!.turnedAway, 1);
    t.is(scene.upstreams().hub!.origins[0]!.failures, 0, 'the origin is not to blame');
    door.open();
    t.is((await first).status, 200);
    t.is((await second).status, 200);
  });
});

test('limits: a wait for a place ends after timeouts.connect and timeouts.head', async (t) => {
  const origin: Script = async (_request, reply) => {
    await reply.head(200, ['Cache-Control', 'no-store', 'Content-Length', '4']);
    await reply.raw('ab');
    await reply.closed;
  };
  const timeouts = { connect: '2s', head: '2s', idle: '1m' };
  const config = hub({ max_connections: 1, timeouts });
  await withProxy(t, { origin, config }, async (scene) => {
    const first = await scene.open('/a');
    await first.hasBytes(2);
    const second = await scene.get('/b');
    t.is(second.status, 503);
    t.regex(second.body.toString(), /none came free within 4000 ms/);
    t.is(scene.upstreams().hub!.origins[0]!.waiting, 0);
    first.leave();
  });
});

test('limits: rather another origin at once than a place in the queue', async (t) => {
  const door = gate();
  const busy: Script = async (_request, reply) => {
    await door.opened;
    await reply.send({ fields: lifetime, body: 'busy' });
  };
  const other = await startOrigin(t, busy);
  const config = (address: string): ConfigInput => ({
    upstreams: { hub: { origins: [address, other.address], max_connections: 1 } },
    routes: [{ upstream: 'hub' }],
  });
  await withProxy(t, { origin: busy, config }, async (scene) => {
    const both = [scene.get('/a'), scene.get('/b')];
    await until(
      'both to be asked',
      () => scene.origin.requests.length + other.requests.length === 2,
    );
    t.is(scene.origin.requests.length, 1);
    door.open();
    for (const got of await Promise.all(both)) t.is(got.status, 200);
  });
});

test('limits: the circuit breaker spares an origin that is out, and one request tries it', async (t) => {
  const refuse: Script = (_request, reply) => reply.reset();
  const config = hub({ circuit_breaker: true, max_retries: 0 });
  await withProxy(t, { origin: refuse, config }, async (scene) => {
    for (let at = 0; at < 3; at += 1) t.is((await scene.get(`/${at}`)).status, 502);
    const spared = await scene.get('/3');
    t.is(spared.status, 503);
    t.is(spared.field('retry-after'), '1');
    t.is(spared.field('proxy-status'), 'millrace; error=destination_unavailable');
    t.is(scene.origin.requests.length, 3);
    t.is(scene.upstreams().hub!.broken, 1);
    scene.clock.advance(1000);
    t.is((await scene.get('/4')).status, 502, 'this one tries it');
    t.is((await scene.get('/5')).status, 503);
    t.is(scene.origin.requests.length, 4);
    scene.origin.script = always({ fields: lifetime, body: 'well' });
    scene.clock.advance(1999);
    const early = await scene.get('/6');
    t.is(early.status, 503, 'the time out has doubled');
    scene.clock.advance(1);
    t.is((await scene.get('/7')).status, 200);
    t.is((await scene.get('/8')).status, 200);
  });
});

test('limits: behind an open circuit breaker what is stored is served stale', async (t) => {
  const origin = always({ fields: ['Cache-Control', 'max-age=10'], body: 'kept' });
  const config = hub({ circuit_breaker: true, max_retries: 0 });
  await withProxy(t, { origin, config }, async (scene) => {
    t.is((await scene.get('/kept')).status, 200);
    await scene.settled();
    scene.origin.script = (_request, reply) => reply.reset();
    for (let at = 0; at < 3; at += 1) await scene.get(`/${at}`);
    scene.clock.advance(11_000);
    await scene.get('/trial');
    const asked = scene.origin.requests.length;
    const got = await scene.get('/kept');
    t.is(got.status, 200);
    t.is(got.body.toString(), 'kept');
    t.is(scene.origin.requests.length, asked);
  });
});
