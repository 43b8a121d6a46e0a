// Ten clients at once: on one cold object they share a single download and all get its first byte while
// it runs; on ten objects nobody waits for another one's to end.

import test from 'ava';
import type { Downloads } from '../../bench/support/client.js';
import { millrace } from '../../bench/support/millrace.js';
import { freshPath } from '../../bench/support/origin.js';
import { onStage } from '../support/performance.js';

const mib = 2 ** 20;
const clients = 10;
const size = 24 * mib;

function lastFirstByte({ results }: Downloads): number {
  return Math.max(...results.map(({ ttfbMs }) => ttfbMs));
}

test('concurrent streaming: ten clients of one cold object share one download', (t) =>
  onStage(t, async ({ origin, client, start }) => {
    await origin.set({ bytesPerSecond: 32 * mib });
    const { port } = await start(millrace());
    const alone = await client.download({ port, paths: [freshPath(size)] });
    const before = await origin.counts();
    const path = freshPath(size);
    const paths = Array.from({ length: clients }, () => path);
    const together = await client.download({ port, paths, concurrency: clients });
    t.is((await origin.counts()).bodies - before.bodies, 1);
    t.is(together.bytes, clients * size);
    // Ten downloads of their own on this line would take ten times as long.
    t.log(`alone ${alone.elapsedMs.toFixed(0)} ms, ten ${together.elapsedMs.toFixed(0)} ms`);
    t.true(together.elapsedMs <= 3 * alone.elapsedMs);
    // Who had to wait for the end of the download would have its first byte with the last.
    t.true(lastFirstByte(together) <= together.elapsedMs / 2);
  }));

test('concurrent streaming: ten clients of ten objects all get their first byte early', (t) =>
  onStage(t, async ({ origin, client, start }) => {
    await origin.set({ bytesPerSecond: 64 * mib });
    const { port } = await start(millrace());
    const paths = Array.from({ length: clients }, () => freshPath(size / 4));
    const before = await origin.counts();
    const downloads = await client.download({ port, paths, concurrency: clients });
    t.is((await origin.counts()).bodies - before.bodies, clients);
    t.true(lastFirstByte(downloads) <= downloads.elapsedMs / 2);
  }));
