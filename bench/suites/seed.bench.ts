// The table that millrace's first design claimed: a streaming proxy against one that downloads first, at
// 1, 10, 50 and 100 MB. Its own benchmark slept where this one opens sockets; the claimed values stand in
// the notes beside what is measured.

import type { Suite, SuiteContext } from '../harness.js';
import { simple } from '../rivals/node-subjects.js';
import {
  attempt,
  type Bench,
  mb,
  throughput,
  turnsOf,
  warmUp,
  withBench,
} from '../support/bench.js';
import { millrace } from '../support/millrace.js';
import { freshPath } from '../support/origin.js';
import { type Figure, lower, percentile } from '../support/rows.js';
import { diskBytesDefault } from '../support/stage.js';
import { type RunningSubject, withoutProxy } from '../support/subject.js';

interface Size {
  readonly megabytes: number;
  /** Downloads per round, whose median is the round's value. */
  readonly repeats: number;
  readonly claimOfSimple: string;
}

const sizes: readonly Size[] = [
  { megabytes: 1, repeats: 10, claimOfSimple: '100 ms' },
  { megabytes: 10, repeats: 5, claimOfSimple: '1 s' },
  { megabytes: 50, repeats: 2, claimOfSimple: '5 s' },
  { megabytes: 100, repeats: 2, claimOfSimple: '10 s' },
];
const quickMegabytes: readonly number[] = [1, 10];

const lines = [
  { name: 'origin unthrottled', bytesPerSecond: null },
  { name: 'origin at 100 MB/s', bytesPerSecond: 100 * mb },
] as const;

function noteFor(subject: RunningSubject, size: Size): string | undefined {
  if (subject.name === 'millrace') return 'the first design claimed a TTFB below 1 ms';
  if (subject.name !== simple.name) return undefined;
  return `the first design claimed a TTFB of ${size.claimOfSimple}`;
}

/** Medians of some downloads, one after the other, each of an object that nobody has asked for. */
async function downloadsOf(bench: Bench, port: number, size: Size): Promise<Figure[]> {
  const repeats = bench.context.quick ? Math.ceil(size.repeats / 3) : size.repeats;
  const bytes = size.megabytes * mb;
  const paths = Array.from({ length: repeats }, () => freshPath(bytes));
  const downloads = await bench.client.download({ port, paths });
  const median = (of: 'ttfbMs' | 'totalMs'): number =>
    percentile(
      downloads.results.map((result) => result[of]),
      0.5,
    );
  return [
    lower('TTFB', 'ms', median('ttfbMs')),
    lower('total', 'ms', median('totalMs')),
    throughput({ ...downloads, bytes, elapsedMs: median('totalMs') }),
  ];
}

async function run(context: SuiteContext): Promise<void> {
  await withBench(context, async (bench) => {
    const chosen = sizes.filter(
      ({ megabytes }) => !context.quick || quickMegabytes.includes(megabytes),
    );
    const subjects = [
      await bench.start(millrace({ zeroFill: !context.quick }), {
        diskBytes: 2 * diskBytesDefault,
      }),
      await bench.start(simple),
      withoutProxy(bench.origin.port),
    ];
    await warmUp(bench, subjects);
    for (let round = 0; round < context.rounds; round += 1) {
      for (const { name, bytesPerSecond } of lines) {
        await bench.origin.set({ bytesPerSecond });
        for (const size of chosen) {
          for (const subject of turnsOf(subjects, round)) {
            const title = `${size.megabytes} MB, ${name}`;
            await attempt(context, subject, title, async () => {
              const figures = await downloadsOf(bench, subject.port, size);
              bench.rows.add(subject.name, title, figures, noteFor(subject, size));
            });
          }
        }
      }
    }
  });
}

export const seedSuite: Suite = {
  name: 'seed',
  title: 'Streaming against downloading first',
  about:
    'Cold objects of 1 to 100 MB, one client, one request at a time on a connection of its own. TTFB is ' +
    'the time from the request written to the first byte of the body, at the client; every byte is ' +
    'compared. The origin is a process of its own, as fast as it can be or at 100 MB/s. The simple ' +
    'proxy downloads the whole body before it answers and keeps nothing; millrace stores every object.',
  run,
};
