// How much memory a proxy takes for what it passes on: its resident peak, told by the kernel, in a process
// that is new for each case. The first design claimed a number for one download of 10 MB and ten of them.

import type { Suite, SuiteContext } from '../harness.js';
import { nginx } from '../rivals/nginx.js';
import { httpProxyMiddleware, simple, undiciPipe } from '../rivals/node-subjects.js';
import { trafficServer } from '../rivals/trafficserver.js';
import { varnish } from '../rivals/varnish.js';
import {
  attempt,
  type Bench,
  eachTurn,
  mb,
  mib,
  startOrSkip,
  withBench,
} from '../support/bench.js';
import { millrace } from '../support/millrace.js';
import { freshPath } from '../support/origin.js';
import type { SlowReading } from '../support/raw-request.js';
import { lower, told } from '../support/rows.js';
import type { RunningSubject, Subject } from '../support/subject.js';
import { usageOf } from '../support/usage.js';

interface Case {
  readonly name: string;
  readonly size: number;
  readonly count: number;
  readonly inQuick: boolean;
  readonly claim?: string;
  readonly slowly?: SlowReading;
}

const cases: readonly Case[] = [
  {
    name: '10 MB',
    size: 10 * mb,
    count: 1,
    inQuick: false,
    claim: 'the first design claimed 2 MB against 10 MB of a proxy that downloads first',
  },
  { name: '100 MB', size: 100 * mb, count: 1, inQuick: false },
  {
    name: '10 x 10 MB',
    size: 10 * mb,
    count: 10,
    inQuick: true,
    claim: 'the first design claimed 10 MB against 100 MB of a proxy that downloads first',
  },
  { name: '10 x 100 MB', size: 100 * mb, count: 10, inQuick: false },
  { name: '1 GiB', size: 1024 * mib, count: 1, inQuick: false },
  {
    name: '1 GiB, slow reader',
    size: 1024 * mib,
    count: 1,
    inQuick: false,
    // In this time the origin could have sent all of it, to a proxy that takes it.
    slowly: { bytesPerSecond: 10 * mb, forMs: 2000 },
  },
];

/** The same for all who have such a bound: what is above it is not the cache that was asked for. */
const memoryBytes = 16 * mib;
const diskBytes = 2048 * mib;

function noteOf({ claim }: Case, subject: RunningSubject): string {
  const notes = [`memory for cached objects bounded to ${memoryBytes / mib} MiB where it can be`];
  if (subject.note !== undefined) notes.push(subject.note);
  if (claim !== undefined) notes.push(claim);
  return notes.join('; ');
}

async function measure(bench: Bench, subject: Subject, what: Case): Promise<void> {
  const { context, client, rows } = bench;
  const running = await startOrSkip(context, bench, subject, { memoryBytes, diskBytes });
  if (running === null) return;
  try {
    // One small object first, so that what every program sets up at its first request is not counted.
    await client.download({ port: running.port, paths: [freshPath(1024)] });
    const idle = usageOf(running.pid).residentBytes;
    const paths = Array.from({ length: what.count }, () => freshPath(what.size));
    const { slowly } = what;
    await client.download({
      port: running.port,
      paths,
      concurrency: what.count,
      ...(slowly && { slowly }),
    });
    const { peakBytes } = usageOf(running.pid);
    rows.add(
      running.name,
      what.name,
      [
        lower('resident peak', 'bytes', peakBytes),
        lower('growth', 'bytes', Math.max(0, peakBytes - idle)),
        told('idle', 'bytes', idle),
      ],
      noteOf(what, running),
    );
  } finally {
    await running.stop('SIGKILL');
  }
}

async function run(context: SuiteContext): Promise<void> {
  await withBench(context, async (bench) => {
    const rivals = [varnish('file'), trafficServer, httpProxyMiddleware, undiciPipe];
    const few = [millrace(), simple];
    const subjects = bench.wanted(context.quick ? few : [...few, nginx, ...rivals]);
    for (const what of cases.filter(({ inQuick }) => inQuick || !context.quick)) {
      await eachTurn(context, subjects, (subject) =>
        attempt(context, subject, what.name, () => measure(bench, subject, what)),
      );
    }
  });
}

export const memorySuite: Suite = {
  name: 'memory',
  title: 'Resident memory',
  about:
    'The peak of resident memory (VmHWM of all processes of a subject, added up) while it passes on cold ' +
    'objects, each case in a new process over an empty cache. Growth is the peak less what was resident ' +
    'before, after one small request. The slow reader takes 10 MB/s for two seconds and leaves. ' +
    "What the kernel caches of files is nobody's memory here, except where a program maps its file, as " +
    'Varnish does.',
  run,
};
