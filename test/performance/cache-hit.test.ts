// A hit does not ask the origin, and so does not wait for it: with an origin 300 ms away, the first byte of
// a hit comes in less than half of that of a miss. From memory, and from the disk after a restart. So far
// away, because beside other tests a hit may wait for the processor longer than for anything else.

import test from 'ava';
import type { Client } from '../../bench/support/client.js';
import { millrace } from '../../bench/support/millrace.js';
import { freshPath } from '../../bench/support/origin.js';
import { medianOf, onStage } from '../support/performance.js';

const kib = 1024;
const latencyMs = 300;
const objects = 12;
const hits = 120;

async function medianTtfb(client: Client, port: number, paths: readonly string[]): Promise<number> {
  const { results } = await client.download({ port, paths });
  return medianOf(results.map(({ ttfbMs }) => ttfbMs));
}

test('cache hit: from memory and from disk the origin is not asked, and nobody waits for it', (t) =>
  onStage(t, async ({ origin, client, start }) => {
    await origin.set({ latencyMs });
    const first = await start(millrace());
    const paths = Array.from({ length: objects }, () => freshPath(256 * kib));
    const miss = await medianTtfb(client, first.port, paths);
    t.is((await origin.counts()).bodies, objects);
    await first.flushed();
    const before = await origin.counts();
    const many = Array.from({ length: hits }, (_, index) => paths[index % objects]!);
    const fromMemory = await medianTtfb(client, first.port, many);
    const second = await first.restart('stop');
    const fromDisk = await medianTtfb(client, second.port, paths);
    t.deepEqual(await origin.counts(), before);
    t.log(
      `miss ${miss.toFixed(1)} ms, memory ${fromMemory.toFixed(1)}, disk ${fromDisk.toFixed(1)}`,
    );
    t.true(miss >= latencyMs - 1);
    t.true(fromMemory <= miss / 2);
    t.true(fromDisk <= miss / 2);
  }));
