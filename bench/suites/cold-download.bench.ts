// A large cold object from an origin that is far away and gives no connection more than a rate: what a
// download costs in time, beside the client that asks the origin itself by one connection.

import type { Suite, SuiteContext } from '../harness.js';
import { nginx, nginxSlice } from '../rivals/nginx.js';
import { attempt, type Bench, mb, mib, turnsOf, warmUp, withBench } from '../support/bench.js';
import { millrace } from '../support/millrace.js';
import { freshPath } from '../support/origin.js';
import { higher, lower, told } from '../support/rows.js';
import { type RunningSubject, withoutProxy } from '../support/subject.js';

const latencyMs = 50;
const eachBytesPerSecond = 20 * mb;

async function measure(
  { client, origin, rows }: Bench,
  subject: RunningSubject,
  name: string,
  size: number,
): Promise<void> {
  const before = await origin.counts();
  const downloads = await client.download({ port: subject.port, paths: [freshPath(size)] });
  const { ttfbMs, totalMs } = downloads.results[0]!;
  const after = await origin.counts();
  rows.add(
    subject.name,
    name,
    [
      lower('TTFB', 'ms', ttfbMs),
      lower('total', 'ms', totalMs),
      higher('throughput', 'MB/s', downloads.bytes / 1000 / totalMs),
      lower('from the origin', 'bytes', after.bytes - before.bytes),
      told('origin requests', 'count', after.requests - before.requests),
    ],
    subject.note,
  );
}

async function run(context: SuiteContext): Promise<void> {
  await withBench(context, async (bench) => {
    const size = (context.quick ? 8 : 100) * mib;
    const name = `one cold object of ${size / mib} MiB`;
    const own = [
      millrace({ name: 'millrace, parallel', top: { slice_patterns: ['/**'] } }),
      millrace({ name: 'millrace, one connection' }),
    ];
    const bounds = { diskBytes: (context.rounds + 1) * size + 256 * mib };
    const started = await bench.startAll(context.quick ? own : [...own, nginx, nginxSlice], bounds);
    const subjects = [withoutProxy(bench.origin.port), ...started];
    await warmUp(bench, subjects);
    await bench.origin.set({ latencyMs, eachBytesPerSecond });
    for (let round = 0; round < context.rounds; round += 1) {
      for (const subject of turnsOf(subjects, round)) {
        await attempt(context, subject, name, () => measure(bench, subject, name, size));
      }
    }
  });
}

export const coldDownloadSuite: Suite = {
  name: 'cold-download',
  title: 'Cold downloads over a long line',
  about:
    `An origin that waits ${latencyMs} ms before each answer and gives each connection ` +
    `${eachBytesPerSecond / mb} MB/s; one client fetches one large object that nobody has, and every byte ` +
    'is compared. "no proxy" is the client at the origin itself. millrace, parallel, is `slice_patterns: ' +
    '["/**"]` with its defaults: four connections, slices of 4 MiB. From the origin counts what it had ' +
    'given to its sockets, also what a connection that was given up had in its buffers.',
  run,
};
