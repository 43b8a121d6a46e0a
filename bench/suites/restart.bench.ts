// kill -9 and back: how long until the proxy answers again, and how much of what it had stored it still
// knows, told by how often the origin is asked.

import { setTimeout as sleepMs } from 'node:timers/promises';
import type { Suite, SuiteContext } from '../harness.js';
import { nginx } from '../rivals/nginx.js';
import { trafficServer } from '../rivals/trafficserver.js';
import { attempt, type Bench, eachTurn, mib, withBench } from '../support/bench.js';
import { millrace } from '../support/millrace.js';
import { freshPath } from '../support/origin.js';
import { higher, lower } from '../support/rows.js';
import { isRestartable, type RunningSubject } from '../support/subject.js';
import { settled } from '../support/usage.js';

const size = 16 * 1024;
const concurrency = 16;
/** Some write their directory every second or so, and nobody's power fails in the busiest moment. */
const restMs = 2000;
const restOfQuickMs = 300;

/** The instance that goes on. */
async function measure(
  bench: Bench,
  subject: RunningSubject,
  name: string,
  count: number,
): Promise<RunningSubject> {
  if (!isRestartable(subject)) return subject;
  const { client, origin, context, rows } = bench;
  const paths = Array.from({ length: count }, () => freshPath(size));
  await client.download({ port: subject.port, paths, concurrency });
  await settled(subject.pid, context.signal);
  await sleepMs(context.quick ? restOfQuickMs : restMs, undefined, { signal: context.signal });
  const again = await subject.restart('kill');
  const before = (await origin.counts()).requests;
  await client.download({ port: again.port, paths, concurrency });
  const lost = (await origin.counts()).requests - before;
  const figures = [
    lower('ready', 'ms', again.readyMs ?? 0),
    higher('kept', 'ratio', 1 - lost / count),
  ];
  rows.add(again.name, name, figures, subject.note);
  return again;
}

async function run(context: SuiteContext): Promise<void> {
  await withBench(context, async (bench) => {
    const count = context.quick ? 200 : 2000;
    const name = `kill -9, ${count} objects of 16 KiB`;
    const all = [millrace(), nginx, trafficServer];
    const subjects = await bench.startAll(context.quick ? [millrace()] : all, {
      diskBytes: 1024 * mib,
    });
    const current = new Map(subjects.map((subject) => [subject, subject]));
    await eachTurn(context, subjects, (subject) =>
      attempt(context, current.get(subject) ?? subject, name, async () => {
        current.set(subject, await measure(bench, current.get(subject) ?? subject, name, count));
      }),
    );
    if (!context.quick && context.wantsRival('varnish')) {
      context.skip('varnish', 'neither of its storages survives a restart');
    }
  });
}

export const restartSuite: Suite = {
  name: 'restart',
  title: 'After kill -9',
  about:
    'Objects of 16 KiB are stored, the proxy comes to rest for two seconds, is killed with SIGKILL ' +
    'and started again over the same disk. Ready is the time from the start of the process until it ' +
    'takes a connection; kept is the share of the objects that it then serves without asking the ' +
    'origin. Each round stores objects of its own, so the cache grows with the rounds.',
  run,
};
