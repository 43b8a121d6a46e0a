// Writing to the cache: how fast it goes, and what the client notices of it. With the cache on and off,
// in memory alone, and with a disk that is slow or stands still. The first design claimed more than
// 100 MB/s that block nobody.

import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../../ts/clock.js';
import type { Suite, SuiteContext } from '../harness.js';
import {
  attempt,
  type Bench,
  costOf,
  cpuPerGb,
  eachTurn,
  mb,
  mib,
  throughput,
  ttfbAt,
  warmUp,
  withBench,
} from '../support/bench.js';
import {
  type MillraceOptions,
  millrace,
  numberIn,
  type RunningMillrace,
} from '../support/millrace.js';
import { freshPath } from '../support/origin.js';
import { higher, lower } from '../support/rows.js';
import { makeSlowDisk, missingCompiler, type SlowDisk } from '../support/slow-disk.js';

const size = 16 * mib;
const concurrency = 4;
const slowDisks: readonly (readonly [string, number])[] = [
  ['millrace, disk at 20 MB/s', 20 * mb],
  ['millrace, disk stalled', 0],
];
const claim = 'the first design claimed more than 100 MB/s';

interface Objects {
  readonly name: string;
  readonly size: number;
  readonly count: number;
  readonly concurrency: number;
}

async function speed(bench: Bench, subject: RunningMillrace, objects: Objects): Promise<void> {
  const { client, context, rows } = bench;
  const { name, size, count, concurrency } = objects;
  const paths = Array.from({ length: count }, () => freshPath(size));
  const before = (await subject.stats()).store;
  const startedMs = systemClock.monotonic();
  await client.download({ port: subject.port, paths, concurrency });
  await subject.flushed();
  const elapsedS = (systemClock.monotonic() - startedMs) / 1000;
  const after = (await subject.stats()).store;
  const moved = (name: string): number => numberIn(after, name) - numberIn(before, name);
  context.signal.throwIfAborted();
  const figures = [
    higher('written', 'MB/s', moved('deviceWrittenBytes') / mb / elapsedS),
    lower('records not written', 'count', moved('writesDropped')),
    lower(
      'device bytes per admitted byte',
      'ratio',
      moved('deviceWrittenBytes') / Math.max(1, moved('admittedBytes')),
    ),
  ];
  rows.add(subject.name, `cache write, ${name} objects`, figures, claim);
}

async function client(bench: Bench, subject: RunningMillrace, count: number): Promise<void> {
  const { context, rows } = bench;
  const paths = Array.from({ length: count }, () => freshPath(size));
  const before = numberIn((await subject.stats()).store, 'writesDropped');
  const { value: downloads, cpuMs } = await costOf(subject, context.signal, () =>
    bench.client.download({ port: subject.port, paths, concurrency }),
  );
  const dropped = numberIn((await subject.stats()).store, 'writesDropped') - before;
  const figures = [
    throughput(downloads),
    ttfbAt(downloads, 0.5, 'TTFB p50'),
    cpuPerGb(cpuMs, downloads.bytes),
    lower('records not written', 'count', dropped),
  ];
  rows.add(subject.name, 'what the client gets, 16 MiB objects', figures);
}

/** What the disk does while a subject is measured. */
interface Case {
  readonly subject: RunningMillrace;
  readonly disk?: SlowDisk;
  readonly bytesPerSecond?: number;
}

/** One slow disk and one process for each speed: what one has staged must not weigh on another. */
async function slowCases(bench: Bench, start: Start): Promise<Case[]> {
  const cases: Case[] = [];
  // The one that stands still is the harder case, and enough for a quick look.
  const chosen = bench.context.quick ? slowDisks.slice(-1) : slowDisks;
  for (const [name, bytesPerSecond] of chosen) {
    const directory = await mkdtemp(join(bench.directory, 'slow-'));
    const disk = makeSlowDisk(directory);
    // io_uring makes no call that could be slowed down.
    const threads = { io_backend: 'threads' };
    const subject = await start({ name, environment: disk.environment, disk: threads });
    cases.push({ subject, disk, bytesPerSecond });
  }
  return cases;
}

type Start = (options: MillraceOptions) => Promise<RunningMillrace>;

async function play(bench: Bench, what: Case, count: number): Promise<void> {
  const { subject, disk, bytesPerSecond = null } = what;
  disk?.set(bytesPerSecond);
  try {
    await client(bench, subject, count);
  } finally {
    disk?.set(null);
  }
  // The next round begins with a disk that has caught up.
  await subject.flushed();
}

async function run(context: SuiteContext): Promise<void> {
  await withBench(context, async (bench) => {
    const count = context.quick ? 4 : 48;
    const bounds = { memoryBytes: 32 * mib, diskBytes: (context.quick ? 512 : 3072) * mib };
    const start: Start = (options) => bench.start(millrace(options), bounds);
    const on = await start({ name: 'millrace, raw disk', zeroFill: !context.quick });
    const cases: Case[] = [{ subject: on }];
    for (const store of context.quick ? [] : (['memory', 'off'] as const)) {
      const name = store === 'off' ? 'millrace, cache off' : 'millrace, memory alone';
      cases.push({ subject: await start({ name, store }) });
    }
    const why = missingCompiler();
    if (why !== null) context.skip('a slow disk', why);
    else cases.push(...(await slowCases(bench, start)));
    await warmUp(
      bench,
      cases.map(({ subject }) => subject),
    );
    const written: readonly Objects[] = [
      { name: '16 MiB', size, count, concurrency },
      { name: '16 KiB', size: 16 * 1024, count: context.quick ? 200 : 8000, concurrency: 16 },
    ];
    await eachTurn(context, written, (objects) =>
      attempt(context, on, `cache write, ${objects.name}`, () => speed(bench, on, objects)),
    );
    await eachTurn(context, cases, (what) =>
      attempt(context, what.subject, 'client', () => play(bench, what, count)),
    );
  });
}

export const writeSuite: Suite = {
  name: 'write',
  title: 'Cache writes',
  about:
    'Distinct cold objects of 16 MiB, four downloads at a time, or of 16 KiB, 16 at a time. Written counts ' +
    'the bytes on the device, from the first request until the last byte was written; beside them stands ' +
    'how many there were for each byte of the records that were to be stored. What the client gets is its ' +
    'throughput, with the cache on a raw disk, in memory alone and off, and on a disk whose writes are ' +
    'delayed at the system call, to 20 MB/s or for ever. Records not written are the writes that were ' +
    'given up so that no client waits.',
  run,
};
