// Origins as they are: far away, or behind a thin line. What the proxy adds to the time of the first byte
// and of the last, beside the client that asks the origin itself.

import type { Suite, SuiteContext } from '../harness.js';
import { haproxy } from '../rivals/haproxy.js';
import { nginx } from '../rivals/nginx.js';
import { simple, undiciPipe } from '../rivals/node-subjects.js';
import { attempt, type Bench, mb, mib, turnsOf, warmUp, withBench } from '../support/bench.js';
import { millrace } from '../support/millrace.js';
import { freshPath } from '../support/origin.js';
import type { OriginConditions } from '../support/origin-process.js';
import { lower, percentile } from '../support/rows.js';
import { withoutProxy } from '../support/subject.js';

const size = mib;

interface Case extends Required<Omit<OriginConditions, 'eachBytesPerSecond'>> {
  readonly name: string;
  readonly inQuick: boolean;
}

const cases: readonly Case[] = [
  { name: 'origin near', latencyMs: 0, bytesPerSecond: null, inQuick: true },
  { name: 'origin 20 ms away', latencyMs: 20, bytesPerSecond: null, inQuick: true },
  { name: 'origin 100 ms away', latencyMs: 100, bytesPerSecond: null, inQuick: false },
  { name: 'origin near, 100 MB/s', latencyMs: 0, bytesPerSecond: 100 * mb, inQuick: false },
  { name: 'origin near, 10 MB/s', latencyMs: 0, bytesPerSecond: 10 * mb, inQuick: false },
  { name: 'origin 20 ms away, 10 MB/s', latencyMs: 20, bytesPerSecond: 10 * mb, inQuick: false },
];

interface Times {
  readonly ttfbMs: number;
  readonly totalMs: number;
}

async function timesOf(bench: Bench, port: number): Promise<Times> {
  const paths = Array.from({ length: bench.context.quick ? 5 : 10 }, () => freshPath(size));
  const { results } = await bench.client.download({ port, paths });
  const median = (of: keyof Times): number =>
    percentile(
      results.map((result) => result[of]),
      0.5,
    );
  return { ttfbMs: median('ttfbMs'), totalMs: median('totalMs') };
}

async function run(context: SuiteContext): Promise<void> {
  await withBench(context, async (bench) => {
    const few = [millrace()];
    const subjects = await bench.startAll(
      context.quick ? few : [...few, nginx, haproxy('stream'), undiciPipe, simple],
    );
    const direct = withoutProxy(bench.origin.port);
    await warmUp(bench, [...subjects, direct]);
    for (let round = 0; round < context.rounds; round += 1) {
      for (const { name, inQuick, ...conditions } of cases) {
        if (context.quick && !inQuick) continue;
        await bench.origin.set(conditions);
        const own = await timesOf(bench, direct.port);
        bench.rows.add(direct.name, name, [
          lower('TTFB', 'ms', own.ttfbMs),
          lower('total', 'ms', own.totalMs),
        ]);
        for (const subject of turnsOf(subjects, round)) {
          await attempt(context, subject, name, async () => {
            const { ttfbMs, totalMs } = await timesOf(bench, subject.port);
            bench.rows.add(subject.name, name, [
              lower('TTFB', 'ms', ttfbMs),
              lower('TTFB above the origin', 'ms', ttfbMs - own.ttfbMs),
              lower('total', 'ms', totalMs),
            ]);
          });
        }
      }
    }
  });
}

export const latencySuite: Suite = {
  name: 'latency',
  title: 'Slow and distant origins',
  about:
    'Cold objects of 1 MiB, one at a time, from an origin that waits before it answers and sends at a rate ' +
    'that all its transfers share. "no proxy" is the client at the origin itself; TTFB above the origin is ' +
    "a subject's median less the one that the origin itself had in the same round.",
  run,
};
