// Memory does not follow the bytes that pass: what twenty large files leave behind is bounded by the
// configuration, not by their number or size. The peak is the kernel's own high-water mark, of another
// process, so that nothing between two looks is missed.

import test from 'ava';
import { millrace } from '../../bench/support/millrace.js';
import { freshPath } from '../../bench/support/origin.js';
import { usageOf } from '../../bench/support/usage.js';
import { onStage } from '../support/performance.js';

const mib = 2 ** 20;
const files = 20;
const size = 48 * mib;
/** By then everything that is set up once is there: pools, compiled code, the memory tier full. */
const filesToSettle = 5;

test('memory: twenty large files take no more of it than five', (t) =>
  onStage(t, async ({ client, start }) => {
    const l1 = 16 * mib;
    const subject = await start(millrace(), { memoryBytes: l1, diskBytes: 1536 * mib });
    let settledAt = 0;
    for (let file = 1; file <= files; file += 1) {
      const { bytes } = await client.download({ port: subject.port, paths: [freshPath(size)] });
      t.is(bytes, size);
      if (file === filesToSettle) settledAt = usageOf(subject.pid).peakBytes;
    }
    const { peakBytes } = usageOf(subject.pid);
    const growth = peakBytes - settledAt;
    t.log(`peak ${Math.round(peakBytes / mib)} MiB, growth ${Math.round(growth / mib)} MiB`);
    t.true(settledAt > 0);
    // Fifteen files of 48 MiB have passed since; a leak of a tenth of them would show.
    t.true(growth <= size, `grew by ${growth} bytes`);
    // What the documents promise: memory_limit, index_memory_limit and 100 MiB.
    t.true(peakBytes <= l1 + 80 * mib + 64 * mib + 100 * mib, `peak ${peakBytes}`);
  }));
