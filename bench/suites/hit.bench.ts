// What a hit costs: from memory at four sizes, over ten thousand URLs with the frequencies of real
// traffic, and from the disk after a restart. The first design claimed 500 MB/s.

import { InternalError } from '../../ts/errors.js';
import type { Suite, SuiteContext } from '../harness.js';
import { diskRow } from '../rivals/fio.js';
import { haproxy } from '../rivals/haproxy.js';
import { nginx } from '../rivals/nginx.js';
import { plain, undiciCache } from '../rivals/node-subjects.js';
import { trafficServer } from '../rivals/trafficserver.js';
import { varnish } from '../rivals/varnish.js';
import {
  attempt,
  type Bench,
  costOf,
  cpuPerGb,
  eachTurn,
  mib,
  rateOf,
  storeAll,
  throughput,
  withBench,
} from '../support/bench.js';
import { millrace } from '../support/millrace.js';
import { freshPath } from '../support/origin.js';
import { coldNote, dropPageCache } from '../support/page-cache.js';
import { type Figure, higher, lower } from '../support/rows.js';
import { isRestartable, type RunningSubject } from '../support/subject.js';
import { missingWrk, runWrk, zipfScript } from '../support/wrk.js';

interface Case {
  readonly name: string;
  readonly size: number;
  readonly connections: number;
  readonly inQuick: boolean;
}

const cases: readonly Case[] = [
  { name: '1 KiB', size: 1024, connections: 32, inQuick: true },
  { name: '16 KiB', size: 16 * 1024, connections: 32, inQuick: false },
  { name: '1 MiB', size: mib, connections: 16, inQuick: false },
  { name: '100 MiB', size: 100 * mib, connections: 4, inQuick: false },
];
const urls = 10_000;
const claim = 'the first design claimed 500 MB/s';

/** Twice: some store an object only after the first answer has gone out. */
async function warm(
  bench: Bench,
  subject: RunningSubject,
  paths: readonly string[],
): Promise<void> {
  for (let time = 0; time < 2; time += 1) {
    await bench.client.download({ port: subject.port, paths, concurrency: 8 });
  }
}

/** Requests per second where the request is what costs, bytes per second where they are. */
async function load(
  bench: Bench,
  subject: RunningSubject,
  name: string,
  size: number,
  how: { path?: string; script?: string; connections: number },
): Promise<void> {
  const { context, scope, directory, rows } = bench;
  const seconds = context.quick ? 1 : 2;
  const before = await bench.origin.counts();
  const { value: report, cpuMs } = await costOf(subject, context.signal, () =>
    runWrk({ port: subject.port, seconds, ...how }, directory, scope),
  );
  const asked = (await bench.origin.counts()).requests - before.requests;
  // Every other one and more: it passes the body on, and keeps none of this size.
  if (asked * 2 > report.requests)
    throw new InternalError('INTERNAL', 'it does not keep the object');
  const figures: Figure[] =
    size < mib
      ? [
          higher('requests', 'req/s', report.requests / (report.elapsedMs / 1000)),
          lower('CPU', 'us/req', (cpuMs * 1000) / report.requests),
          lower('latency p99', 'us', report.latencyP99Us),
        ]
      : [higher('throughput', 'MB/s', rateOf(report)), cpuPerGb(cpuMs, report.bytes)];
  // A hit that asks the origin is none.
  figures.push(lower('origin requests', 'count', asked));
  rows.add(subject.name, name, figures, size < mib ? subject.note : claim);
}

async function hot(bench: Bench, subjects: readonly RunningSubject[]): Promise<void> {
  const { context } = bench;
  for (const { name, size, connections, inQuick } of cases) {
    if (context.quick && !inQuick) continue;
    const path = freshPath(size);
    const title = `hot, ${name}`;
    for (const subject of subjects) {
      await attempt(context, subject, title, () => warm(bench, subject, [path]));
    }
    await eachTurn(context, subjects, (subject) =>
      attempt(context, subject, title, () =>
        load(bench, subject, title, size, { path, connections }),
      ),
    );
  }
}

async function zipf(bench: Bench, subjects: readonly RunningSubject[]): Promise<void> {
  const { context } = bench;
  const prefix = `${freshPath(1024)}-`;
  const title = `hot, 1 KiB, Zipf over ${urls} URLs`;
  const paths = Array.from({ length: urls }, (_, index) => `${prefix}${index + 1}`);
  for (const subject of subjects) {
    await attempt(context, subject, title, () => warm(bench, subject, paths));
  }
  const script = zipfScript(prefix, urls);
  await eachTurn(context, subjects, (subject) =>
    attempt(context, subject, title, () =>
      load(bench, subject, title, 1024, { script, connections: 32 }),
    ),
  );
}

/** Objects of 1 MiB, stored, then read again by a process that is new and has them on the disk alone. */
async function cold(bench: Bench): Promise<void> {
  const { context, client, rows, origin } = bench;
  const count = context.quick ? 16 : 512;
  const title = 'from disk after a restart, 1 MiB';
  const candidates = context.quick ? [millrace()] : [millrace(), nginx, trafficServer];
  const started = await bench.startAll(candidates, {
    memoryBytes: 16 * mib,
    diskBytes: 1024 * mib,
  });
  const paths = Array.from({ length: count }, () => freshPath(mib));
  for (const subject of started) {
    await attempt(context, subject, title, () => storeAll(bench, subject, paths));
  }
  const current = new Map(started.map((subject) => [subject, subject]));
  const disk = { sizeBytes: 512 * mib, blockBytes: mib, depth: 8 };
  await eachTurn(context, started, (subject) =>
    attempt(context, current.get(subject) ?? subject, title, async () => {
      // In the same minutes as what is held against it: the disk is not the same in every minute.
      if (subject === started[0]) await diskRow(bench, title, disk);
      const last = current.get(subject) ?? subject;
      if (!isRestartable(last)) return;
      const again = await last.restart('stop');
      current.set(subject, again);
      const note = coldNote(dropPageCache());
      const before = (await origin.counts()).requests;
      const { value: downloads, cpuMs } = await costOf(again, context.signal, () =>
        client.download({ port: again.port, paths, concurrency: 8 }),
      );
      const asked = (await origin.counts()).requests - before;
      const figures = [
        throughput(downloads),
        cpuPerGb(cpuMs, downloads.bytes),
        lower('origin requests', 'count', asked),
      ];
      rows.add(again.name, title, figures, note);
    }),
  );
  for (const subject of current.values()) await subject.stop();
}

async function run(context: SuiteContext): Promise<void> {
  await withBench(context, async (bench) => {
    const why = missingWrk();
    if (why !== null) context.skip('hot hits', why);
    else {
      const few = [millrace(), nginx];
      const rest = [haproxy('cache'), varnish('memory'), trafficServer, plain, undiciCache];
      const subjects = await bench.startAll(context.quick ? few : [...few, ...rest], {
        memoryBytes: 256 * mib,
      });
      await hot(bench, subjects);
      if (!context.quick) await zipf(bench, subjects);
      for (const subject of subjects) await subject.stop();
    }
    await cold(bench);
  });
}

export const hitSuite: Suite = {
  name: 'hit',
  title: 'Cache hits',
  about:
    'Hot hits are asked for by wrk over kept connections (32 for small bodies, 16 for 1 MiB, 4 for ' +
    '100 MiB), so that the proxy and not the client is the limit; CPU time is that of all threads of ' +
    'the proxy. Zipf asks for ten thousand URLs, the n-th most popular one 1/n as often as the first. ' +
    'Cold hits are read by eight downloads at a time from a process that was started anew, with little ' +
    'memory for objects, and fio reads as much at that depth in the same rounds. The origin is not asked: ' +
    'how often it was is in the row, and who asked it most of the time has none.',
  run,
};
