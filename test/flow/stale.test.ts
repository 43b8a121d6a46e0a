// Stale responses: who may have one, for how long, and while what is asked behind it. What forbids them is
// tried against an origin that is gone as well as one that answers with an error.

import test from 'ava';
import { withProxy } from '../support/harness.js';
import type { Script } from '../support/scripted-origin.js';
import { firstThen, makeStale, unchanged } from '../support/stale.js';
import { gate } from '../support/until.js';

test('stale: max-stale takes what is stale, within its bound', async (t) => {
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

test('stale: within stale-while-revalidate the answer comes at once', async (t) => {
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

test('stale: a new version found in the background is what the next client gets', async (t) => {
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

test('stale: a 5xx is hidden by stale-if-error, within its window', async (t) => {
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

test('stale: a 5xx without stale-if-error is passed on, and the stored response stays', async (t) => {
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

test('stale: an origin that cannot be reached is stood in for by the stale response', async (t) => {
  await withProxy(t, { origin: firstThen(unchanged) }, async (scene) => {
    await makeStale(scene);
    await scene.origin.stop();
    const stale = await scene.get('/a');
    t.is(stale.status, 200);
    t.is(stale.body.toString(), 'version 1');
    t.is(stale.field('x-cache'), 'STALE');
    t.is(stale.field('age'), '61');
    t.is(stale.field('cache-status'), 'millrace; fwd=stale; ttl=-1; detail=origin-failed');
    scene.clock.advance(86_400_000);
    t.is((await scene.get('/a')).status, 502, 'but not for ever');
  });
});

for (const directive of ['must-revalidate', 'proxy-revalidate', 's-maxage=60', 'no-cache']) {
  test(`stale: ${directive} is never served stale, not even without an origin`, async (t) => {
    const fields = lenient(`${directive}, stale-if-error=600, stale-while-revalidate=600`);
    await withProxy(t, { origin: firstThen(broken, fields) }, async (scene) => {
      await makeStale(scene);
      t.is((await scene.get('/a', ['Cache-Control', 'max-stale'])).status, 503);
      await scene.origin.stop();
      const got = await scene.get('/a');
      t.is(got.status, 504);
      t.is(got.field('cache-control'), 'no-store');
    });
  });
}
