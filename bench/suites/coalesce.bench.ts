// Many clients ask for one cold object at the same moment: how often the origin has to send it, and when
// the clients get their first and their last byte.

import type { Suite, SuiteContext } from '../harness.js';
import { nginx } from '../rivals/nginx.js';
import { undiciPipe } from '../rivals/node-subjects.js';
import { trafficServer } from '../rivals/trafficserver.js';
import { varnish } from '../rivals/varnish.js';
import {
  attempt,
  type Bench,
  costOf,
  cpuPerGb,
  eachTurn,
  mib,
  ttfbAt,
  warmUp,
  withBench,
} from '../support/bench.js';
import { millrace } from '../support/millrace.js';
import { freshPath } from '../support/origin.js';
import { lower } from '../support/rows.js';
import type { RunningSubject } from '../support/subject.js';

const clients = 100;

async function measure(
  bench: Bench,
  subject: RunningSubject,
  name: string,
  size: number,
): Promise<void> {
  const { client, origin, context, rows } = bench;
  const path = freshPath(size);
  const paths = Array.from({ length: clients }, () => path);
  const before = await origin.counts();
  const { value: downloads, cpuMs } = await costOf(subject, context.signal, () =>
    client.download({ port: subject.port, paths, concurrency: clients }),
  );
  const after = await origin.counts();
  const figures = [
    lower('origin bodies', 'count', after.bodies - before.bodies),
    ttfbAt(downloads, 0.5, 'TTFB p50'),
    ttfbAt(downloads, 0.99, 'TTFB p99'),
    lower('total', 'ms', downloads.elapsedMs),
    cpuPerGb(cpuMs, downloads.bytes),
  ];
  rows.add(subject.name, name, figures, subject.note);
}

async function run(context: SuiteContext): Promise<void> {
  await withBench(context, async (bench) => {
    const size = (context.quick ? 4 : 100) * mib;
    const name = `${clients} clients, one cold object of ${size / mib} MiB`;
    const few = [millrace({ zeroFill: !context.quick }), nginx];
    const rest = [varnish('file'), trafficServer, undiciPipe];
    const subjects = await bench.startAll(context.quick ? few.slice(0, 1) : [...few, ...rest]);
    await warmUp(bench, subjects);
    await eachTurn(context, subjects, (subject) =>
      attempt(context, subject, name, () => measure(bench, subject, name, size)),
    );
  });
}

export const coalesceSuite: Suite = {
  name: 'coalesce',
  title: 'One download for many clients',
  about:
    'A hundred clients, each on a connection of its own, ask for one cold object at the same moment and ' +
    'read it as fast as they can. Origin bodies is how often the origin sent it. Total is the time until ' +
    'the last client had its last byte. Proxies that download first are left out: a hundred whole bodies ' +
    'in memory say nothing that their memory row does not.',
  run,
};
