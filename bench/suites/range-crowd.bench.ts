// Many clients ask for parts of one large object that nobody has: how much of it the origin has to send, and
// when the clients have their parts. A cache that wants the whole object makes them wait for it.

import { setTimeout as sleepMs } from 'node:timers/promises';
import type { Suite, SuiteContext } from '../harness.js';
import { haproxy } from '../rivals/haproxy.js';
import { nginx, nginxSlice } from '../rivals/nginx.js';
import { trafficServer } from '../rivals/trafficserver.js';
import { varnish } from '../rivals/varnish.js';
import {
  attempt,
  type Bench,
  costOf,
  eachTurn,
  mib,
  ttfbAt,
  warmUp,
  withBench,
} from '../support/bench.js';
import { millrace } from '../support/millrace.js';
import { freshPath } from '../support/origin.js';
import { lower, told } from '../support/rows.js';
import type { RunningSubject } from '../support/subject.js';

const clients = 100;
const length = 64 * 1024;
const randomLength = mib;
/** Ten for each client, one after the other: more bytes than most of the object has. */
const randomRanges = 1000;
/** Any; the same in every round, so that rounds can be compared. */
const seed = 1;
/** For what goes on after the clients have left: nobody waits for the rest of a gigabyte for longer. */
const restLimitMs = 10_000;
const lookEveryMs = 200;

/** One range in each of a hundred even parts of the object, at a place that no two parts share. */
function rangesOf(size: number): (readonly [number, number])[] {
  const part = Math.floor(size / clients / mib) * mib;
  return Array.from({ length: clients }, (_, index): readonly [number, number] => {
    // 7 has no factor in common with the 16 places of a MiB.
    const first = index * part + ((index * 7) % (mib / length)) * length;
    return [first, first + length - 1];
  });
}

/** Ranges of a MiB at random places, many of which touch the same chunks. */
function randomRangesOf(size: number): (readonly [number, number])[] {
  let state = seed;
  return Array.from({ length: randomRanges }, (): readonly [number, number] => {
    // The minimal standard generator: exact in doubles.
    state = (state * 48271) % 2147483647;
    const first = Math.floor((state / 2147483647) * (size - randomLength));
    return [first, first + randomLength - 1];
  });
}

/** Of the chunks that the ranges touch: what fetching each of them once would take from the origin. */
function chunkBytesOf(ranges: readonly (readonly [number, number])[]): number {
  const chunks = new Set<number>();
  for (const [first, last] of ranges) {
    for (let at = Math.floor(first / mib); at <= Math.floor(last / mib); at += 1) chunks.add(at);
  }
  return chunks.size * mib;
}

/** What the origin has sent when it sends no more. */
async function bytesAtRest({ origin, context }: Bench): Promise<number> {
  let { bytes } = await origin.counts();
  for (let waitedMs = 0; waitedMs < restLimitMs; waitedMs += lookEveryMs) {
    await sleepMs(lookEveryMs, undefined, { signal: context.signal });
    const last = bytes;
    bytes = (await origin.counts()).bytes;
    if (bytes === last) break;
  }
  return bytes;
}

async function measure(
  bench: Bench,
  subject: RunningSubject,
  name: string,
  size: number,
  ranges: readonly (readonly [number, number])[],
): Promise<void> {
  const { client, origin, context, rows } = bench;
  const path = freshPath(size);
  const before = await origin.counts();
  const { value: downloads, cpuMs } = await costOf(subject, context.signal, () =>
    client.download({
      port: subject.port,
      paths: ranges.map(() => path),
      ranges,
      concurrency: clients,
    }),
  );
  const bytes = await bytesAtRest(bench);
  const figures = [
    lower('from the origin', 'bytes', bytes - before.bytes),
    ttfbAt(downloads, 0.5, 'TTFB p50'),
    lower('total', 'ms', downloads.elapsedMs),
    lower('CPU', 'ms', cpuMs),
    told('origin requests', 'count', (await origin.counts()).requests - before.requests),
    told('chunks touched', 'bytes', chunkBytesOf(ranges)),
  ];
  rows.add(subject.name, name, figures, subject.note);
}

async function run(context: SuiteContext): Promise<void> {
  await withBench(context, async (bench) => {
    const size = (context.quick ? 128 : 1024) * mib;
    const object = context.quick ? '128 MiB' : '1 GiB';
    const name = `${clients} clients, ${clients} ranges of 64 KiB of one cold object of ${object}`;
    const few = [millrace(), nginxSlice];
    const rest = [nginx, varnish('file'), trafficServer, haproxy('stream')];
    // Room for the whole object of every round, for those who take it.
    const bounds = { diskBytes: (2 * context.rounds + 1) * size + 256 * mib };
    const subjects = await bench.startAll(
      context.quick ? few.slice(0, 1) : [...few, ...rest],
      bounds,
    );
    await warmUp(bench, subjects);
    const cold = `one cold object of ${object}`;
    const random = `${clients} clients, ${randomRanges} random ranges of 1 MiB of ${cold}`;
    await eachTurn(context, subjects, async (subject) => {
      await attempt(context, subject, name, () =>
        measure(bench, subject, name, size, rangesOf(size)),
      );
      if (context.quick) return;
      await attempt(context, subject, random, () =>
        measure(bench, subject, random, size, randomRangesOf(size)),
      );
    });
  });
}

export const rangeCrowdSuite: Suite = {
  name: 'range-crowd',
  title: 'Parts of a cold object for many clients',
  about:
    'A hundred clients ask at the same moment for 64 KiB each, spread over one cold object; every byte is ' +
    'compared. From the origin is what it has sent when it sends no more, also after the clients have ' +
    'left: the ranges themselves are 6.6 MB, whole chunks of 1 MiB around them 105 MB. Then a thousand ' +
    'ranges of 1 MiB at random places, which share chunks: what each chunk once would take is told beside; ' +
    'more than that is what the disk could not take in time and memory had no room for. Total is the time ' +
    'until the last client had its part. Who passes ranges on and keeps nothing of them takes the least ' +
    'from the origin in the first case, and as much again the next time.',
  run,
};
