// cache.authorization: confirm. What one client's token has fetched is stored, and nobody gets a byte of
// it unless the origin lets that client in: not from the store, not from a running fill, not as a stand-in
// for an origin that fails. The origin sends each body once.

import test, { type ExecutionContext } from 'ava';
import { type Scene, withProxy } from '../support/harness.js';
import type { OriginRequest, Reply, Script } from '../support/scripted-origin.js';
import { until } from '../support/until.js';

const body = Buffer.alloc(300_000, 'private ');
const lifetime = ['Cache-Control', 'max-age=600', 'ETag', '"v1"', 'Accept-Ranges', 'bytes'];
const token = (name: string) => ['Authorization', `Bearer ${name}`];

interface Doorman {
  readonly script: Script;
  /** Who is let in; null: whoever comes. */
  allowed: Set<string> | null;
  bodies: number;
  /** In place of what it would do; null: nothing. */
  instead: ((reply: Reply) => Promise<void>) | null;
}

/** Lets in whom it knows, and sends its one body only to those who do not have it. */
function doorman(...allowed: string[]): Doorman {
  const state: Doorman = { script, allowed: new Set(allowed), bodies: 0, instead: null };
  async function script(request: OriginRequest, reply: Reply): Promise<void> {
    if (state.instead !== null) return state.instead(reply);
    const name = (request.field('authorization') ?? request.field('cookie') ?? '').split(' ')[1];
    if (state.allowed !== null && !state.allowed.has(name ?? '')) {
      const fields = ['WWW-Authenticate', 'Bearer', 'Cache-Control', 'max-age=600'];
      return reply.send({ status: 401, fields, body: 'who are you' });
    }
    if (request.field('if-none-match') === '"v1"') return reply.head(304, lifetime);
    state.bodies += 1;
    return reply.send({ fields: lifetime, body });
  }
  return state;
}

async function withConfirm(
  t: ExecutionContext,
  origin: Doorman,
  run: (scene: Scene) => Promise<void>,
  cache: object = {},
): Promise<void> {
  const config = () => ({ routes: [{ cache: { authorization: 'confirm' as const, ...cache } }] });
  await withProxy(t, { origin: origin.script, config }, run);
}

test('confirm: a stored private body is served to whom the origin lets in', async (t) => {
  const origin = doorman('a', 'b');
  await withConfirm(t, origin, async (scene) => {
    t.deepEqual((await scene.get('/x', token('a'))).body, body);
    await scene.settled();
    for (const name of ['a', 'b', 'b']) {
      const got = await scene.get('/x', token(name));
      t.is(got.status, 200);
      t.deepEqual(got.body, body);
      t.is(got.field('x-cache'), 'REVALIDATED');
    }
    t.is(origin.bodies, 1);
    t.is(scene.origin.requests.length, 4);
    t.is(scene.origin.requests[2]!.field('authorization'), 'Bearer b');
  });
});

test('confirm: a client that the origin refuses gets its refusal, and changes nothing', async (t) => {
  const origin = doorman('a');
  await withConfirm(t, origin, async (scene) => {
    await scene.get('/x', token('a'));
    await scene.settled();
    for (const fields of [token('x'), [], ['Range', 'bytes=0-9', ...token('x')]]) {
      const got = await scene.get('/x', fields);
      t.is(got.status, 401);
      t.is(got.body.toString(), 'who are you');
      t.is(got.field('www-authenticate'), 'Bearer');
    }
    t.is((await scene.send('/x', { method: 'HEAD', fields: token('x') })).status, 401);
    t.is((await scene.get('/x', ['Cache-Control', 'only-if-cached'])).status, 504);
    t.is((await scene.get('/x', [...token('x'), 'Cache-Control', 'max-stale'])).status, 401);
    t.deepEqual((await scene.get('/x', token('a'))).body, body);
    t.is(origin.bodies, 1);
  });
});

test('confirm: a range of what is stored costs a confirmation and no bytes', async (t) => {
  const origin = doorman('a', 'b');
  await withConfirm(t, origin, async (scene) => {
    await scene.get('/x', token('a'));
    await scene.settled();
    const got = await scene.get('/x', ['Range', 'bytes=100-299', ...token('b')]);
    t.is(got.status, 206);
    t.deepEqual(got.body, body.subarray(100, 300));
    t.is(origin.bodies, 1);
  });
});

test('confirm: a cookie is a credential as well', async (t) => {
  const origin = doorman('a');
  await withConfirm(t, origin, async (scene) => {
    await scene.get('/x', ['Cookie', 'session a']);
    await scene.settled();
    t.is((await scene.get('/x', ['Cookie', 'session x'])).status, 401);
    t.is((await scene.get('/x')).status, 401);
    t.is((await scene.get('/x', ['Cookie', 'session a'])).status, 200);
    t.is(origin.bodies, 1);
  });
});

test('confirm: what is sent to somebody without credentials is for all', async (t) => {
  const origin = doorman();
  origin.allowed = null;
  await withConfirm(t, origin, async (scene) => {
    await scene.get('/x');
    await scene.settled();
    t.is((await scene.get('/x', token('x'))).field('x-cache'), 'HIT');
    t.is((await scene.get('/x')).field('x-cache'), 'HIT');
    t.is(scene.origin.requests.length, 1);
    await scene.get('/y', token('a'));
    await scene.settled();
    t.is((await scene.get('/y')).field('x-cache'), 'REVALIDATED');
    t.is((await scene.get('/y', token('x'))).field('x-cache'), 'HIT');
    t.is(origin.bodies, 2);
  });
});

test('confirm: nothing private stands in for an origin that fails', async (t) => {
  const origin = doorman('a');
  const cache = { stale: { if_error: '1d', while_revalidate: '1d', on_429: true } };
  const run = async (scene: Scene) => {
    await scene.get('/x', token('a'));
    await scene.settled();
    scene.clock.advance(700_000);
    t.is((await scene.get('/x', token('x'))).status, 401);
    origin.instead = (reply) => reply.send({ status: 503, body: 'down' });
    t.is((await scene.get('/x', token('a'))).status, 503);
    origin.instead = async (reply) => reply.reset();
    t.is((await scene.get('/x', token('a'))).status, 504);
    const held = { status: 429, fields: ['Retry-After', '9'], body: 'slower' };
    origin.instead = (reply) => reply.send(held);
    t.is((await scene.get('/x', token('a'))).status, 429);
    t.is((await scene.get('/x', token('a'))).field('retry-after'), '9');
  };
  await withConfirm(t, origin, run, cache);
});

test('confirm: what is public stands in, and a 429 is kept', async (t) => {
  const origin = doorman();
  origin.allowed = null;
  const run = async (scene: Scene) => {
    await scene.get('/x');
    await scene.settled();
    scene.clock.advance(700_000);
    const held = { status: 429, fields: ['Retry-After', '9'], body: 'slower' };
    origin.instead = (reply) => reply.send(held);
    t.deepEqual((await scene.get('/x', token('a'))).body, body);
    t.deepEqual((await scene.get('/x')).body, body);
    t.is(scene.origin.requests.length, 2);
  };
  await withConfirm(t, origin, run, { stale: { if_error: '1d', on_429: true } });
});

test('confirm: errors are not stored, however long they would be good', async (t) => {
  const origin = doorman('a');
  await withConfirm(t, origin, async (scene) => {
    t.is((await scene.get('/x')).status, 401);
    t.is((await scene.get('/x', token('a'))).status, 200);
    t.is(origin.bodies, 1);
  });
});

test('confirm: what is gone for everybody stands in for nothing', async (t) => {
  const origin = doorman();
  origin.allowed = null;
  const run = async (scene: Scene) => {
    await scene.get('/public');
    await scene.get('/private', token('a'));
    await scene.settled();
    scene.clock.advance(700_000);
    origin.instead = (reply) => reply.send({ status: 404, body: 'gone' });
    t.is((await scene.get('/public')).status, 404);
    t.is((await scene.get('/private', token('x'))).status, 404);
    origin.instead = async (reply) => reply.reset();
    t.is((await scene.get('/public')).status, 502);
    origin.instead = null;
    t.is((await scene.get('/private', token('a'))).field('x-cache'), 'REVALIDATED');
  };
  await withConfirm(t, origin, run, { stale: { max: '1d' } });
});

test('confirm: several clients share a running fill once the origin has let each in', async (t) => {
  const origin = doorman('a', 'b', 'c');
  let go = () => {};
  const held = new Promise<void>((resolve) => {
    go = resolve;
  });
  const { script } = origin;
  const slow: Script = async (request, reply) => {
    if (request.field('authorization') !== 'Bearer a' || origin.bodies > 0)
      return script(request, reply);
    origin.bodies += 1;
    await reply.head(200, [...lifetime, 'Content-Length', `${body.length}`]);
    await reply.raw(body.subarray(0, 1000));
    await held;
    return reply.raw(body.subarray(1000));
  };
  await withConfirm(t, { ...origin, script: slow }, async (scene) => {
    const first = scene.get('/x', token('a'));
    await until('the fill', () => scene.origin.requests.length === 1);
    const same = scene.get('/x', token('a'));
    const others = ['b', 'c'].map((name) => scene.get('/x', token(name)));
    t.is((await scene.get('/x', token('x'))).status, 401);
    t.is((await scene.get('/x')).status, 401);
    await until('the confirmations', () => scene.origin.requests.length === 7);
    go();
    for (const got of await Promise.all([first, same, ...others])) t.deepEqual(got.body, body);
    t.is(origin.bodies, 1);
    t.is(scene.counters().collapsed, 3);
  });
});

/** Lets in by token, and sends the ranges that it is asked for; those of `held` once `go` was called. */
function rangeDoorman(allowed: readonly string[]) {
  const state = { sent: 0, isHeld: false, go: () => {} };
  const opened = new Promise<void>((resolve) => {
    state.go = resolve;
  });
  const script: Script = async (request, reply) => {
    const name = (request.field('authorization') ?? '').split(' ')[1] ?? '';
    if (!allowed.includes(name)) return reply.send({ status: 401, body: 'who are you' });
    if (request.field('if-none-match') === '"v1"') return reply.head(304, lifetime);
    const match = /^bytes=(\d+)-(\d+)$/.exec(request.field('range') ?? '');
    const start = Number(match?.[1] ?? 0);
    const end = match === null ? large.length : Math.min(large.length, Number(match[2]) + 1);
    const range =
      match === null ? [] : ['Content-Range', `bytes ${start}-${end - 1}/${large.length}`];
    const fields = [...lifetime, ...range, 'Content-Length', `${end - start}`];
    state.sent += end - start;
    await reply.head(match === null ? 200 : 206, fields);
    await reply.raw(large.subarray(start, start + 1000));
    if (state.isHeld) await opened;
    await reply.raw(large.subarray(start + 1000, end));
  };
  return { state, script };
}

const large = Buffer.alloc(6 * 1024 * 1024, 'parts of something private ');
const part = (start: number, end: number) => ['Range', `bytes=${start}-${end - 1}`];
const mib = 1024 * 1024;

test('confirm: parts of what is not there as a whole are for whom the origin lets in', async (t) => {
  const { state, script } = rangeDoorman(['a', 'b']);
  await withConfirm(t, { ...doorman(), script }, async (scene) => {
    const ask = (name: string, start: number, end: number) =>
      scene.get('/x', [...part(start, end), ...token(name)]);
    t.deepEqual(
      (await ask('a', 4 * mib, 4 * mib + 5000)).body,
      large.subarray(4 * mib, 4 * mib + 5000),
    );
    await scene.settled();
    const { sent } = state;
    for (const [start, end] of [
      [4 * mib, 4 * mib + 5000],
      [4 * mib + 1000, 5 * mib + 1000],
      [2 * mib, 4 * mib + 100],
      [0, 100],
    ] as const) {
      t.is((await ask('x', start, end)).status, 401, `${start}`);
      t.is((await scene.get('/x', part(start, end))).status, 401, `${start}`);
    }
    t.is((await scene.get('/x', token('x'))).status, 401);
    t.is(state.sent, sent);
    t.deepEqual(
      (await ask('b', 4 * mib, 4 * mib + 5000)).body,
      large.subarray(4 * mib, 4 * mib + 5000),
    );
    t.is(state.sent, sent);
    t.deepEqual((await ask('b', 3 * mib, 5 * mib)).body, large.subarray(3 * mib, 5 * mib));
  });
});

test('confirm: a part that is being fetched is for whom the origin lets in', async (t) => {
  const { state, script } = rangeDoorman(['a', 'b']);
  await withConfirm(t, { ...doorman(), script }, async (scene) => {
    const ask = (name: string, start: number, end: number) =>
      scene.get('/x', [...part(start, end), ...token(name)]);
    await ask('a', 5 * mib, 5 * mib + 5000);
    await scene.settled();
    state.isHeld = true;
    const first = ask('a', 2 * mib, 3 * mib);
    await until('the part', () => scene.origin.requests.length === 2);
    t.is((await ask('x', 2 * mib, 3 * mib)).status, 401);
    t.is((await ask('x', 2 * mib + 500, 2 * mib + 900)).status, 401);
    t.is((await scene.get('/x', part(2 * mib, 3 * mib))).status, 401);
    const other = ask('b', 2 * mib, 3 * mib);
    await until('the other client', () => scene.counters().exchanges === 6);
    state.go();
    for (const got of [await first, await other]) {
      t.is(got.status, 206);
      t.deepEqual(got.body, large.subarray(2 * mib, 3 * mib));
    }
  });
});

test('confirm: without a validator each client has a body of its own', async (t) => {
  const script: Script = (request, reply) =>
    reply.send({
      fields: ['Cache-Control', 'max-age=600'],
      body: request.field('authorization') ?? 'nobody',
    });
  await withConfirm(t, { ...doorman(), script }, async (scene) => {
    for (const name of ['a', 'b', 'a']) {
      t.is((await scene.get('/x', token(name))).body.toString(), `Bearer ${name}`);
      await scene.settled();
    }
    t.is(scene.origin.requests.length, 3);
  });
});
