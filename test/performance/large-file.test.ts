// A file far larger than the memory for objects: every byte of it is right, cold, from the cache and by
// ranges, the origin sends it once, and the memory of the process stays within what is configured.

import test from 'ava';
import { millrace, numberIn } from '../../bench/support/millrace.js';
import { freshPath } from '../../bench/support/origin.js';
import { usageOf } from '../../bench/support/usage.js';
import { onStage } from '../support/performance.js';

const mib = 2 ** 20;
const size = 300 * mib + 12_345;
const l1 = 16 * mib;

test('large file: 300 MiB pass, come back and come in parts, byte for byte, within the memory', (t) =>
  onStage(t, async ({ origin, client, start }) => {
    // Below what a busy disk takes: a write that comes too fast may be given up.
    await origin.set({ bytesPerSecond: 64 * mib });
    const subject = await start(millrace(), { memoryBytes: l1, diskBytes: 1024 * mib });
    const { port } = subject;
    const path = freshPath(size);
    // The client compares each byte with what the origin generates, and rejects at the first wrong one.
    const cold = await client.download({ port, paths: [path] });
    t.is(cold.bytes, size);
    await subject.flushed();
    const isWhole = numberIn((await subject.stats()).store, 'writesDropped') === 0;
    const again = await client.download({ port, paths: [path] });
    t.is(again.bytes, size);
    const ranges = [0, 1, 64 * mib - 1, 150 * mib + 7, size - 100_000].map(
      (first): readonly [number, number] => [first, Math.min(first + 2 * mib, size) - 1],
    );
    const parts = await client.download({ port, paths: ranges.map(() => path), ranges });
    t.is(
      parts.bytes,
      ranges.reduce((sum, [first, last]) => sum + last - first + 1, 0),
    );
    const { requests, bodies } = await origin.counts();
    if (isWhole) t.deepEqual({ requests, bodies }, { requests: 1, bodies: 1 });
    else t.log('the disk did not keep up, and the file was fetched again');
    const { peakBytes } = usageOf(subject.pid);
    t.log(`peak ${Math.round(peakBytes / mib)} MiB`);
    t.true(peakBytes > 0);
    t.true(peakBytes <= l1 + 80 * mib + 64 * mib + 100 * mib, `peak ${peakBytes}`);
    // Of the file itself nothing but the windows and the memory tier may be in memory.
    t.true(peakBytes < size);
  }));
