// Several times the capacity of a device written: it never grows, in size or in blocks that the file
// system gave it, and no request fails. Each batch of objects is asked for twice, with more in it than
// memory keeps, because what is missed once only is not worth a write when the ring is full.
//
//   npm run build && npm run build:bench
//   node build/bench/proofs/laps.js [--capacity 1GiB] [--laps 5]

import { statSync } from 'node:fs';
import { join } from 'node:path';
import { millrace, numberIn } from '../support/millrace.js';
import { freshPath } from '../support/origin.js';
import type { Stage } from '../support/stage.js';
import { type Proof, runProof, type Verdict } from './proof.js';

const mib = 2 ** 20;
const l1 = 16 * mib;
const concurrency = 4;
const batchesMax = 100_000;

const full = { capacity: 1024 * mib, laps: 5, seed: 1 };
type Sizes = typeof full;
export const lapsProof: Proof<Sizes> = { full, run: runLaps };

/** Sizes from 1 KiB to 8 MiB, small ones more often; the seed repeats them. */
function sizesOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor(1024 * 2 ** ((13 * state) / 2 ** 32));
  };
}

async function runLaps(
  stage: Stage,
  { capacity, laps, seed }: Sizes,
  say: (line: string) => void,
): Promise<Verdict> {
  const subject = await stage.start(millrace(), { memoryBytes: l1, diskBytes: capacity });
  // Of the first subject on the stage.
  const device = join(stage.directory, 'subject-1', 'millrace.disk');
  const placeOf = () => {
    const { size, blocks } = statSync(device);
    return { size, allocated: blocks * 512 };
  };
  const first = placeOf();
  const nextSize = sizesOf(seed);
  const wrong: string[] = [];
  let requests = 0;
  let largest = first;
  let written = 0;
  for (let batch = 0; written < laps * capacity; batch += 1) {
    if (batch === batchesMax) throw new Error(`${written} bytes written after ${batch} batches`);
    const paths: string[] = [];
    for (let bytes = 0; bytes < 4 * l1; ) {
      const size = nextSize();
      bytes += size;
      paths.push(freshPath(size));
    }
    for (const _turn of ['first', 'second']) {
      // Rejects where one answer fails or has a wrong byte.
      await stage.client.download({ port: subject.port, paths, concurrency });
      requests += paths.length;
    }
    await subject.flushed();
    const { store } = await subject.stats();
    written = numberIn(store, 'deviceWrittenBytes');
    const now = placeOf();
    if (now.size > largest.size || now.allocated > largest.allocated) largest = now;
    if (numberIn(store, 'writeErrors') > 0) wrong.push('a write failed');
  }
  const { store } = await subject.stats();
  say(
    `${written} bytes written to a device of ${first.size}, ${(written / first.size).toFixed(2)} times; ` +
      `${requests} requests; size ${first.size} before, ${largest.size} at most; ` +
      `allocated ${first.allocated} before, ${largest.allocated} at most; ` +
      `segments reclaimed ${numberIn(store, 'segmentsReclaimed')}`,
  );
  if (largest.size !== first.size) wrong.push(`the file grew to ${largest.size} bytes`);
  if (largest.allocated > first.allocated) {
    wrong.push(`the file system gave it ${largest.allocated} bytes, ${first.allocated} before`);
  }
  if (first.size > capacity) wrong.push(`the file has ${first.size} bytes, not ${capacity}`);
  return wrong;
}

if (process.argv[1] === import.meta.filename) void runProof(lapsProof);
