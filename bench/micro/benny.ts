// Small pieces of JavaScript measured by benny: every case is a benny suite of its own, run once per
// round, all cases in turn, so that a slow minute of the machine hits all alike. benny's summary becomes
// one sample per round: the median time of a call. Where latency matters, a histogram of single calls
// stands beside it.

import { createHistogram } from 'node:perf_hooks';
import { add, configure, suite } from 'benny';
import { InternalError } from '../../ts/errors.js';
import type { SuiteContext } from '../harness.js';
import { collectRounds, type Sample } from './rows.js';

export interface MicroCase {
  readonly name: string;
  /** 'millrace' where it is left out. */
  readonly subject?: string;
  readonly note?: string;
  /** Unit of the time per call. */
  readonly unit: 'ns' | 'us';
  /** One call. What it returns is kept from being optimised away. */
  readonly run: () => unknown;
}

/** A call that ends later; its percentiles are told too. */
export interface AsyncCase {
  readonly name: string;
  readonly subject?: string;
  readonly note?: string;
  readonly unit: 'ns' | 'us';
  readonly runAsync: () => Promise<void>;
}

/** benny's own defaults take five seconds a case; these are for some forty cases and several rounds. */
const whole = { minTime: 0.04, maxTime: 0.25, minSamples: 5, initCount: 1, delay: 0 };
const quick = { minTime: 0.005, maxTime: 0.03, minSamples: 3, initCount: 1, delay: 0 };

const singleCalls = 20_000;
const singleCallsQuick = 1_000;

/** benny spends microseconds around each call that ends later: it is given this many at once. */
const asyncBatch = 64;

/** Until the compiler has seen enough calls: benny itself measures from the first one. */
const warmUpNs = 100_000_000n;
const warmUpQuickNs = 15_000_000n;

/** What the last call gave, kept where V8 must assume that somebody looks: nothing is optimised away. */
const sink: { value: unknown } = { value: undefined };

export async function measureCases(
  context: SuiteContext,
  cases: readonly (MicroCase | AsyncCase)[],
): Promise<void> {
  const rounds = collectRounds();
  for (let round = 1; round <= context.rounds; round += 1) {
    for (const one of cases) {
      context.signal.throwIfAborted();
      context.progress(`round ${round} of ${context.rounds}: ${one.name}`);
      rounds.add({
        subject: one.subject ?? 'millrace',
        case: one.name,
        samples: await samplesOf(one, context.quick),
        ...(one.note === undefined ? {} : { note: one.note }),
      });
    }
  }
  rounds.report(context);
}

async function samplesOf(one: MicroCase | AsyncCase, isQuick: boolean): Promise<Sample[]> {
  const scale = one.unit === 'ns' ? 1e9 : 1e6;
  await warmUp(one, isQuick ? warmUpQuickNs : warmUpNs);
  const medianS = await runBenny(one, isQuick);
  const time: Sample = { name: 'time', unit: one.unit, better: 'lower', value: medianS * scale };
  if (!('runAsync' in one)) return [time];
  const { p50, p99 } = await percentiles(one, isQuick ? singleCallsQuick : singleCalls);
  const inUnit = (nanoseconds: number) => (nanoseconds / 1e9) * scale;
  return [
    time,
    { name: 'p50', unit: one.unit, better: 'lower', value: inUnit(p50) },
    { name: 'p99', unit: one.unit, better: 'lower', value: inUnit(p99) },
  ];
}

async function warmUp(one: MicroCase | AsyncCase, durationNs: bigint): Promise<void> {
  const end = process.hrtime.bigint() + durationNs;
  do {
    if ('runAsync' in one) await one.runAsync();
    else sink.value = one.run();
  } while (process.hrtime.bigint() < end);
}

/** Seconds per call. */
async function runBenny(one: MicroCase | AsyncCase, isQuick: boolean): Promise<number> {
  let failure: unknown;
  // benny waits for ever for a call that rejects, and takes a function that is returned for a test.
  const test =
    'runAsync' in one
      ? () => runMany(one).catch((error: unknown) => noteFailure(error))
      : () => {
          sink.value = one.run();
        };
  const noteFailure = (error: unknown) => {
    failure ??= error;
  };
  const summary = await silently(() =>
    suite(one.name, configure({ cases: isQuick ? quick : whole }), add(one.name, test)),
  );
  if (failure !== undefined) throw failure;
  const result = summary.results[0];
  if (result === undefined || !result.completed || !(result.details.median > 0)) {
    throw new InternalError('INTERNAL', `benny measured nothing for "${one.name}"`);
  }
  return result.details.median / ('runAsync' in one ? asyncBatch : 1);
}

async function runMany(one: AsyncCase): Promise<void> {
  for (let call = 0; call < asyncBatch; call += 1) await one.runAsync();
}

/** benny announces each suite on the console, which belongs to the harness. */
async function silently<T>(run: () => Promise<T>): Promise<T> {
  const { log } = console;
  console.log = () => {};
  try {
    return await run();
  } finally {
    console.log = log;
  }
}

async function percentiles(
  one: AsyncCase,
  calls: number,
): Promise<{ readonly p50: number; readonly p99: number }> {
  const histogram = createHistogram();
  for (let call = 0; call < calls; call += 1) {
    const before = process.hrtime.bigint();
    await one.runAsync();
    const elapsed = process.hrtime.bigint() - before;
    // A histogram counts from 1; two readings of the clock may be alike.
    histogram.record(elapsed > 0n ? elapsed : 1n);
  }
  return { p50: histogram.percentile(50), p99: histogram.percentile(99) };
}
