// A stored response past its lifetime, or asked for with a wish to validate: the question to the origin, what
// its answer does to what is stored, and when a stale response may still be used.

import test from 'ava';
import { type Scene, withProxy } from '../support/harness.js';
import type { OriginRequest, Script } from '../support/scripted-origin.js';
import { gate } from '../support/until.js';

const lastModified = 'Fri, 15 Jan 2027 07:00:00 GMT';
const old = [
  ...['Cache-Control', 'max-age=60'],
  ...['ETag', '"v1"', 'Last-Modified', lastModified, 'X-Kept', 'old', 'X-New', 'old'],
];

/** First the stored response, then whatever `later` says. */
function firstThen(later: Script, fields: readonly string[] = old): Script {
  let isFirst = true;
  return async (request, reply) => {
    if (!isFirst) return later(request, reply);
    isFirst = false;
    return reply.send({ fields, body: 'version 1' });
  };
}

const unchanged: Script = (_request, reply) =>
  reply.send({ status: 304, reason: 'Not Modified', fields: ['ETag', '"v1"', 'X-New', 'new'] });

const conditionOf = (request: OriginRequest | undefined) => [
  request?.field('if-none-match'),
  request?.field('if-modified-since'),
];

/** Stores /a and lets its minute pass. */
async function makeStale(scene: Scene): Promise<void> {
  await scene.get('/a');
  await scene.settled();
  scene.clock.advance(61_000);
}

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
    while (scene.counters().exchangesOpen! < 10) await new Promise((turn) => setImmediate(turn));
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

test('validation: max-stale takes what is stale, within its bound', async (t) => {
  await withProxy(t, { origin: firstThen(unchanged) }, async (scene) => {
    await makeStale(scene);
    const got = await scene.get('/a', ['Cache-Control', 'max-stale=10']);
    t.is(got.field('x-cache'), 'STALE');
    t.is(got.field('age'), '61', 'its true age');
    t.is(scene.origin.requests.length, 1);
    scene.clock.advance(10_000);
    const later = await scene.get('/a', ['Cache-Control', 'max-stale=10']);
    t.is(later.field('x-cache'), 'REVALIDATED');
  });
});

const lenient = (directives: string) => [
  'Cache-Control',
  `max-age=60, ${directives}`,
  'ETag',
  '"v1"',
];

test('validation: within stale-while-revalidate the answer comes at once and is validated behind it', async (t) => {
  const answered = gate();
  const origin = firstThen(async (request, reply) => {
    await answered.opened;
    return unchanged(request, reply);
  }, lenient('stale-while-revalidate=30'));
  await withProxy(t, { origin }, async (scene) => {
    await makeStale(scene);
    // The origin says nothing yet, and both have their answer.
    for (const response of await Promise.all([scene.get('/a'), scene.get('/a')])) {
      t.is(response.field('x-cache'), 'STALE');
      t.is(response.field('age'), '61');
      t.is(response.body.toString(), 'version 1');
    }
    answered.open();
    await scene.settled();
    const fresh = await scene.get('/a');
    t.is(fresh.field('x-cache'), 'HIT');
    t.is(fresh.field('age'), '0');
    t.is(scene.origin.requests.length, 2, 'one question for both');
    scene.clock.advance(91_000);
    t.is(
      (await scene.get('/a')).field('x-cache'),
      'REVALIDATED',
      'after the window it is asked first',
    );
  });
});

test('validation: a new version found in the background is what the next client gets', async (t) => {
  const origin = firstThen(
    (_request, reply) =>
      reply.send({ fields: ['Cache-Control', 'max-age=60', 'ETag', '"v2"'], body: 'version 2!' }),
    lenient('stale-while-revalidate=30'),
  );
  await withProxy(t, { origin }, async (scene) => {
    await makeStale(scene);
    t.is((await scene.get('/a')).body.toString(), 'version 1');
    await scene.settled();
    const next = await scene.get('/a');
    t.is(next.body.toString(), 'version 2!');
    t.is(next.field('x-cache'), 'HIT');
  });
});

const broken: Script = (_request, reply) =>
  reply.send({ status: 503, reason: 'Service Unavailable', body: 'down' });

test('validation: a 5xx is hidden by stale-if-error, within its window', async (t) => {
  const origin = firstThen(broken, lenient('stale-if-error=30'));
  await withProxy(t, { origin }, async (scene) => {
    await makeStale(scene);
    const stale = await scene.get('/a');
    t.is(stale.status, 200);
    t.is(stale.body.toString(), 'version 1');
    t.is(stale.field('x-cache'), 'STALE');
    scene.clock.advance(30_000);
    const later = await scene.get('/a');
    t.is(later.status, 503);
    t.is(later.body.toString(), 'down');
  });
});

test('validation: a 5xx without stale-if-error is passed on, and the stored response stays', async (t) => {
  let isDown = true;
  const origin = firstThen((request, reply) => (isDown ? broken : unchanged)(request, reply));
  await withProxy(t, { origin }, async (scene) => {
    await makeStale(scene);
    t.is((await scene.get('/a')).status, 503);
    await scene.settled();
    isDown = false;
    const got = await scene.get('/a');
    t.is(got.field('x-cache'), 'REVALIDATED');
    t.is(got.body.toString(), 'version 1');
  });
});

test('validation: an origin that cannot be reached is stood in for by the stale response', async (t) => {
  await withProxy(t, { origin: firstThen(unchanged) }, async (scene) => {
    await makeStale(scene);
    await scene.origin.stop();
    const stale = await scene.get('/a');
    t.is(stale.status, 200);
    t.is(stale.body.toString(), 'version 1');
    t.is(stale.field('x-cache'), 'STALE');
    t.is(stale.field('age'), '61');
    t.is(stale.field('cache-status'), 'millrace; hit; ttl=-1; detail=origin-failed');
    scene.clock.advance(86_400_000);
    t.is((await scene.get('/a')).status, 502, 'but not for ever');
  });
});

for (const directive of ['must-revalidate', 'proxy-revalidate', 's-maxage=60', 'no-cache']) {
  test(`validation: ${directive} is never served stale, not even without an origin`, async (t) => {
    const fields = lenient(`${directive}, stale-if-error=600, stale-while-revalidate=600`);
    await withProxy(t, { origin: firstThen(broken, fields) }, async (scene) => {
      await makeStale(scene);
      t.is((await scene.get('/a', ['Cache-Control', 'max-stale'])).status, 503);
      await scene.origin.stop();
      const got = await scene.get('/a');
      t.is(got.status, 502);
      t.is(got.field('cache-control'), 'no-store');
    });
  });
}

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
