// Writing to the cache holds up no client: with a disk that has stopped answering a download goes as fast
// as with one that works, and what could not be written is counted. The disk is stopped at the system
// call, by a preloaded library; the origin has a rate, so that both sides are limited by the same thing.

import test from 'ava';
import { millrace, numberIn } from '../../bench/support/millrace.js';
import { freshPath } from '../../bench/support/origin.js';
import { makeSlowDisk, missingCompiler } from '../../bench/support/slow-disk.js';
import { medianOf, onStage } from '../support/performance.js';

const mib = 2 ** 20;
const rounds = 4;
const size = 4 * mib;
/** More than may wait for the disk: it has to be noticed that nothing is written. */
const files = 8;

const skip = missingCompiler();
const whereCompilerIs = skip === null ? test : test.skip;

whereCompilerIs(
  'cache write: with a disk that stands still clients get 0.8 of what they get',
  (t) =>
    onStage(t, async ({ origin, client, start, directory }) => {
      await origin.set({ bytesPerSecond: 32 * mib });
      const disk = makeSlowDisk(directory);
      // io_uring makes no call that could be slowed down.
      const setup = { environment: disk.environment, disk: { io_backend: 'threads' } };
      const subject = await start(millrace(setup), { memoryBytes: 16 * mib });
      const fetchAll = async (): Promise<number> => {
        const paths = Array.from({ length: files }, () => freshPath(size));
        const { bytes, elapsedMs } = await client.download({
          port: subject.port,
          paths,
          concurrency: 2,
        });
        t.is(bytes, files * size);
        return bytes / elapsedMs;
      };
      const dropped = async (): Promise<number> =>
        numberIn((await subject.stats()).store, 'writesDropped');
      await fetchAll();
      const rates = { working: [] as number[], stalled: [] as number[] };
      for (let round = 0; round < rounds; round += 1) {
        rates.working.push(await fetchAll());
        await subject.flushed();
        const before = await dropped();
        disk.set(0);
        rates.stalled.push(await fetchAll());
        disk.set(null);
        await subject.flushed();
        // Else the disk was not what it seemed, and the comparison says nothing.
        t.true((await dropped()) > before);
      }
      const ratio = medianOf(rates.stalled) / medianOf(rates.working);
      t.log(`with the disk stalled: ${ratio.toFixed(2)} of the throughput`);
      t.true(ratio >= 0.8, `${ratio}`);
    }),
);

test('cache write: what clients fetched is on the disk and read from there after a restart', (t) =>
  onStage(t, async ({ origin, client, start }) => {
    await origin.set({ bytesPerSecond: 40 * mib });
    const first = await start(millrace());
    const paths = Array.from({ length: 20 }, () => freshPath(size));
    // A few at a time: what a slow disk cannot take yet would be dropped.
    for (let at = 0; at < paths.length; at += 4) {
      await client.download({ port: first.port, paths: paths.slice(at, at + 4), concurrency: 2 });
      await first.flushed();
    }
    const { store } = await first.stats();
    t.is(numberIn(store, 'writesDropped'), 0);
    t.true(numberIn(store, 'deviceWrittenBytes') >= paths.length * size);
    const second = await first.restart('stop');
    const before = await origin.counts();
    await client.download({ port: second.port, paths, concurrency: 2 });
    t.deepEqual(await origin.counts(), before);
  }));
