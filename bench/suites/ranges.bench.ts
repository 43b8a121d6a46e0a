// Random ranges of 64 KiB of one large cached object: what a range costs when the object is in memory, and
// when it is on the disk alone, beside what the disk itself gives at that size.

import { InternalError } from '../../ts/errors.js';
import type { Suite, SuiteContext } from '../harness.js';
import { diskRow } from '../rivals/fio.js';
import { nginx, nginxSlice } from '../rivals/nginx.js';
import { trafficServer } from '../rivals/trafficserver.js';
import { varnish } from '../rivals/varnish.js';
import {
  attempt,
  type Bench,
  costOf,
  eachTurn,
  mib,
  storeAll,
  withBench,
} from '../support/bench.js';
import { millrace } from '../support/millrace.js';
import { freshPath } from '../support/origin.js';
import { coldNote, dropPageCache } from '../support/page-cache.js';
import { higher, lower } from '../support/rows.js';
import { isRestartable, type RunningSubject } from '../support/subject.js';
import { missingWrk, rangeScript, runWrk } from '../support/wrk.js';

const length = 64 * 1024;
const connections = 16;
const checked = 50;

interface ObjectOnTrial {
  readonly path: string;
  readonly size: number;
}

/** Stored whole, and some ranges of it compared byte by byte: a fast wrong range is no range. */
async function prepare(
  bench: Bench,
  subject: RunningSubject,
  object: ObjectOnTrial,
): Promise<void> {
  const { path, size } = object;
  const { port } = subject;
  await storeAll(bench, subject, [path]);
  const ranges = Array.from({ length: checked }, (_, index): readonly [number, number] => {
    const first = Math.floor((size - length) * (index / checked));
    return [first, first + length - 1];
  });
  await bench.client.download({ port, paths: ranges.map(() => path), ranges, concurrency: 4 });
}

async function load(
  bench: Bench,
  subject: RunningSubject,
  title: string,
  object: ObjectOnTrial,
  note: string | undefined,
): Promise<void> {
  const { context, directory, scope, rows, origin } = bench;
  const seconds = context.quick ? 1 : 2;
  const script = rangeScript(object.path, object.size, length);
  const before = (await origin.counts()).requests;
  const { value: report, cpuMs } = await costOf(subject, context.signal, () =>
    runWrk({ port: subject.port, script, connections, seconds }, directory, scope),
  );
  // More than a range and its head: the answers were whole bodies.
  if (report.bytes / report.requests > 2 * length) {
    throw new InternalError('INTERNAL', 'it does not answer with ranges');
  }
  const figures = [
    higher('requests', 'req/s', report.requests / (report.elapsedMs / 1000)),
    lower('CPU', 'us/req', (cpuMs * 1000) / report.requests),
    lower('latency p99', 'us', report.latencyP99Us),
    lower('origin requests', 'count', (await origin.counts()).requests - before),
  ];
  rows.add(subject.name, title, figures, note);
}

async function hot(bench: Bench, object: ObjectOnTrial, title: string): Promise<void> {
  const { context } = bench;
  const all = [millrace(), nginx, nginxSlice, varnish('memory'), trafficServer];
  const subjects = await bench.startAll(context.quick ? [millrace()] : all, {
    memoryBytes: Math.ceil((object.size / mib) * 1.25) * mib,
    diskBytes: 2 * object.size + 256 * mib,
  });
  for (const subject of subjects) {
    await attempt(context, subject, title, () => prepare(bench, subject, object));
  }
  await eachTurn(context, subjects, (subject) =>
    attempt(context, subject, title, () => load(bench, subject, title, object, subject.note)),
  );
  for (const subject of subjects) await subject.stop();
}

async function cold(bench: Bench, object: ObjectOnTrial, title: string): Promise<void> {
  const { context } = bench;
  const all = [millrace(), nginx, nginxSlice, trafficServer];
  const subjects = await bench.startAll(all, {
    memoryBytes: 16 * mib,
    diskBytes: 2 * object.size + 256 * mib,
  });
  for (const subject of subjects) {
    await attempt(context, subject, title, () => prepare(bench, subject, object));
  }
  const current = new Map(subjects.map((subject) => [subject, subject]));
  const disk = { sizeBytes: 1024 * mib, blockBytes: length, depth: connections };
  await eachTurn(context, subjects, (subject) =>
    attempt(context, current.get(subject) ?? subject, title, async () => {
      if (subject === subjects[0]) await diskRow(bench, title, disk);
      const last = current.get(subject) ?? subject;
      if (!isRestartable(last)) return;
      const again = await last.restart('stop');
      current.set(subject, again);
      await load(bench, again, title, object, coldNote(dropPageCache()));
    }),
  );
  for (const subject of current.values()) await subject.stop();
}

async function run(context: SuiteContext): Promise<void> {
  await withBench(context, async (bench) => {
    const why = missingWrk();
    if (why !== null) {
      context.skip('ranges', why);
      return;
    }
    const size = (context.quick ? 32 : 1024) * mib;
    const object = { path: freshPath(size), size };
    const what = `64 KiB of ${size / mib} MiB`;
    await hot(bench, object, `${what}, from memory`);
    if (context.quick) return;
    await cold(bench, object, `${what}, from disk`);
  });
}

export const rangesSuite: Suite = {
  name: 'ranges',
  title: 'Ranges of a large object',
  about:
    'wrk asks for 64 KiB at random places of one cached object, over 16 kept connections. From memory: ' +
    'the object fits into what the proxy may keep there, or into the page cache for those who rely on ' +
    'it. From disk: the process was started anew, with memory for 16 MiB, and the page cache was dropped; ' +
    'who reads through the page cache has more and more of it in memory while the run goes on. Before ' +
    'that, fifty ranges of each subject were compared byte by byte. fio reads as much at that depth in ' +
    'the same rounds.',
  run,
};
