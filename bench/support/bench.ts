// What the socket suites have in common: a stage inside the context that the harness hands in, the choice
// of subjects that are wanted and installed, turns that alternate, and the cost of a step in CPU time.

import { InternalError } from '../../ts/errors.js';
import type { SuiteContext } from '../harness.js';
import type { Downloads } from './client.js';
import { freshPath } from './origin.js';
import { collectRows, type Figure, higher, lower, percentile, type Rows } from './rows.js';
import { type Bounds, type Stage, withStage } from './stage.js';
import type { RunningSubject, Subject } from './subject.js';
import { settled, usageOf } from './usage.js';

export interface Bench extends Stage {
  readonly context: SuiteContext;
  readonly rows: Rows;
  /** Of the given ones those that are wanted and installed; the others are skipped with their reason. */
  wanted(subjects: readonly Subject[]): Subject[];
  /** All of them at once, to be asked in turn; one that does not start is skipped. */
  startAll(subjects: readonly Subject[], bounds?: Bounds): Promise<RunningSubject[]>;
}

export const mib = 2 ** 20;
export const mb = 1e6;
export const gb = 1e9;

/** Runs a suite on a stage of its own and reports its rows, also those of a run that broke off. */
export function withBench(
  context: SuiteContext,
  run: (bench: Bench) => Promise<void>,
): Promise<void> {
  const { directory, signal } = context;
  return withStage({ directory, signal, isPinned: true }, async (stage) => {
    const rows = collectRows();
    const wanted = (subjects: readonly Subject[]): Subject[] =>
      subjects.filter((subject) => {
        if (subject.rival !== null && !context.wantsRival(subject.rival)) return false;
        const why = subject.missing();
        if (why !== null) context.skip(subject.name, why);
        return why === null;
      });
    const startAll = async (
      subjects: readonly Subject[],
      bounds: Bounds = {},
    ): Promise<RunningSubject[]> => {
      const running: RunningSubject[] = [];
      for (const subject of wanted(subjects)) {
        const started = await startOrSkip(context, stage, subject, bounds);
        if (started !== null) running.push(started);
      }
      return running;
    };
    try {
      await run({ ...stage, context, rows, wanted, startAll });
    } finally {
      rows.report(context);
    }
  });
}

/** Null: a rival that did not start, which is not the end of the others. */
export async function startOrSkip(
  context: SuiteContext,
  stage: Stage,
  subject: Subject,
  bounds: Bounds = {},
): Promise<RunningSubject | null> {
  try {
    return await stage.start(subject, bounds);
  } catch (error) {
    context.signal.throwIfAborted();
    if (subject.rival === null) throw error;
    context.skip(subject.name, (error as Error).message.split('\n')[0] ?? '');
    return null;
  }
}

/** Each round begins with another subject: none is always the first one after a pause. */
export function turnsOf<T>(subjects: readonly T[], round: number): T[] {
  const first = subjects.length === 0 ? 0 : round % subjects.length;
  return [...subjects.slice(first), ...subjects.slice(0, first)];
}

/** Rounds times subjects, alternating. */
export async function eachTurn<T>(
  context: SuiteContext,
  subjects: readonly T[],
  play: (subject: T, round: number) => Promise<void>,
): Promise<void> {
  for (let round = 0; round < context.rounds; round += 1) {
    for (const subject of turnsOf(subjects, round)) {
      context.signal.throwIfAborted();
      await play(subject, round);
    }
  }
}

const warmBytes = 64 * 1024;

const givenUp = new WeakMap<SuiteContext, Set<string>>();
const isOurs = ({ name }: { readonly name: string }): boolean => name.startsWith('millrace');

/** Many times what a case takes on a slow machine: who is not done by then hangs. */
const attemptLimitMs = 120_000;
const attemptLimitOfQuickMs = 20_000;

/**
 * One case of one subject. Where a rival cannot do what is asked of it, that is told once and the others
 * go on; where millrace cannot, the suite has failed. A subject that hangs is killed, which ends the case.
 */
export async function attempt(
  context: SuiteContext,
  subject: { readonly name: string; readonly stop?: RunningSubject['stop'] },
  name: string,
  act: () => Promise<void>,
): Promise<void> {
  const given = givenUp.get(context) ?? new Set();
  givenUp.set(context, given);
  const what = `${subject.name}, ${name}`;
  if (given.has(what)) return;
  context.progress(what);
  const limitMs = context.quick ? attemptLimitOfQuickMs : attemptLimitMs;
  let hasHung = false;
  const limit = setTimeout(() => {
    hasHung = true;
    // Its own failure to end is told where the suite closes what it has started.
    subject.stop?.('SIGKILL').catch(() => {});
  }, limitMs);
  try {
    await act();
  } catch (error) {
    context.signal.throwIfAborted();
    const why = (error as Error).message.split('\n')[0] ?? '';
    const told = hasHung ? `killed, for it was not done after ${limitMs / 1000} s` : why;
    if (isOurs(subject)) throw hasHung ? new InternalError('INTERNAL', `${what}: ${told}`) : error;
    given.add(what);
    context.skip(what, told);
  } finally {
    clearTimeout(limit);
  }
}

/** Compiled code, open connections, grown pools: what a proxy has after its first minute of service. */
export async function warmUp(
  { client, context }: Bench,
  subjects: readonly RunningSubject[],
): Promise<void> {
  for (const { port } of subjects) {
    const paths = Array.from({ length: context.quick ? 20 : 200 }, () => freshPath(warmBytes));
    await client.download({ port, paths, concurrency: 4 });
  }
}

/** What every disk of today takes, and every subject then has whole. */
const storingBytesPerSecond = 200 * mb;
const storingAttempts = 3;

/**
 * Has objects stored before a case that is about hits. At a rate, since a cache may give up writes that
 * come too fast; what was not kept is asked for again, and a subject that keeps nothing is told so.
 */
export async function storeAll(
  { client, origin, context }: Bench,
  { port, pid, name }: RunningSubject,
  paths: readonly string[],
): Promise<void> {
  let missing = paths;
  for (let attempts = 0; attempts < storingAttempts; attempts += 1) {
    await origin.set({ bytesPerSecond: storingBytesPerSecond });
    await client.download({ port, paths: missing, concurrency: 8 });
    await origin.set({ bytesPerSecond: null });
    await settled(pid, context.signal);
    const before = (await origin.counts()).requests;
    const kept: string[] = [];
    let asked = before;
    for (const path of missing) {
      await client.download({ port, paths: [path], ranges: [[0, 0]] });
      const { requests } = await origin.counts();
      if (requests === asked) kept.push(path);
      asked = requests;
    }
    if (kept.length === missing.length) return;
    missing = missing.filter((path) => !kept.includes(path));
  }
  const message = `${name} did not keep ${missing.length} of ${paths.length} objects`;
  throw new InternalError('INTERNAL', message);
}

export interface Cost<T> {
  readonly value: T;
  /** Of the subject, with what it does after its clients have gone. */
  readonly cpuMs: number;
}

export async function costOf<T>(
  subject: RunningSubject,
  signal: AbortSignal,
  act: () => Promise<T>,
): Promise<Cost<T>> {
  const before = usageOf(subject.pid).cpuMs;
  const value = await act();
  await settled(subject.pid, signal);
  return { value, cpuMs: usageOf(subject.pid).cpuMs - before };
}

export function rateOf({ bytes, elapsedMs }: { bytes: number; elapsedMs: number }): number {
  return bytes / mb / (elapsedMs / 1000);
}

export const throughput = (downloads: Downloads): Figure =>
  higher('throughput', 'MB/s', rateOf(downloads));

/** CPU seconds of the subject for each gigabyte that its clients got. */
export const cpuPerGb = (cpuMs: number, bytes: number): Figure =>
  lower('CPU', 's/GB', cpuMs / 1000 / (bytes / gb));

export function ttfbs({ results }: Downloads): number[] {
  return results.map(({ ttfbMs }) => ttfbMs);
}

export const ttfbAt = (downloads: Downloads, share: number, name: string): Figure =>
  lower(name, 'ms', percentile(ttfbs(downloads), share));
