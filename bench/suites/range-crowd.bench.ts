// Many clients ask for parts of one large object that nobody has: how much of it the origin has to send, and
// when the clients have their parts. A cache that wants the whole object makes them wait for it.

import { setTimeout as sleepMs } from 'node:timers/promises';
import type { Suite, SuiteContext } from '../harness.js';
import { haproxy } from '../rivals/haproxy.js';
import { nginx, nginxSlice } from '../rivals/nginx.js';
import { trafficServer } from '../rivals/trafficserver.js';
import { varnish } from '../rivals/varnish.js';
import {
  attempt,
  type Bench,
  costOf,
  eachTurn,
  mib,
  ttfbAt,
  warmUp,
  withBench,
} from '../support/bench.js';
import { millrace } from '../support/millrace.js';
import { freshPath } from '../support/origin.js';
import { lower, told } from '../support/rows.js';
import type { RunningSubject } from '../support/subject.js';

const clients = 100;
const length = 64 * 1024;
/** For what goes on after the clients have left: nobody waits for the rest of a gigabyte for longer. */
const restLimitMs = 10_000;
const lookEveryMs = 200;

/** One range in each of a hundred even parts of the object, at a place that no two parts share. */
function rangesOf(size: number): (readonly [number, number])[] {
  const part = Math.floor(size / clients / mib) * mib;
  return Array.from({ length: clients }, (_, index): readonly [number, number] => {
    // 7 has no factor in common with the 16 places of a MiB.
    const first = index * part + ((index * 7) % (mib / length)) * length;
    return [first, first + length - 1];
  });
}

/** What the origin has sent when it sends no more. */
async function bytesAtRest({ origin, context }: Bench): Promise<number> {
  let { bytes } = await origin.counts();
  for (let waitedMs = 0; waitedMs < restLimitMs; waitedMs += lookEveryMs) {
    await sleepMs(lookEveryMs, undefined, { signal: context.signal });
    const last = bytes;
    bytes = (await origin.counts()).bytes;
    if (bytes === last) break;
  }
  return bytes;
}

async function measure(
  bench: Bench,
  subject: RunningSubject,
  name: string,
  size: number,
): Promise<void> {
  const { client, origin, context, rows } = bench;
  const path = freshPath(size);
  const ranges = rangesOf(size);
  const before = await origin.counts();
  const { value: downloads, cpuMs } = await costOf(subject, context.signal, () =>
    client.download({
      port: subject.port,
      paths: ranges.map(() => path),
      ranges,
      concurrency: clients,
    }),
  );
  const bytes = await bytesAtRest(bench);
  const figures = [
    lower('from the origin', 'bytes', bytes - before.bytes),
    ttfbAt(downloads, 0.5, 'TTFB p50'),
    lower('total', 'ms', downloads.elapsedMs),
    lower('CPU', 'ms', cpuMs),
    told('origin requests', 'count', (await origin.counts()).requests - before.requests),
  ];
  rows.add(subject.name, name, figures, subject.note);
}

async function run(context: SuiteContext): Promise<void> {
  await withBench(context, async (bench) => {
    const size = (context.quick ? 128 : 1024) * mib;
    const object = context.quick ? '128 MiB' : '1 GiB';
    const name = `${clients} clients, ${clients} ranges of 64 KiB of one cold object of ${object}`;
    const few = [millrace(), nginxSlice];
    const rest = [nginx, varnish('file'), trafficServer, haproxy('stream')];
    // Room for the whole object of every round, for those who take it.
    const bounds = { diskBytes: (context.rounds + 1) * size + 256 * mib };
    const subjects = await bench.startAll(
      context.quick ? few.slice(0, 1) : [...few, ...rest],
      bounds,
    );
    await warmUp(bench, subjects);
    await eachTurn(context, subjects, (subject) =>
      attempt(context, subject, name, () => measure(bench, subject, name, size)),
    );
  });
}

export const rangeCrowdSuite: Suite = {
  name: 'range-crowd',
  title: 'Parts of a cold object for many clients',
  about:
    'A hundred clients ask at the same moment for 64 KiB each, spread over one cold object; every byte is ' +
    'compared. From the origin is what it has sent when it sends no more, also after the clients have ' +
    'left: the ranges themselves are 6.6 MB, whole chunks of 1 MiB around them 105 MB. Total is the time ' +
    'until the last client had its part. Who passes ranges on and keeps nothing of them takes the least ' +
    'from the origin here, and as much again the next time.',
  run,
};
