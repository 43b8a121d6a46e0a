// The option use_direct_io: past the kernel's page cache or through it. What storing and reading back
// cost either way, and how much memory the kernel gives to the cache file.

import { readFileSync } from 'node:fs';
import type { Suite, SuiteContext } from '../harness.js';
import { attempt, eachTurn, mib, warmUp, withBench } from '../support/bench.js';
import { millrace } from '../support/millrace.js';
import { type StoreAndRead, storeAndRead } from '../support/option.js';
import { freshPath } from '../support/origin.js';
import { lower } from '../support/rows.js';

/** Bytes that the kernel holds of files, of all of them. */
function pageCacheBytes(): number {
  const text = readFileSync('/proc/meminfo', 'latin1');
  return Number(/^Cached:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024;
}

const step: StoreAndRead = {
  whileStored: async () => {
    const before = pageCacheBytes();
    return async () => [
      lower('page cache growth', 'bytes', Math.max(0, pageCacheBytes() - before)),
    ];
  },
};

async function run(context: SuiteContext): Promise<void> {
  await withBench(context, async (bench) => {
    const bounds = { memoryBytes: 16 * mib, diskBytes: (context.quick ? 512 : 2048) * mib };
    const count = context.quick ? 16 : 384;
    const zeroFill = !context.quick;
    const direct = await bench.start(millrace({ name: 'millrace, direct I/O', zeroFill }), bounds);
    const volume = (await direct.stats()).store?.volumes?.[0];
    if (volume?.directIo !== true) {
      context.skip('direct I/O', `refused here: ${String(volume?.directIoRefusal)}`);
      return;
    }
    const buffered = millrace({ name: 'millrace, page cache', useDirectIo: false, zeroFill });
    const kinds = [direct, await bench.start(buffered, bounds)];
    await warmUp(bench, kinds);
    const current = new Map(kinds.map((subject) => [subject, subject]));
    await eachTurn(context, kinds, async (subject) => {
      const running = current.get(subject) ?? subject;
      const paths = Array.from({ length: count }, () => freshPath(mib));
      await attempt(context, running, 'direct I/O', async () => {
        const what = { name: '1 MiB', paths, concurrency: 8 };
        current.set(subject, await storeAndRead(bench, running, what, step));
      });
    });
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
