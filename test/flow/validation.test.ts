// A stored response past its lifetime, or asked for with a wish to validate: the question to the origin, and
// what its answer does to what is stored. When a stale response may be used is in stale.test.ts.

import test from 'ava';
import { withProxy } from '../support/harness.js';
import type { OriginRequest, Script } from '../support/scripted-origin.js';
import { firstThen, lastModified, makeStale, unchanged } from '../support/stale.js';
import { gate, until } from '../support/until.js';

const conditionOf = (request: OriginRequest | undefined) => [
  request?.field('if-none-match'),
  request?.field('if-modified-since'),
];

test('validation: a 304 frees the stored response for another lifetime, with its new fields', async (t) => {
  await withProxy(t, { origin: firstThen(unchanged), store: 'raw' }, async (scene) => {
    await makeStale(scene);
    const validated = await scene.get('/a');
    await scene.settled();
    t.deepEqual(conditionOf(scene.origin.requests[1]), ['"v1"', lastModified]);
    t.is(validated.status, 200);
    t.is(validated.body.toString(), 'version 1');
    t.is(validated.field('x-cache'), 'REVALIDATED');
    t.is(validated.field('cache-status'), 'millrace; fwd=stale; fwd-status=304');
    scene.clock.advance(59_000);
    const fresh = await scene.get('/a');
    await scene.restart();
    const cold = await scene.get('/a');
    for (const response of [fresh, cold]) {
      t.is(response.field('x-cache'), 'HIT');
      t.is(response.field('age'), '59');
      t.is(response.field('x-kept'), 'old');
      t.is(response.field('x-new'), 'new');
      t.is(response.field('content-length'), '9');
      t.is(response.body.toString(), 'version 1');
    }
    t.is(scene.origin.requests.length, 2);
  });
});

test('validation: ten clients of one stale response are one question to the origin', async (t) => {
  const answered = gate();
  const origin = firstThen(async (request, reply) => {
    await answered.opened;
    return unchanged(request, reply);
  });
  await withProxy(t, { origin }, async (scene) => {
    await makeStale(scene);
    const asking = Array.from({ length: 10 }, () => scene.get('/a'));
    // Each of them is under way before the origin says a word.
    await until('ten exchanges', () => scene.counters().exchangesOpen === 10);
    answered.open();
    for (const response of await Promise.all(asking)) {
      t.is(response.status, 200);
      t.is(response.body.toString(), 'version 1');
      t.is(response.field('x-new'), 'new');
    }
    t.is(scene.origin.requests.length, 2);
  });
});

test('validation: a full answer replaces what was stored, for good', async (t) => {
  const origin = firstThen((_request, reply) =>
    reply.send({ fields: ['Cache-Control', 'max-age=60', 'ETag', '"v2"'], body: 'version 2!' }),
  );
  await withProxy(t, { origin, store: 'raw' }, async (scene) => {
    await makeStale(scene);
    const replaced = await scene.get('/a');
    await scene.settled();
    t.is(replaced.body.toString(), 'version 2!');
    t.is(replaced.field('x-cache'), 'EXPIRED');
    const hit = await scene.get('/a');
    await scene.restart();
    const cold = await scene.get('/a');
    for (const response of [hit, cold]) {
      t.is(response.field('x-cache'), 'HIT');
      t.is(response.field('etag'), '"v2"');
      t.is(response.field('x-kept'), undefined);
      t.is(response.body.toString(), 'version 2!');
    }
    t.is(scene.origin.requests.length, 2);
  });
});

test('validation: a 304 for another version leads to a request without a condition', async (t) => {
  const origin = firstThen((request, reply) =>
    request.field('if-none-match') === undefined
      ? reply.send({ fields: ['Cache-Control', 'max-age=60', 'ETag', '"v9"'], body: 'version 9' })
      : reply.send({ status: 304, fields: ['ETag', '"v9"'] }),
  );
  await withProxy(t, { origin }, async (scene) => {
    await makeStale(scene);
    const got = await scene.get('/a');
    t.is(got.status, 200);
    t.is(got.body.toString(), 'version 9');
    t.deepEqual(conditionOf(scene.origin.requests[2]), [undefined, undefined]);
    t.is(scene.origin.requests.length, 3);
  });
});

test('validation: an origin that answers 304 without having been asked is a 502', async (t) => {
  const origin: Script = (_request, reply) => reply.send({ status: 304, fields: ['ETag', '"x"'] });
  await withProxy(t, { origin }, async (scene) => {
    const got = await scene.get('/a');
    t.is(got.status, 502);
    t.true(got.body.toString().includes('ERR_MILLRACE_UPSTREAM_PROTOCOL'));
  });
});

test('validation: a 304 that forbids storing is served, and nothing stays', async (t) => {
  const origin = firstThen((request, reply) =>
    request.field('if-none-match') === undefined
      ? reply.send({ fields: ['Cache-Control', 'no-store'], body: 'not for the store' })
      : reply.send({ status: 304, fields: ['ETag', '"v1"', 'Cache-Control', 'no-store'] }),
  );
  await withProxy(t, { origin }, async (scene) => {
    await makeStale(scene);
    const validated = await scene.get('/a');
    t.is(validated.body.toString(), 'version 1');
    await scene.settled();
    const next = await scene.get('/a');
    t.is(next.body.toString(), 'not for the store');
    t.is(conditionOf(scene.origin.requests[2])[0], undefined);
  });
});

test("validation: the client's own condition is judged against what was validated", async (t) => {
  await withProxy(t, { origin: firstThen(unchanged) }, async (scene) => {
    await makeStale(scene);
    const got = await scene.get('/a', ['If-None-Match', '"mine", "v1"']);
    t.is(got.status, 304);
    t.deepEqual(conditionOf(scene.origin.requests[1]), ['"v1"', lastModified]);
    scene.clock.advance(61_000);
    const other = await scene.get('/a', ['If-None-Match', '"mine"']);
    t.is(other.status, 200);
    t.is(other.body.toString(), 'version 1');
    t.is(scene.origin.requests.length, 3);
  });
});

const wishes = [
  ['Cache-Control', 'no-cache'],
  ['Cache-Control', 'max-age=0'],
  ['Pragma', 'no-cache'],
  ['Cache-Control', 'min-fresh=61'],
] as const;
for (const [name, value] of wishes) {
  test(`validation: a request with ${name}: ${value} asks the origin although it is fresh`, async (t) => {
    await withProxy(t, { origin: firstThen(unchanged) }, async (scene) => {
      await scene.get('/a');
      await scene.settled();
      scene.clock.advance(1_000);
      const got = await scene.get('/a', [name, value]);
      t.is(got.field('x-cache'), 'REVALIDATED');
      t.is(got.field('cache-status'), 'millrace; fwd=request; fwd-status=304');
      t.is(conditionOf(scene.origin.requests[1])[0], '"v1"');
      t.is(scene.origin.requests.length, 2);
    });
  });
}

test('validation: only-if-cached is a hit where one is stored and a 504 where none is', async (t) => {
  await withProxy(t, { origin: firstThen(unchanged) }, async (scene) => {
    const before = await scene.get('/a', ['Cache-Control', 'only-if-cached']);
    t.is(before.status, 504);
    t.is(scene.origin.requests.length, 0);
    await scene.get('/a');
    await scene.settled();
    const fresh = await scene.get('/a', ['Cache-Control', 'only-if-cached']);
    t.is(fresh.field('x-cache'), 'HIT');
    scene.clock.advance(61_000);
    t.is((await scene.get('/a', ['Cache-Control', 'only-if-cached'])).status, 504);
    t.is(scene.origin.requests.length, 1);
  });
});

test('validation: a stored response without a validator is asked for anew and replaced', async (t) => {
  const origin = firstThen(
    (_request, reply) => reply.send({ fields: ['Cache-Control', 'max-age=60'], body: 'again' }),
    ['Cache-Control', 'max-age=60'],
  );
  await withProxy(t, { origin }, async (scene) => {
    await makeStale(scene);
    const got = await scene.get('/a');
    t.deepEqual(conditionOf(scene.origin.requests[1]), [undefined, undefined]);
    t.is(got.body.toString(), 'again');
    await scene.settled();
    t.is((await scene.get('/a')).field('x-cache'), 'HIT');
  });
});

const headFields = ['Cache-Control', 'max-age=60', 'ETag', '"v1"', 'Last-Modified', lastModified];
/** A 200 to HEAD with these fields over the usual ones. */
const headWith =
  (fields: readonly string[]): Script =>
  (request, reply) =>
    request.method === 'HEAD'
      ? reply.head(200, fields)
      : reply.send({ fields: [...headFields, 'X-Seen', 'again'], body: 'version 2' });

test('validation (6.13): a 200 to HEAD that agrees brings the stored response up to date', async (t) => {
  const origin = firstThen(headWith([...headFields, 'Content-Length', '9', 'X-New', 'head']));
  await withProxy(t, { origin, store: 'raw' }, async (scene) => {
    await makeStale(scene);
    const got = await scene.send('/a', { method: 'HEAD' });
    t.is(got.status, 200);
    t.is(scene.origin.requests[1]!.method, 'HEAD');
    t.is(scene.origin.requests[1]!.field('if-none-match'), undefined);
    await scene.restart();
    const hit = await scene.get('/a');
    t.is(hit.field('x-cache'), 'HIT');
    t.is(hit.field('x-new'), 'head');
    t.is(hit.field('x-kept'), 'old');
    t.is(hit.field('content-length'), '9');
    t.is(hit.body.toString(), 'version 1');
    t.is(scene.origin.requests.length, 2);
  });
});

for (const [what, fields] of [
  ['ETag', [...headFields.slice(0, 2), 'ETag', '"v2"', 'Content-Length', '9']],
  ['length', [...headFields, 'Content-Length', '10']],
  ['Last-Modified', [...headFields.slice(0, 4), 'Last-Modified', 'Fri, 15 Jan 2027 07:00:01 GMT']],
] as const) {
  test(`validation (6.13): a 200 to HEAD with another ${what} makes the stored response stale`, async (t) => {
    await withProxy(t, { origin: firstThen(headWith(fields)) }, async (scene) => {
      await scene.get('/a');
      await scene.settled();
      await scene.send('/a', { method: 'HEAD', fields: ['Cache-Control', 'no-cache'] });
      const next = await scene.get('/a');
      t.is(next.field('x-cache'), 'EXPIRED');
      t.is(scene.origin.requests[2]!.field('if-none-match'), '"v1"');
      t.is(next.body.toString(), 'version 2');
    });
  });
}

test('validation (6.13): an error to HEAD leaves the stored response as it is', async (t) => {
  const origin = firstThen((_request, reply) => reply.head(404, ['Content-Length', '0']));
  await withProxy(t, { origin }, async (scene) => {
    await scene.get('/a');
    await scene.settled();
    const head = { method: 'HEAD', fields: ['Cache-Control', 'no-cache'] };
    t.is((await scene.send('/a', head)).status, 404);
    t.is((await scene.get('/a')).field('x-cache'), 'HIT');
  });
});

test('validation (6.14): a HEAD is answered from a stored GET, and a HEAD stores nothing', async (t) => {
  const origin: Script = (request, reply) =>
    request.method === 'HEAD'
      ? reply.head(200, [...headFields, 'Content-Length', '9'])
      : reply.send({ fields: headFields, body: 'version 1' });
  await withProxy(t, { origin }, async (scene) => {
    t.is((await scene.send('/a', { method: 'HEAD' })).field('x-cache'), 'MISS');
    const got = await scene.get('/a');
    t.is(got.field('x-cache'), 'MISS');
    t.is(got.body.toString(), 'version 1');
    await scene.settled();
    const head = await scene.send('/a', { method: 'HEAD' });
    t.is(head.field('x-cache'), 'HIT');
    t.is(head.field('content-length'), '9');
    t.is(head.body.length, 0);
    t.is(scene.origin.requests.length, 2);
  });
});

test('validation (6.3): a 304 that nobody asked for reaches nobody, on a pass either', async (t) => {
  const origin: Script = (_request, reply) => reply.send({ status: 304, fields: ['ETag', '"x"'] });
  await withProxy(t, { origin, store: 'off' }, async (scene) => {
    t.is((await scene.get('/a')).status, 502);
    t.is((await scene.get('/a', ['If-None-Match', '"x"'])).status, 304);
  });
});

test('validation (6.11): a 304 replaces neither length nor coding, and brings new fields', async (t) => {
  const origin = firstThen((_request, reply) =>
    reply.send({
      status: 304,
      fields: [
        ...['ETag', '"v1"', 'Content-Encoding', 'gzip', 'Content-Range', 'bytes 0-1/9'],
        ...['X-Added', 'yes', 'Connection', 'X-Hop', 'X-Hop', '1'],
      ],
    }),
  );
  await withProxy(t, { origin, store: 'raw' }, async (scene) => {
    await makeStale(scene);
    const first = await scene.get('/a');
    await scene.restart();
    for (const got of [first, await scene.get('/a')]) {
      t.is(got.field('content-length'), '9');
      t.is(got.field('content-encoding'), undefined);
      t.is(got.field('content-range'), undefined);
      t.is(got.field('x-hop'), undefined);
      t.is(got.field('x-added'), 'yes');
      t.is(got.body.toString(), 'version 1');
    }
  });
});
