// Ten clients at once, on one cold object and on ten: what they get together. The first design claimed
// 90 MB/s for ten clients against 50 of a proxy that downloads first.

import type { Suite, SuiteContext } from '../harness.js';
import { haproxy } from '../rivals/haproxy.js';
import { nginx } from '../rivals/nginx.js';
import { simple, undiciPipe } from '../rivals/node-subjects.js';
import {
  attempt,
  type Bench,
  costOf,
  cpuPerGb,
  mb,
  mib,
  throughput,
  ttfbAt,
  turnsOf,
  warmUp,
  withBench,
} from '../support/bench.js';
import { millrace } from '../support/millrace.js';
import { freshPath } from '../support/origin.js';
import { lower } from '../support/rows.js';
import type { RunningSubject } from '../support/subject.js';

const clients = 10;
const claim = 'the first design claimed 90 MB/s, and 50 MB/s for a proxy that downloads first';

const lines = [
  { name: 'origin unthrottled', bytesPerSecond: null },
  { name: 'origin at 100 MB/s', bytesPerSecond: 100 * mb },
] as const;

interface Case {
  readonly name: string;
  readonly isShared: boolean;
}

const cases: readonly Case[] = [
  { name: 'one object', isShared: true },
  { name: 'ten objects', isShared: false },
];

async function measure(
  bench: Bench,
  subject: RunningSubject,
  name: string,
  size: number,
  { isShared }: Case,
): Promise<void> {
  const { client, origin, rows, context } = bench;
  const first = freshPath(size);
  const paths = Array.from({ length: clients }, () => (isShared ? first : freshPath(size)));
  const before = await origin.counts();
  const { value: downloads, cpuMs } = await costOf(subject, context.signal, () =>
    client.download({ port: subject.port, paths, concurrency: clients }),
  );
  const { bodies } = await origin.counts();
  const figures = [
    throughput(downloads),
    ttfbAt(downloads, 0.5, 'TTFB p50'),
    ttfbAt(downloads, 1, 'TTFB of the last'),
    cpuPerGb(cpuMs, downloads.bytes),
    lower('origin bodies', 'count', bodies - before.bodies),
  ];
  rows.add(subject.name, name, figures, claim);
}

async function run(context: SuiteContext): Promise<void> {
  await withBench(context, async (bench) => {
    const size = (context.quick ? 2 : 25) * mb;
    const few = [millrace({ zeroFill: !context.quick }), simple];
    const subjects = await bench.startAll(
      context.quick ? few : [...few, nginx, haproxy('stream'), undiciPipe],
      { diskBytes: (context.quick ? 1024 : 4096) * mib },
    );
    await warmUp(bench, subjects);
    for (let round = 0; round < context.rounds; round += 1) {
      for (const line of context.quick ? lines.slice(1) : lines) {
        await bench.origin.set(line);
        for (const what of cases) {
          const name = `${clients} clients, ${what.name} of ${size / mb} MB, ${line.name}`;
          for (const subject of turnsOf(subjects, round)) {
            await attempt(context, subject, name, () => measure(bench, subject, name, size, what));
          }
        }
      }
    }
  });
}

export const clientsSuite: Suite = {
  name: 'clients',
  title: 'Ten clients at once',
  about:
    'Ten clients ask at the same moment for one cold object, or each for one of their own. Throughput is ' +
    'what all of them got together, by the time of the last byte. Origin bodies tell how often the origin ' +
    'had to send the object. The throttled origin has one line of 100 MB/s for all transfers.',
  run,
};
