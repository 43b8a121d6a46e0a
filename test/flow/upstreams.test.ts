// Several origins behind one upstream: who gets which key, what happens to the keys of one that fails, what
// is asked again and what never is, checks, limits.

import test, { type ExecutionContext } from 'ava';
import type { ConfigInput } from '../../ts/config/schema.js';
import { type OriginReport, originChannel } from '../../ts/observe/channels.js';
import { openRaw } from '../support/client.js';
import { type Scene, withProxy } from '../support/harness.js';
import { resetSocket } from '../support/reset.js';
import {
  always,
  type Script,
  type ScriptedOrigin,
  startOrigin,
} from '../support/scripted-origin.js';
import { until } from '../support/until.js';

type UpstreamInput = NonNullable<ConfigInput['upstreams']>[string];

const lifetime = ['Cache-Control', 'max-age=600'];
const refuse: Script = (_request, reply) => reply.reset();

interface Stage {
  readonly scene: Scene;
  readonly origins: readonly ScriptedOrigin[];
  /** Changes of health, as they were published. */
  readonly changes: OriginReport[];
  counts(): number[];
}

/** `scripts`: one origin each. */
async function withOrigins(
  t: ExecutionContext,
  scripts: readonly Script[],
  input: (addresses: readonly string[]) => Partial<UpstreamInput>,
  run: (stage: Stage) => Promise<void>,
): Promise<void> {
  const origins = await Promise.all(scripts.map((script) => startOrigin(t, script)));
  const addresses = origins.map(({ address }) => address);
  const changes: OriginReport[] = [];
  const listen = (report: unknown) => {
    const { origin } = report as OriginReport;
    if (addresses.includes(new URL(origin).host)) changes.push(report as OriginReport);
  };
  originChannel.subscribe(listen);
  t.teardown(() => void originChannel.unsubscribe(listen));
  const config = (): ConfigInput => ({
    upstreams: { hub: { origins: addresses, ...input(addresses) } },
    routes: [{ upstream: 'hub' }],
  });
  await withProxy(t, { origin: always({ status: 500 }), config }, (scene) =>
    run({
      scene,
      origins,
      changes,
      counts: () => origins.map(({ requests }) => requests.length),
    }),
  );
}

const named = (name: string): Script =>
  always({ fields: [...lifetime, 'X-From', name], body: name });

test('upstreams: a key stays with its origin, and all origins have keys', async (t) => {
  await withOrigins(
    t,
    [named('a'), named('b')],
    () => ({}),
    async ({ scene, counts, origins }) => {
      const from = new Map<string, string>();
      for (let at = 0; at < 20; at += 1) {
        const got = await scene.get(`/${at}`, ['Cache-Control', 'no-cache']);
        from.set(`/${at}`, got.field('x-from')!);
      }
      t.deepEqual([...new Set(from.values())].sort(), ['a', 'b']);
      for (const [target, name] of from) {
        t.is((await scene.get(target, ['Cache-Control', 'no-cache'])).field('x-from'), name);
      }
      t.is(counts()[0]! + counts()[1]!, 40);
      for (const origin of origins) t.is(origin.requests[0]!.field('host'), origin.address);
    },
  );
});

test('upstreams: weights share out, and balance: weight takes turns', async (t) => {
  const input = ([a, b]: readonly string[]) => ({
    balance: 'weight' as const,
    origins: [{ url: a!, weight: 3 }, b!],
  });
  await withOrigins(t, [named('a'), named('b')], input, async ({ scene, counts }) => {
    for (let at = 0; at < 12; at += 1) await scene.get(`/${at}`);
    t.deepEqual(counts(), [9, 3]);
  });
});

test('upstreams: what one origin does not answer another one does', async (t) => {
  await withOrigins(
    t,
    [refuse, named('b')],
    () => ({}),
    async ({ scene, changes }) => {
      for (let at = 0; at < 20; at += 1) {
        const got = await scene.get(`/${at}`);
        t.is(got.status, 200);
        t.is(got.field('x-from'), 'b');
      }
      const { retries, origins } = scene.upstreams().hub!;
      t.is(retries.reset, 3, 'then it is out');
      t.is(changes.length, 1);
      t.like(changes[0], { upstream: 'hub', origin: origins[0]!.origin, state: 'out' });
      t.regex(
        changes[0]!.reason,
        /^3 failures in a row, the last: http:\/\/.* closed the connection/,
      );
      t.deepEqual(
        origins.map(({ state, requests, failures }) => [state, requests, failures]),
        [
          ['out', 3, 3],
          ['in', 20, 0],
        ],
      );
    },
  );
});

test('upstreams: an origin comes back through one request that tries it', async (t) => {
  await withOrigins(
    t,
    [refuse, named('b')],
    () => ({}),
    async (stage) => {
      const { scene, origins, changes } = stage;
      for (let at = 0; at < 20; at += 1) await scene.get(`/${at}`);
      origins[0]!.script = named('a');
      t.is((await scene.get('/early')).field('x-from'), 'b');
      scene.clock.advance(1000);
      const from = new Set<string>();
      for (let at = 20; at < 40; at += 1) from.add((await scene.get(`/${at}`)).field('x-from')!);
      t.deepEqual([...from].sort(), ['a', 'b']);
      t.deepEqual(
        changes.map(({ state }) => state),
        ['out', 'in'],
      );
    },
  );
});

test('upstreams: with all of them out one is asked all the same', async (t) => {
  await withOrigins(
    t,
    [refuse, refuse],
    () => ({ max_retries: 0 }),
    async (stage) => {
      const { scene, origins, changes } = stage;
      for (let at = 0; at < 20; at += 1) t.is((await scene.get(`/${at}`)).status, 502);
      t.is(changes.length, 2);
      for (const origin of origins) origin.script = named('x');
      t.is((await scene.get('/last')).status, 200);
    },
  );
});

test('upstreams: a status of retry.status is asked of another origin, and never stored', async (t) => {
  const busy = always({ status: 503, fields: lifetime, body: 'busy' });
  await withOrigins(
    t,
    [busy, named('b')],
    () => ({}),
    async ({ scene, counts }) => {
      for (let at = 0; at < 10; at += 1) {
        const got = await scene.get(`/${at}`);
        t.is(got.body.toString(), 'b');
      }
      t.true(counts()[0]! > 0);
      t.is(scene.upstreams().hub!.retries.status, counts()[0]!);
      t.is(scene.upstreams().hub!.origins[0]!.state, 'in', 'an answer is no failure by itself');
    },
  );
});

test('upstreams: health.failure_status makes an answer a failure', async (t) => {
  const broken = always({ status: 500, body: 'broken' });
  const input = () => ({ health: { failure_status: '5xx', max_failures: 2 } });
  await withOrigins(t, [broken, named('b')], input, async ({ scene, counts, changes }) => {
    for (let at = 0; at < 20; at += 1) await scene.get(`/${at}`);
    t.is(counts()[0], 2);
    t.regex(changes[0]!.reason, /the last: it answered 500$/);
  });
});

test('upstreams: a status without a better origin goes to the client', async (t) => {
  const busy = always({ status: 503, body: 'busy' });
  await withOrigins(
    t,
    [busy],
    () => ({}),
    async ({ scene, counts }) => {
      const got = await scene.get('/a');
      t.is(got.status, 503);
      t.is(got.body.toString(), 'busy');
      t.deepEqual(counts(), [1]);
    },
  );
});

test('upstreams: Retry-After is honoured within retry.back_off_max', async (t) => {
  let asked = 0;
  const soon: Script = (request, reply) => {
    asked += 1;
    if (asked > 1) return named('a')(request, reply);
    return reply.send({ status: 503, fields: ['Retry-After', '1'], body: 'soon' });
  };
  const waits: number[] = [];
  const timers = {
    after(ms: number, callback: () => void) {
      waits.push(ms);
      setImmediate(callback);
      return () => {};
    },
  };
  const origin = soon;
  await withProxy(t, { origin, upstream: { timers } }, async (scene) => {
    t.is((await scene.get('/a')).body.toString(), 'a');
    t.deepEqual(waits, [1000]);
    scene.origin.script = always({ status: 503, fields: ['Retry-After', '3'], body: 'later' });
    t.is((await scene.get('/b')).status, 503, 'three seconds are too long to wait');
    t.deepEqual(waits, [1000]);
  });
});

test('upstreams: further attempts wait, by the timers that were given', async (t) => {
  const waits: number[] = [];
  const timers = {
    after(ms: number, callback: () => void) {
      waits.push(ms);
      setImmediate(callback);
      return () => {};
    },
  };
  const config = (origins: string): ConfigInput => ({
    upstreams: { hub: { origins, max_retries: 3, health: { max_failures: 0 } } },
    routes: [{ upstream: 'hub' }],
  });
  const upstream = { timers, random: () => 0 };
  await withProxy(t, { origin: refuse, config, upstream }, async (scene) => {
    const got = await scene.get('/a');
    t.is(got.status, 502);
    t.is(scene.origin.requests.length, 4);
    t.deepEqual(waits, [25, 50]);
  });
});

test('upstreams: a POST is not asked twice, of nobody', async (t) => {
  await withOrigins(
    t,
    [refuse, refuse],
    () => ({ max_retries: 5 }),
    async ({ scene, counts }) => {
      const got = await scene.send('/a', { method: 'POST', body: 'x' });
      t.is(got.status, 502);
      t.is(counts()[0]! + counts()[1]!, 1);
      const bare = await scene.send('/a', { method: 'POST' });
      t.is(bare.status, 502);
      t.is(counts()[0]! + counts()[1]!, 2);
    },
  );
});

test('upstreams: an answer that has begun is not asked for again', async (t) => {
  const half: Script = async (_request, reply) => {
    await reply.head(200, [...lifetime, 'Content-Length', '10']);
    await reply.raw('half ');
    reply.reset();
  };
  await withOrigins(
    t,
    [half, half],
    () => ({ max_retries: 5 }),
    async ({ scene, counts }) => {
      const got = await scene.get('/a');
      t.false(got.isComplete);
      t.is(counts()[0]! + counts()[1]!, 1);
    },
  );
});

test('upstreams: in an outage repetitions do not multiply the load', async (t) => {
  const input = () => ({ max_retries: 5, health: { max_failures: 0 }, retry: { back_off: '1ms' } });
  await withOrigins(t, [refuse, refuse], input, async ({ scene, counts }) => {
    for (let at = 0; at < 60; at += 1) t.is((await scene.get(`/${at}`)).status, 502);
    const sum = counts()[0]! + counts()[1]!;
    // Ten that were saved up, and a fifth of the requests.
    t.true(sum >= 70 && sum <= 60 + 10 + 12, `${sum}`);
    t.true(scene.upstreams().hub!.retries.denied > 0);
  });
});

test('upstreams: checks of our own take an origin out and bring it back', async (t) => {
  const up: Script = (request, reply) =>
    request.target === '/up' ? reply.send({ status: 204 }) : named('a')(request, reply);
  const down: Script = (request, reply) =>
    request.target === '/up' ? reply.send({ status: 500 }) : named('a')(request, reply);
  const input = () => ({ health: { path: '/up', interval: '20ms', timeout: '5s' } });
  await withOrigins(t, [down, up], input, async ({ scene, origins, changes }) => {
    await until('the origin to be out', () => changes.length === 1);
    t.is(changes[0]!.reason, '3 health checks failed, the last: GET /up answered 500');
    t.deepEqual(
      scene.upstreams().hub!.origins.map(({ state }) => state),
      ['out', 'in'],
    );
    for (let at = 0; at < 10; at += 1) await scene.get(`/${at}`);
    t.true(origins[0]!.requests.every(({ target }) => target === '/up'));
    origins[0]!.script = up;
    await until('the origin to be in', () => changes.length === 2);
    t.is(changes[1]!.state, 'in');
    const isAsked = () => origins[0]!.requests.some(({ target }) => target !== '/up');
    for (let at = 10; at < 60 && !isAsked(); at += 1) await scene.get(`/${at}`);
    t.true(isAsked());
  });
});

test('upstreams: a check without an answer in time has failed', async (t) => {
  const silent: Script = (_request, reply) => reply.closed;
  const input = () => ({ health: { path: '/up', interval: '10ms', timeout: '30ms' } });
  await withOrigins(t, [silent], input, async ({ changes }) => {
    await until('the origin to be out', () => changes.length > 0);
    t.regex(changes[0]!.reason, /sent no response head within 30 ms$/);
  });
});

test('upstreams: limits of one upstream are its own', async (t) => {
  const silent: Script = (_request, reply) => reply.closed;
  const input = () => ({ timeouts: { connect: '100ms', head: '100ms' } });
  await withOrigins(t, [silent], input, async ({ scene }) => {
    const got = await scene.get('/a');
    t.is(got.status, 504);
    t.regex(got.body.toString(), /sent no response head/);
  });
});

test('upstreams: timeouts.total ends a response that never comes to its end', async (t) => {
  const half: Script = async (_request, reply) => {
    await reply.head(200, [...lifetime, 'Content-Length', '10']);
    await reply.raw('half ');
    await reply.closed;
  };
  // timeouts.idle would break it much later.
  const input = () => ({ timeouts: { idle: '10m', total: '3s' } });
  await withOrigins(t, [half], input, async ({ scene }) => {
    const got = await scene.get('/a');
    t.is(got.status, 200);
    t.false(got.isComplete);
    t.is(got.body.toString(), 'half ');
    await scene.settled();
    t.is(scene.counters().originErrors, 1);
  });
});

test('upstreams: clients who break their requests off put no origin out', async (t) => {
  const reading: Script = async (request, reply) => {
    await request.body;
    await reply.send({ body: 'taken' });
  };
  await withOrigins(
    t,
    [reading],
    () => ({}),
    async ({ scene, origins, changes }) => {
      for (let at = 0; at < 4; at += 1) {
        const client = await openRaw(scene.address);
        client.write(`POST /${at} HTTP/1.1\r\nHost: site.test\r\nContent-Length: 10\r\n\r\nhalf`);
        await until('the request to arrive', () => origins[0]!.requests.length > at);
        resetSocket(client.socket);
        await until('its end', () => scene.upstreams().hub!.origins[0]!.active === 0);
      }
      await scene.settled();
      t.like(scene.upstreams().hub!.origins[0], { state: 'in', failures: 0 });
      t.deepEqual(changes, []);
      t.is((await scene.send('/a', { method: 'POST', body: 'whole' })).status, 200);
    },
  );
});
