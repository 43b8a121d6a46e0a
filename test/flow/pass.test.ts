// What goes through without the store: unsafe methods with their bodies and what they remove, requests that
// the origin has to judge, and answers that have one reader. Which answers are kept is in keep.test.ts.

import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { Readable } from 'node:stream';
import test from 'ava';
import { bodyBytes } from '../support/bytes.js';
import { openRequest } from '../support/client.js';
import { type Scene, withProxy } from '../support/harness.js';
import { always, type Script } from '../support/scripted-origin.js';
import { gate, until } from '../support/until.js';

const mib = 1024 * 1024;
const lifetime = ['Cache-Control', 'max-age=600'];

/** Stored for GET; anything else gets `status`. */
function storedBeside(status: number): Script {
  return async (request, reply) => {
    if (request.method === 'GET') return reply.send({ fields: lifetime, body: 'stored' });
    await request.body;
    return reply.send({ status, body: status === 204 ? '' : 'done' });
  };
}

async function store(scene: Scene, target = '/a'): Promise<void> {
  await scene.get(target);
  await scene.settled();
}

const isStored = async (scene: Scene, target = '/a') =>
  (await scene.send(target, { method: 'HEAD' })).field('x-cache') === 'HIT';

/** The body in uneven pieces, as a stream. */
function* pieces(body: Buffer): Generator<Buffer> {
  for (let at = 0, size = 1; at < body.length; at += size, size = (size * 3) % 70_001) {
    yield body.subarray(at, at + size);
  }
}

for (const framing of ['length', 'chunked'] as const) {
  test(`pass: a POST body of 1 MiB (${framing}) reaches the origin byte for byte`, async (t) => {
    const body = bodyBytes(mib, 3);
    const origin: Script = async (request, reply) => {
      const received = await request.body;
      await reply.send({ status: 201, reason: 'Made', body: received });
    };
    await withProxy(t, { origin }, async (scene) => {
      const got = await scene.send('/a?b=c', {
        method: 'POST',
        fields:
          framing === 'length' ? ['Content-Length', `${mib}`] : ['Transfer-Encoding', 'chunked'],
        body: Readable.from(pieces(body)),
      });
      t.is(got.status, 201);
      t.is(got.reason, 'Made');
      t.true(got.body.equals(body), 'there and back');
      t.is(got.field('cache-status'), 'millrace; fwd=method');
      t.is(got.field('x-cache'), 'BYPASS');
      const [asked] = scene.origin.requests;
      t.is(asked!.method, 'POST');
      t.is(asked!.target, '/a?b=c');
      t.is(asked!.field('content-length'), framing === 'length' ? `${mib}` : undefined);
      t.is(asked!.field('x-forwarded-for'), '127.0.0.1');
    });
  });
}

test('pass: a body reaches the origin while the client is still sending it', async (t) => {
  const arrived = gate();
  const origin: Script = async (request, reply) => {
    arrived.open();
    await reply.send({ body: `${(await request.body).length}` });
  };
  await withProxy(t, { origin }, async (scene) => {
    const { port } = new URL(scene.address);
    const fields = ['Host', 'site.test', 'Transfer-Encoding', 'chunked'];
    const options = { port, method: 'POST', path: '/a', headers: fields, agent: false };
    const request = httpRequest(options);
    request.write('first');
    // The origin has the request before the client has sent the rest.
    await arrived.opened;
    const answered = once(request, 'response');
    request.end('last');
    const [message] = await answered;
    t.is(message.statusCode, 200);
    message.resume();
  });
});

test('pass: an upload whose client leaves is no whole body for the origin', async (t) => {
  let isWhole = false;
  const broken = gate();
  const origin: Script = async (request, reply) => {
    if (request.method === 'GET') return reply.send({ body: 'good' });
    await request.body.then(
      () => {
        isWhole = true;
      },
      () => {},
    );
    broken.open();
  };
  await withProxy(t, { origin }, async (scene) => {
    for (const framing of [
      ['Content-Length', '1000'],
      ['Transfer-Encoding', 'chunked'],
    ]) {
      const { port } = new URL(scene.address);
      const headers = ['Host', 'site.test', ...framing];
      const request = httpRequest({ port, method: 'PUT', path: '/a', headers, agent: false });
      request.on('error', () => {});
      request.write('half');
      const before = scene.origin.requests.length;
      await until('the request at the origin', () => scene.origin.requests.length > before);
      request.destroy();
      await broken.opened;
      await scene.settled();
    }
    t.false(isWhole);
    t.is((await scene.get('/b')).body.toString(), 'good');
  });
});

for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'LOCK']) {
  test(`pass: a ${method} that succeeds removes what is stored, one that fails does not`, async (t) => {
    await withProxy(t, { origin: storedBeside(404), store: 'raw' }, async (scene) => {
      await store(scene);
      await store(scene, '/other');
      const failed = await scene.send('/a', { method, fields: ['Content-Length', '0'] });
      t.is(failed.status, 404);
      t.true(await isStored(scene));
      for (const status of [204, 200, 302]) {
        scene.origin.script = storedBeside(status);
        await store(scene);
        t.true(await isStored(scene));
        const done = await scene.send('/a', { method, fields: ['Content-Length', '0'] });
        t.is(done.status, status);
        t.false(await isStored(scene), `${status}`);
      }
      t.true(await isStored(scene, '/other'), 'another target is another matter');
      await scene.restart();
      t.false(await isStored(scene), 'gone for good');
      t.true(await isStored(scene, '/other'));
    });
  });
}

test('pass: safe methods besides GET and HEAD remove nothing', async (t) => {
  await withProxy(t, { origin: storedBeside(200) }, async (scene) => {
    await store(scene);
    for (const method of ['OPTIONS', 'PROPFIND']) {
      const got = await scene.send('/a', { method, fields: ['Content-Length', '0'] });
      t.is(got.body.toString(), 'done', method);
      t.true(await isStored(scene), method);
    }
  });
});

test('pass: an unsafe method does not wait behind a running fill of its target', async (t) => {
  const rest = gate();
  const origin: Script = async (request, reply) => {
    if (request.method !== 'GET') return reply.send({ status: 204 });
    await rest.opened;
    return reply.send({ fields: lifetime, body: 'late' });
  };
  await withProxy(t, { origin }, async (scene) => {
    const waiting = scene.get('/a');
    await until('the fill', () => scene.origin.requests.length === 1);
    t.is((await scene.send('/a', { method: 'DELETE' })).status, 204);
    rest.open();
    t.is((await waiting).body.toString(), 'late');
    await scene.settled();
    // What was asked for before the change is nobody's: the waiting client got what was asked for after it.
    t.is(scene.origin.requests.length, 3);
    t.true(await isStored(scene));
  });
});

test('pass: a GET with a body reaches the origin with it, past the store', async (t) => {
  const origin: Script = async (request, reply) =>
    reply.send({ fields: lifetime, body: `body: ${await request.body}` });
  await withProxy(t, { origin }, async (scene) => {
    const ask = (body: string) =>
      scene.send('/a', { fields: ['Content-Length', `${body.length}`], body });
    await store(scene);
    t.is((await ask('one')).body.toString(), 'body: one');
    const second = await ask('two');
    t.is(second.body.toString(), 'body: two');
    t.is(second.field('cache-status'), 'millrace; fwd=bypass; detail=request-body');
    const stored = await scene.get('/a');
    t.is(stored.body.toString(), 'body: ');
    t.is(stored.field('x-cache'), 'HIT');
  });
});

test('pass: If-Match and If-Unmodified-Since are for the origin to judge', async (t) => {
  const origin: Script = (request, reply) =>
    request.field('if-match') === undefined && request.field('if-unmodified-since') === undefined
      ? reply.send({ fields: [...lifetime, 'ETag', '"v"'], body: 'stored' })
      : reply.send({ status: 412, reason: 'Precondition Failed' });
  await withProxy(t, { origin }, async (scene) => {
    await store(scene);
    t.is((await scene.get('/a', ['If-Match', '"other"'])).status, 412);
    const date = 'Fri, 15 Jan 2027 07:00:00 GMT';
    t.is((await scene.get('/a', ['If-Unmodified-Since', date])).status, 412);
    t.true(await isStored(scene));
  });
});

test('pass: with enable_cache false everything goes to the origin and comes back unchanged', async (t) => {
  const body = bodyBytes(3 * mib);
  await withProxy(
    t,
    { origin: always({ fields: lifetime, body }), store: 'off' },
    async (scene) => {
      for (const _ of [1, 2]) {
        const got = await scene.get('/a');
        t.is(got.field('x-cache'), 'BYPASS');
        t.is(got.field('cache-status'), 'millrace; fwd=bypass');
        t.true(got.body.equals(body));
      }
      const part = await scene.get('/a', ['Range', 'bytes=0-1']);
      t.is(scene.origin.requests[2]!.field('range'), 'bytes=0-1');
      t.is(part.status, 200, 'what the origin makes of it');
      t.is(scene.origin.requests.length, 3);
    },
  );
});

test('pass: a large answer that is not stored arrives whole, also at a slow client', async (t) => {
  const body = bodyBytes(20 * mib);
  const origin = always({ fields: ['Cache-Control', 'no-store'], body });
  await withProxy(t, { origin }, async (scene) => {
    const slow = await openRequest(scene.address, '/a');
    slow.pause();
    t.true((await scene.get('/b')).body.equals(body));
    slow.resume();
    t.true((await slow.whole()).body.equals(body));
  });
});

test("pass: a client that leaves an unstored answer ends the origin's sending", async (t) => {
  const left = gate();
  const origin: Script = async (_request, reply) => {
    await reply.head(200, ['Cache-Control', 'no-store', 'Content-Length', `${1024 * mib}`]);
    await reply.raw('begin');
    // Nothing else is sent: only a lost connection lets this go on.
    await reply.closed;
    left.open();
  };
  await withProxy(t, { origin }, async (scene) => {
    const client = await scene.open('/a');
    await client.hasBytes(5);
    client.leave();
    await left.opened;
    await scene.settled();
    t.is(scene.counters().clientAborts, 1);
  });
});
