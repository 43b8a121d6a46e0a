// The next segments of a video: which are fetched ahead, how many at a time and no further, and that what is
// fetched for nobody is given up. Every expectation is a count of what the origin was asked.

import test, { type ExecutionContext } from 'ava';
import type { ConfigInput } from '../../ts/config/schema.js';
import { type Scene, withProxy } from '../support/harness.js';
import type { Reply, Script } from '../support/scripted-origin.js';
import { gate, until } from '../support/until.js';

const lifetime = ['Cache-Control', 'max-age=600', 'ETag', '"v1"'];

const segment: Script = (request, reply) => reply.send({ fields: lifetime, body: request.target });

async function withSegments(
  t: ExecutionContext,
  origin: Script,
  run: (scene: Scene) => Promise<void>,
  prefetch: { next?: number; max_running?: number } = { next: 2 },
): Promise<void> {
  const config = (): ConfigInput => ({
    routes: [{ match: { path_pattern: '/v/*.ts' }, prefetch }, {}],
  });
  await withProxy(t, { origin, config }, run);
}

const asked = (scene: Scene) => scene.origin.requests.map(({ target }) => target);

test('segments: the next ones are fetched, and those lead no further', async (t) => {
  await withSegments(t, segment, async (scene) => {
    await scene.get('/v/s8.ts');
    await scene.settled();
    t.deepEqual(asked(scene).sort(), ['/v/s10.ts', '/v/s8.ts', '/v/s9.ts']);
    const got = await scene.get('/v/s9.ts');
    t.is(got.field('x-cache'), 'HIT');
    t.is(got.body.toString(), '/v/s9.ts');
    await scene.settled();
    t.deepEqual(asked(scene).slice(3), ['/v/s11.ts']);
    const { segmentsPrefetched, segmentsPrefetchedUsed } = scene.counters();
    t.deepEqual([segmentsPrefetched, segmentsPrefetchedUsed], [3, 1]);
    await scene.get('/v/s9.ts');
    t.is(scene.counters().segmentsPrefetchedUsed, 1);
  });
});

test('segments: a client that asks meanwhile joins', async (t) => {
  const { opened, open } = gate();
  const slow: Script = async (request, reply) => {
    if (request.target !== '/v/s1.ts') await opened;
    await segment(request, reply);
  };
  const run = async (scene: Scene) => {
    await scene.get('/v/s1.ts');
    await until('the next one', () => asked(scene).includes('/v/s2.ts'));
    const got = scene.get('/v/s2.ts');
    await until('the second client', () => scene.counters().exchanges === 2);
    open();
    t.is((await got).body.toString(), '/v/s2.ts');
    await scene.settled();
    t.deepEqual(asked(scene), ['/v/s1.ts', '/v/s2.ts', '/v/s3.ts']);
    t.is(scene.counters().collapsed, 1);
  };
  await withSegments(t, slow, run, { next: 1 });
});

test('segments: off where the route does not say so, for ranges, and for other routes', async (t) => {
  await withSegments(t, segment, async (scene) => {
    await scene.get('/w/s1.ts');
    await scene.get('/v/s1.ts', ['Range', 'bytes=2-3']);
    await scene.send('/v/s1.ts', { method: 'HEAD' });
    await scene.get('/v/index.ts');
    await scene.settled();
    t.is(scene.counters().segmentsPrefetched, 0);
    await scene.get('/v/s5.ts', ['Range', 'bytes=0-']);
    await scene.settled();
    t.is(scene.counters().segmentsPrefetched, 2);
  });
  const off = async (scene: Scene) => {
    await scene.get('/v/s1.ts');
    await scene.settled();
    t.is(scene.origin.requests.length, 1);
  };
  await withSegments(t, segment, off, {});
});

test('segments: a playlist tells the order and the end', async (t) => {
  const names = ['q.ts', 'b.ts', 'x7.ts', 'a.ts'];
  const list = ['#EXTM3U', ...names.flatMap((name) => ['#EXTINF:2,', name]), '#EXT-X-ENDLIST'];
  const origin: Script = (request, reply) => {
    if (request.target !== '/v/index.m3u8') return segment(request, reply);
    const fields = [...lifetime, 'Content-Type', 'application/vnd.apple.mpegurl'];
    return reply.send({ fields, body: list.join('\n') });
  };
  await withSegments(t, origin, async (scene) => {
    await scene.get('/v/index.m3u8');
    await scene.settled();
    // Out of the store: the order is known when this one is over, at the latest.
    await scene.get('/v/index.m3u8');
    await scene.settled();
    await scene.get('/v/b.ts');
    await scene.settled();
    t.deepEqual(asked(scene).sort(), ['/v/a.ts', '/v/b.ts', '/v/index.m3u8', '/v/x7.ts']);
    await scene.get('/v/x7.ts');
    await scene.get('/v/a.ts');
    await scene.settled();
    t.is(scene.origin.requests.length, 4);
    t.is(scene.counters().segmentsPrefetchedUsed, 2);
  });
});

test('segments: no more at a time than the route allows', async (t) => {
  const { opened, open } = gate();
  const slow: Script = async (request, reply) => {
    if (!request.target.endsWith('/s1.ts')) await opened;
    await segment(request, reply);
  };
  const run = async (scene: Scene) => {
    await scene.get('/v/s1.ts');
    await until('the next ones', () => scene.origin.requests.length === 3);
    t.is(scene.counters().segmentsNotPrefetched, 3);
    open();
    await scene.settled();
    t.is(scene.origin.requests.length, 3);
    await scene.get('/v/s3.ts');
    await scene.settled();
    t.is(scene.counters().segmentsPrefetched, 4);
  };
  await withSegments(t, slow, run, { next: 5, max_running: 2 });
});

test('segments: what is not there is not asked for again at once', async (t) => {
  const origin: Script = (request, reply) =>
    request.target === '/v/s1.ts'
      ? segment(request, reply)
      : reply.send({ status: 404, body: 'no' });
  await withSegments(t, origin, async (scene) => {
    for (let viewer = 0; viewer < 3; viewer += 1) {
      t.is((await scene.get('/v/s1.ts')).status, 200);
      await scene.settled();
    }
    t.is(scene.origin.requests.length, 3);
    t.is(scene.counters().segmentsPrefetchRefused, 2);
    scene.clock.advance(11_000);
    await scene.get('/v/s1.ts');
    await scene.settled();
    t.is(scene.origin.requests.length, 5);
    t.is(scene.counters().segmentsPrefetchedUsed, 0);
  });
});

test('segments: a client that leaves in the middle takes along what was fetched for it', async (t) => {
  const replies: Reply[] = [];
  const origin: Script = async (_, reply) => {
    await reply.head(200, [...lifetime, 'Content-Length', '1000000']);
    await reply.raw(Buffer.alloc(100_000));
    replies.push(reply);
    await reply.closed;
  };
  const run = async (scene: Scene) => {
    const open = await scene.open('/v/s1.ts');
    await until('the next one', () => replies.length === 2);
    open.leave();
    await until('the end of it', () => scene.counters().segmentsPrefetchCancelled === 1);
    await replies[1]!.closed;
    t.deepEqual(asked(scene), ['/v/s1.ts', '/v/s2.ts']);
  };
  await withSegments(t, origin, run, { next: 1 });
});
