// Purges through the whole proxy: by URL, prefix, tag and altogether, hard and soft, on every kind of store,
// across restarts, while a body is on its way, and over the PURGE method with its guards.

import test from 'ava';
import { ClientError } from '../../ts/errors.js';
import { type ProxyOptions, type Scene, withProxy } from '../support/harness.js';
import type { Script } from '../support/scripted-origin.js';
import { gate, until } from '../support/until.js';

const lifetime = ['Cache-Control', 'max-age=600'];
const stores = ['none', 'raw', 'file'] as const;

/** Each answer names how often the origin was asked; the tag is the first part of the path. */
function counting(): Script {
  let count = 0;
  return (request, reply) => {
    count += 1;
    const tag = request.target.split('/')[1] ?? '';
    return reply.send({
      fields: [...lifetime, 'ETag', `"${count}"`, 'Surrogate-Key', `every ${tag}`],
      body: `answer ${count}`,
    });
  };
}

const xCache = ({ field }: { field(name: string): string | undefined }) => field('x-cache');

async function stateOf(scene: Scene, target: string) {
  const answer = await scene.get(target);
  return xCache(answer);
}

const options = (store: (typeof stores)[number]): ProxyOptions => ({ origin: counting(), store });

for (const store of stores) {
  test(`purge: each kind takes what it names, with store ${store}`, async (t) => {
    await withProxy(t, options(store), async (scene) => {
      const targets = ['/a/1', '/a/2', '/b/1', '/c/1'];
      for (const target of targets) await scene.get(target);
      await scene.settled();
      const host = 'http://site.test';
      await scene.purge({ url: `${host}/a/1` });
      t.is(await stateOf(scene, '/a/1'), 'MISS');
      t.is(await stateOf(scene, '/a/2'), 'HIT');
      await scene.purge({ prefix: `${host}/a/` });
      t.is(await stateOf(scene, '/a/1'), 'MISS');
      t.is(await stateOf(scene, '/a/2'), 'MISS');
      await scene.purge({ tag: 'b' });
      t.is(await stateOf(scene, '/b/1'), 'MISS');
      t.is(await stateOf(scene, '/c/1'), 'HIT');
      await scene.purge({ all: true });
      for (const target of targets) t.is(await stateOf(scene, target), 'MISS', target);
      for (const target of targets) t.is(await stateOf(scene, target), 'HIT', target);
    });
  });

  test(`purge: a soft one has the origin asked before the next use, with store ${store}`, async (t) => {
    await withProxy(t, options(store), async (scene) => {
      await scene.get('/a/1');
      await scene.settled();
      await scene.purge({ tag: 'every', soft: true });
      const asked = scene.origin.requests.length;
      await scene.get('/a/1');
      t.is(scene.origin.requests.length, asked + 1);
      t.is(scene.origin.requests.at(-1)?.field('if-none-match'), '"1"');
    });
  });
}

for (const store of ['raw', 'file'] as const) {
  test(`purge: what was purged is gone after a restart, with store ${store}`, async (t) => {
    await withProxy(
      t,
      { ...options(store), config: () => ({ routes: [{ cache: { key: { host: 'fixed' } } }] }) },
      async (scene) => {
        for (const target of ['/a/1', '/b/1', '/c/1', '/d/1']) await scene.get(target);
        await scene.restart();
        await scene.purge({ key: 'http://fixed/a/1' });
        await scene.purge({ prefix: 'http://fixed/b/' });
        await scene.purge({ tag: 'c' });
        await scene.restart();
        t.is(await stateOf(scene, '/a/1'), 'MISS');
        t.is(await stateOf(scene, '/b/1'), 'MISS');
        t.is(await stateOf(scene, '/c/1'), 'MISS');
        t.is(await stateOf(scene, '/d/1'), 'HIT');
        await scene.restart();
        t.is(await stateOf(scene, '/a/1'), 'HIT');
      },
    );
  });
}

test('purge: letters outside ASCII are those of the request line, and tags are UTF-8', async (t) => {
  const origin: Script = (request, reply) =>
    reply.send({
      fields: [...lifetime, 'Surrogate-Key', Buffer.from('gr\u{f6}\u{df}e').toString('latin1')],
      body: request.target,
    });
  await withProxy(t, { origin }, async (scene) => {
    const written = 'http://site.test/gr\u{f6}\u{df}e/\u{142}';
    const asked = '/gr%C3%B6%C3%9Fe/%C5%82';
    for (const request of [{ url: written }, { prefix: written }, { tag: 'gr\u{f6}\u{df}e' }]) {
      await scene.get(asked);
      await scene.get('/other');
      t.is(await stateOf(scene, asked), 'HIT');
      const { target } = await scene.purge(request);
      t.is(target, 'tag' in request ? 'gr\u{f6}\u{df}e' : `http://site.test${asked}`);
      t.is(await stateOf(scene, asked), 'MISS');
      t.is(await stateOf(scene, '/other'), 'tag' in request ? 'MISS' : 'HIT');
    }
  });
});

test('purge: what can be no key is refused, and a long text is not repeated whole', async (t) => {
  await withProxy(t, { origin: counting() }, async (scene) => {
    const refused = { instanceOf: ClientError, code: 'ERR_MILLRACE_CLIENT_BAD_REQUEST' };
    for (const key of [
      'foo',
      '/a',
      'http://',
      'http://site.test/a b',
      'http://site.test/\u{142}',
    ]) {
      const { message } = (await t.throwsAsync(scene.purge({ key }), refused))!;
      t.true(message.startsWith(`${key} is no key`), message);
    }
    const long = `http://site.test:99999/${'x'.repeat(20_000)}`;
    const { message } = (await t.throwsAsync(scene.purge({ url: long }), refused))!;
    t.true(message.length < 400);
    t.is(scene.counters().purges, 0);
  });
});

test('purge: whoever waits for a head when the purge comes gets the version after it', async (t) => {
  const opened = gate();
  let count = 0;
  const origin: Script = async (_request, reply) => {
    count += 1;
    const body = `version ${count}`;
    if (count === 1) await opened.opened;
    await reply.send({ fields: lifetime, body });
  };
  await withProxy(t, { origin, store: 'raw' }, async (scene) => {
    const early = [scene.get('/a'), scene.get('/a')];
    await until('the first question', () => scene.origin.requests.length === 1);
    await scene.purge({ url: 'http://site.test/a' });
    opened.open();
    for (const answer of await Promise.all(early)) t.is(answer.body.toString(), 'version 2');
    const later = await scene.get('/a');
    t.is(later.body.toString(), 'version 2');
    t.is(xCache(later), 'HIT');
  });
});

test('purge: a body on its way goes on, and who comes later gets the version after it', async (t) => {
  const opened = gate();
  let count = 0;
  const origin: Script = async (_request, reply) => {
    count += 1;
    const version = count;
    await reply.head(200, [...lifetime, 'Content-Length', '20']);
    await reply.raw(`version ${version},`);
    if (version === 1) await opened.opened;
    await reply.raw(' the end.'.padEnd(20 - `version ${version},`.length));
  };
  await withProxy(t, { origin, store: 'raw' }, async (scene) => {
    const running = await scene.open('/a');
    await scene.purge({ url: 'http://site.test/a' });
    const later = await scene.get('/a');
    t.regex(later.body.toString(), /^version 2/);
    opened.open();
    t.regex((await running.whole()).body.toString(), /^version 1, the end/);
    await scene.settled();
    t.regex((await scene.get('/a')).body.toString(), /^version 2/);
  });
});

test('purge: an unsafe method takes its URL and the URLs of the same host that it names', async (t) => {
  let count = 0;
  const origin: Script = (request, reply) => {
    count += 1;
    const named =
      request.method === 'POST'
        ? ['Location', '/named', 'Content-Location', 'http://elsewhere.test/other']
        : lifetime;
    return reply.send({ fields: named, body: `${count}` });
  };
  await withProxy(t, { origin, store: 'raw' }, async (scene) => {
    for (const target of ['/form', '/named', '/other']) await scene.get(target);
    await scene.settled();
    await scene.send('/form', { method: 'POST' });
    t.is(await stateOf(scene, '/form'), 'MISS');
    t.is(await stateOf(scene, '/named'), 'MISS');
    t.is(await stateOf(scene, '/other'), 'HIT');
    const before = scene.storeStats().purgeJournalBlocks;
    for (let i = 0; i < 50; i += 1) await scene.send(`/random/${i}`, { method: 'DELETE' });
    t.is(scene.storeStats().purgeJournalBlocks, before);
  });
});

test('purge: tags are for the cache and reach a client only where that is configured', async (t) => {
  for (const exposed of [false, true]) {
    await withProxy(
      t,
      { origin: counting(), config: () => ({ purge: { expose_tags: exposed } }) },
      async (scene) => {
        for (let i = 0; i < 2; i += 1) {
          const { field } = await scene.get('/a/1');
          t.is(field('surrogate-key'), exposed ? 'every a' : undefined);
        }
        const passed = await scene.send('/a/1', { method: 'POST' });
        t.is(passed.field('surrogate-key'), exposed ? 'every a' : undefined);
      },
    );
  }
});

test('purge: the PURGE method is there only where it is enabled, and only for those who may', async (t) => {
  const purge = (scene: Scene, fields: string[] = []) =>
    scene.send('/a/1', { method: 'PURGE', fields });
  await withProxy(t, options('none'), async (scene) => {
    await scene.get('/a/1');
    t.is((await purge(scene)).status, 405);
    t.is(await stateOf(scene, '/a/1'), 'HIT');
    t.is(scene.origin.requests.length, 1);
  });
  const guarded = { enabled: true, auth_token: 'secret' };
  await withProxy(t, { ...options('none'), config: () => ({ purge: guarded }) }, async (scene) => {
    await scene.get('/a/1');
    t.is((await purge(scene)).status, 401);
    t.is((await purge(scene, ['Authorization', 'Bearer wrong'])).status, 403);
    t.is(await stateOf(scene, '/a/1'), 'HIT');
    t.is((await purge(scene, ['Authorization', 'Bearer secret'])).status, 200);
    t.is(await stateOf(scene, '/a/1'), 'MISS');
    const soft = await purge(scene, ['X-Purge-Token', 'secret', 'Soft-Purge', '1']);
    t.deepEqual(JSON.parse(soft.body.toString()), {
      purged: { kind: 'key', target: 'http://site.test/a/1', soft: true },
    });
    const { purges, purgesDenied } = scene.counters();
    t.deepEqual([purges, purgesDenied], [2, 2]);
  });
  for (const [allow, status] of [
    ['127.0.0.0/8', 200],
    ['10.0.0.0/8', 403],
  ] as const) {
    await withProxy(
      t,
      { ...options('none'), config: () => ({ purge: { enabled: true, allow } }) },
      async (scene) => {
        t.is((await purge(scene)).status, status);
      },
    );
  }
});
