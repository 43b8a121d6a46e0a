// What a miss costs: distinct objects that nobody has asked for, stored by those who store. One at a time
// for the time to the first byte, many at a time for throughput and CPU.

import type { Suite, SuiteContext } from '../harness.js';
import { haproxy } from '../rivals/haproxy.js';
import { nginx } from '../rivals/nginx.js';
import { httpProxyMiddleware, undiciPipe } from '../rivals/node-subjects.js';
import { trafficServer } from '../rivals/trafficserver.js';
import { varnish } from '../rivals/varnish.js';
import {
  attempt,
  type Bench,
  costOf,
  cpuPerGb,
  eachTurn,
  mib,
  throughput,
  ttfbAt,
  warmUp,
  withBench,
} from '../support/bench.js';
import { millrace, numberIn, type RunningMillrace } from '../support/millrace.js';
import { freshPath } from '../support/origin.js';
import { type Figure, lower } from '../support/rows.js';
import { type RunningSubject, withoutProxy } from '../support/subject.js';

interface Case {
  readonly name: string;
  readonly size: number;
  readonly alone: number;
  readonly together: number;
  readonly concurrency: number;
}

/** The largest object that every subject is asked for, and who is asked for larger ones. */
const largestOfAll = 100 * mib;
const goesFurther = /^(millrace|no proxy|nginx|haproxy)/;

function casesOf(quick: boolean): readonly Case[] {
  return [
    {
      name: '1 MiB',
      size: mib,
      alone: quick ? 20 : 100,
      together: quick ? 32 : 512,
      concurrency: 16,
    },
    {
      name: quick ? '10 MiB' : '100 MiB',
      size: (quick ? 10 : 100) * mib,
      alone: quick ? 1 : 3,
      together: quick ? 4 : 8,
      concurrency: 4,
    },
    // Only when its first byte comes: of the rest a hundredth part tells as much.
    ...(quick ? [] : [{ name: '1 GiB', size: 1024 * mib, alone: 1, together: 0, concurrency: 1 }]),
  ];
}

function dropsOf(subject: RunningSubject): Promise<number> {
  return 'stats' in subject
    ? (subject as RunningMillrace).stats().then(({ store }) => numberIn(store, 'writesDropped'))
    : Promise.resolve(0);
}

async function oneAtATime(bench: Bench, subject: RunningSubject, what: Case): Promise<void> {
  const paths = Array.from({ length: what.alone }, () => freshPath(what.size));
  const downloads = await bench.client.download({ port: subject.port, paths });
  const figures = [ttfbAt(downloads, 0.5, 'TTFB p50')];
  if (what.alone >= 100) figures.push(ttfbAt(downloads, 0.99, 'TTFB p99'));
  bench.rows.add(subject.name, `${what.name}, one at a time`, figures, subject.note);
}

async function manyAtATime(bench: Bench, subject: RunningSubject, what: Case): Promise<void> {
  const { client, context, rows } = bench;
  const paths = Array.from({ length: what.together }, () => freshPath(what.size));
  const dropsBefore = await dropsOf(subject);
  const { value: downloads, cpuMs } = await costOf(subject, context.signal, () =>
    client.download({ port: subject.port, paths, concurrency: what.concurrency }),
  );
  const figures: Figure[] = [throughput(downloads)];
  if (subject.pid !== 0) figures.push(cpuPerGb(cpuMs, downloads.bytes));
  if ('stats' in subject) {
    // A write that was dropped makes a run look faster than it is.
    figures.push(lower('records not written', 'count', (await dropsOf(subject)) - dropsBefore));
  }
  rows.add(subject.name, `${what.name}, ${what.concurrency} at a time`, figures, subject.note);
}

async function run(context: SuiteContext): Promise<void> {
  await withBench(context, async (bench) => {
    const few = [millrace({ zeroFill: !context.quick }), nginx];
    const rest = [
      undiciPipe,
      haproxy('stream'),
      httpProxyMiddleware,
      varnish('file'),
      trafficServer,
    ];
    const subjects = [
      withoutProxy(bench.origin.port),
      ...(await bench.startAll(context.quick ? few : [...few, ...rest], {
        diskBytes: (context.quick ? 1024 : 4096) * mib,
      })),
    ];
    await warmUp(bench, subjects);
    await eachTurn(context, subjects, async (subject) => {
      for (const what of casesOf(context.quick)) {
        if (what.size > largestOfAll && !goesFurther.test(subject.name)) continue;
        await attempt(context, subject, what.name, async () => {
          await oneAtATime(bench, subject, what);
          if (what.together > 0) await manyAtATime(bench, subject, what);
        });
      }
    });
  });
}

export const missSuite: Suite = {
  name: 'miss',
  title: 'Misses',
  about:
    'Distinct objects, each asked for once, stored by the caches among the subjects. TTFB one at a time, ' +
    'from the request written to the first body byte. Throughput at the client with 16 (1 MiB) or 4 ' +
    '(100 MiB) downloads at a time, and the CPU time of the proxy for each gigabyte, with what it still ' +
    'writes after the last client has gone. "no proxy" is the client at the origin itself.',
  run,
};
