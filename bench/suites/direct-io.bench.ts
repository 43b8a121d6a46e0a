// The option use_direct_io: past the kernel's page cache or through it. What storing and reading back
// cost either way, and how much memory the kernel gives to the cache file.

import { readFileSync } from 'node:fs';
import type { Suite, SuiteContext } from '../harness.js';
import {
  attempt,
  type Bench,
  costOf,
  cpuPerGb,
  eachTurn,
  mib,
  throughput,
  warmUp,
  withBench,
} from '../support/bench.js';
import { millrace, type RunningMillrace } from '../support/millrace.js';
import { freshPath } from '../support/origin.js';
import { coldNote, dropPageCache } from '../support/page-cache.js';
import { lower } from '../support/rows.js';

const concurrency = 8;

/** Bytes that the kernel holds of files, of all of them. */
function pageCacheBytes(): number {
  const text = readFileSync('/proc/meminfo', 'latin1');
  return Number(/^Cached:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024;
}

async function measure(
  bench: Bench,
  subject: RunningMillrace,
  count: number,
): Promise<RunningMillrace> {
  const { client, context, rows, origin } = bench;
  const paths = Array.from({ length: count }, () => freshPath(mib));
  dropPageCache();
  const cachedBefore = pageCacheBytes();
  const stored = await costOf(subject, context.signal, async () => {
    const downloads = await client.download({ port: subject.port, paths, concurrency });
    await subject.flushed();
    return downloads;
  });
  const bytes = stored.value.bytes;
  rows.add(subject.name, 'misses, 1 MiB', [
    throughput(stored.value),
    cpuPerGb(stored.cpuMs, bytes),
    lower('page cache growth', 'bytes', Math.max(0, pageCacheBytes() - cachedBefore)),
  ]);
  const again = await subject.restart('stop');
  const note = coldNote(dropPageCache());
  const before = (await origin.counts()).requests;
  const read = await costOf(again, context.signal, () =>
    client.download({ port: again.port, paths, concurrency }),
  );
  const asked = (await origin.counts()).requests - before;
  const figures = [
    throughput(read.value),
    cpuPerGb(read.cpuMs, bytes),
    lower('origin requests', 'count', asked),
  ];
  rows.add(again.name, 'hits from disk, 1 MiB', figures, note);
  return again;
}

async function run(context: SuiteContext): Promise<void> {
  await withBench(context, async (bench) => {
    const bounds = { memoryBytes: 16 * mib, diskBytes: (context.quick ? 512 : 2048) * mib };
    const count = context.quick ? 64 : 384;
    const direct = await bench.start(
      millrace({ name: 'millrace, direct I/O', zeroFill: !context.quick }),
      bounds,
    );
    const { store } = await direct.stats();
    if (store?.directIo !== true) {
      context.skip('direct I/O', `refused here: ${String(store?.directIoRefusal)}`);
      return;
    }
    const through = await bench.start(
      millrace({
        name: 'millrace, page cache',
        useDirectIo: false,
        zeroFill: !context.quick,
      }),
      bounds,
    );
    await warmUp(bench, [direct, through]);
    const current = new Map([direct, through].map((subject) => [subject, subject]));
    await eachTurn(context, [direct, through], (subject) =>
      attempt(context, subject, 'direct I/O', async () => {
        current.set(subject, await measure(bench, current.get(subject) ?? subject, count));
      }),
    );
  });
}

export const directIoSuite: Suite = {
  name: 'direct-io',
  title: 'Direct I/O',
  about:
    'use_direct_io true and false: distinct objects of 1 MiB stored, eight at a time, then the same ones ' +
    'read back by a process that was started anew, with the page cache dropped. Page cache growth is ' +
    'that of the whole machine, which may have had other things to do.',
  run,
};
