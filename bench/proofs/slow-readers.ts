// Memory with many slow readers of one object that is far larger than it: the peak of resident memory,
// as the kernel keeps it for another process, stays below memory_limit + index_memory_limit + 100 MiB.
// One client reads as fast as it can, so that the fetch runs ahead of all others; what they still want
// comes from the disk.
//
//   npm run build && npm run build:bench
//   node build/bench/proofs/slow-readers.js [--readers 200] [--size 4GiB]

import { systemClock } from '../../ts/clock.js';
import { millrace, numberIn } from '../support/millrace.js';
import { freshPath } from '../support/origin.js';
import { receiveBytes, requestRaw } from '../support/raw-request.js';
import type { Stage } from '../support/stage.js';
import { usageOf } from '../support/usage.js';
import { type Proof, runProof, type Verdict } from './proof.js';

const mib = 2 ** 20;
/** What bench/support/millrace.ts asks for beside the memory tier. */
const pagesBesideL1 = 80 * mib;
const indexMemory = 64 * mib;

const full = {
  readers: 200,
  size: 4096 * mib,
  memoryLimit: 256 * mib,
  /** Of each reader. */
  rate: 0.5e6,
  forMs: 60_000,
};
type Sizes = typeof full;
export const slowReadersProof: Proof<Sizes> = { full, run: runReaders };

async function runReaders(
  stage: Stage,
  { readers, size, memoryLimit, rate, forMs }: Sizes,
  say: (line: string) => void,
): Promise<Verdict> {
  // An object may take half of a store.
  const bounds = { memoryBytes: memoryLimit - pagesBesideL1, diskBytes: 2 * size + 1024 * mib };
  const subject = await stage.start(millrace(), bounds);
  const request = { port: subject.port, path: freshPath(size), verify: true, firstByteOnly: false };
  const slowly = { bytesPerSecond: rate, forMs };
  const buffer = (): Buffer => Buffer.allocUnsafeSlow(receiveBytes);
  const idle = usageOf(subject.pid).peakBytes;
  const slow = Array.from({ length: readers }, () =>
    requestRaw({ ...request, slowly }, buffer(), systemClock),
  );
  const fast = await requestRaw(request, buffer(), systemClock);
  const results = await Promise.all(slow);
  const { peakBytes } = usageOf(subject.pid);
  const { proxy, store } = await subject.stats();
  const { bodies } = await stage.origin.counts();
  const bound = memoryLimit + indexMemory + 100 * mib;
  const received = results.map(({ bytes }) => bytes);
  say(
    `peak ${(peakBytes / mib).toFixed(1)} MiB of ${bound / mib} MiB allowed, ` +
      `${(idle / mib).toFixed(1)} MiB before the first request; ${readers} readers got ` +
      `${(Math.min(...received) / mib).toFixed(1)} to ${(Math.max(...received) / mib).toFixed(1)} MiB, ` +
      `the fast one ${fast.bytes} bytes in ${(fast.totalMs / 1000).toFixed(1)} s; ` +
      `origin bodies ${bodies}, rests by range ${proxy.rangeResumes}, ` +
      `disk hits ${numberIn(store, 'diskHits')}`,
  );
  const wrong = results.filter(({ error }) => error !== '').map(({ error }) => error);
  if (fast.error !== '' || fast.bytes !== size) wrong.push(`the fast reader: ${fast.error}`);
  if (peakBytes > bound) wrong.push(`a peak of ${peakBytes} bytes, ${bound} are allowed`);
  if (bodies !== 1) wrong.push(`${bodies} bodies of the origin`);
  // Readers that got nothing would hold nothing.
  const least = (rate * forMs) / 1000 / 4;
  const starved = received.filter((bytes) => bytes < Math.min(size, least)).length;
  if (starved > 0) wrong.push(`${starved} readers got less than a quarter of what they wanted`);
  return wrong;
}

if (process.argv[1] === import.meta.filename) void runProof(slowReadersProof);
