// What a benchmark suite is, and how suites are run: one after the other, each in a directory of its
// own that is removed afterwards. A suite measures and reports rows of raw values, one value per
// round; medians, spread and every text about them are made elsewhere (statistics, format). A suite
// that fails, or takes longer than it may, is recorded as failed and the next one runs; only an abort
// ends the whole run.

import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../ts/clock.js';
import { InternalError } from '../ts/errors.js';

export type Unit =
  | 'ms'
  | 'us'
  | 'ns'
  | 'MB/s'
  | 'req/s'
  | 'bytes'
  | 'count'
  | 's/GB'
  | 'us/req'
  | 'ratio';

export interface Metric {
  readonly name: string;
  readonly unit: Unit;
  /** 'none': told, and not judged. */
  readonly better: 'lower' | 'higher' | 'none';
  /** One per round. */
  readonly values: readonly number[];
}

export interface Row {
  /** Who was measured: 'millrace', 'nginx 1.22', 'simple proxy', 'undici pipe'. */
  readonly subject: string;
  readonly case: string;
  readonly metrics: readonly Metric[];
  readonly note?: string;
}

export interface Skip {
  readonly subject: string;
  /** A sentence; for a rival that is missing it says how to install it. */
  readonly why: string;
}

export interface SuiteContext {
  /** Few and small cases, so that all suites together take less than a minute. */
  readonly quick: boolean;
  readonly rounds: number;
  /** Empty, on the disk that is measured, removed when the suite is over. */
  readonly directory: string;
  readonly signal: AbortSignal;
  wantsRival(name: string): boolean;
  report(row: Row): void;
  skip(subject: string, why: string): void;
  /** What is being done now, for somebody who watches. */
  progress(text: string): void;
}

export interface Suite {
  readonly name: string;
  readonly title: string;
  /** A few sentences: what is measured, where, and what the figures leave out. */
  readonly about: string;
  run(context: SuiteContext): Promise<void>;
}

export interface SuiteReport {
  readonly name: string;
  readonly title: string;
  readonly about: string;
  readonly durationS: number;
  readonly rows: readonly Row[];
  readonly skips: readonly Skip[];
  /** Why the suite broke off; its rows up to then are kept. */
  readonly failure: string | null;
}

export type RivalChoice = 'all' | 'none' | readonly string[];

/** Who watches a run; output.ts writes it to a terminal or a log. */
export interface Watcher {
  suiteStarts(suite: Suite, place: number, total: number): void;
  progress(text: string): void;
  row(row: Row): void;
  skip(skip: Skip): void;
  suiteEnds(report: SuiteReport): void;
}

export interface RunOptions {
  readonly quick: boolean;
  readonly rounds: number;
  readonly rivals: RivalChoice;
  /** Each suite gets a directory in it. */
  readonly directory: string;
  readonly signal: AbortSignal;
  readonly watcher: Watcher;
  readonly clock: Clock;
  /** A suite that takes longer is told to stop, and its rows up to then are kept. */
  readonly suiteLimitMs: number;
  /** What it has then to close its processes and files. */
  readonly graceMs: number;
  /** One that does not stop even so is left behind, after this has ended what it started. */
  readonly endStuck: () => void;
}

/** Rejects with the signal's reason when it is aborted; never because a suite fails. */
export async function runSuites(
  suites: readonly Suite[],
  options: RunOptions,
): Promise<SuiteReport[]> {
  const reports: SuiteReport[] = [];
  for (const [index, suite] of suites.entries()) {
    options.signal.throwIfAborted();
    options.watcher.suiteStarts(suite, index + 1, suites.length);
    const report = await runSuite(suite, options);
    options.signal.throwIfAborted();
    options.watcher.suiteEnds(report);
    reports.push(report);
  }
  return reports;
}

async function runSuite(suite: Suite, options: RunOptions): Promise<SuiteReport> {
  const { clock, watcher } = options;
  const limit = new AbortController();
  const signal = AbortSignal.any([options.signal, limit.signal]);
  const directory = join(options.directory, suite.name);
  const rows: Row[] = [];
  const skips: Skip[] = [];
  let failure: string | null = null;
  const startMs = clock.monotonic();
  try {
    await mkdir(directory, { recursive: true });
    const context: SuiteContext = {
      quick: options.quick,
      rounds: options.rounds,
      directory,
      signal,
      wantsRival: (name) => wantsRival(options.rivals, name),
      report: (row) => {
        const problem = rowProblem(row, rows);
        if (problem !== null)
          throw new InternalError('INTERNAL', `suite ${suite.name}: ${problem}`);
        rows.push(row);
        watcher.row(row);
      },
      skip: (subject, why) => {
        skips.push({ subject, why });
        watcher.skip({ subject, why });
      },
      progress: (text) => watcher.progress(text),
    };
    await withinLimit(suite.run(context), limit, options);
    if (rows.length === 0 && skips.length === 0)
      failure = 'it neither reported nor skipped anything';
  } catch (error) {
    failure = messageOf(error, directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  const { name, title, about } = suite;
  const durationS = (clock.monotonic() - startMs) / 1000;
  return { name, title, about, durationS, rows, skips, failure };
}

/**
 * Settles as the suite does, and at the latest some time after its limit: a run of all suites ends, whatever
 * hangs in one of them.
 */
async function withinLimit(
  running: Promise<void>,
  limit: AbortController,
  { suiteLimitMs, graceMs, endStuck }: RunOptions,
): Promise<void> {
  const tooLong = new InternalError(
    'INTERNAL',
    `not done after ${Math.round(suiteLimitMs / 1000)} s, its limit`,
  );
  let timer = setTimeout(() => limit.abort(tooLong), suiteLimitMs);
  const stuck = new Promise<never>((_, reject) => {
    limit.signal.addEventListener('abort', () => {
      timer = setTimeout(() => {
        endStuck();
        reject(tooLong);
      }, graceMs);
    });
  });
  try {
    await Promise.race([running, stuck]);
  } catch (error) {
    throw limit.signal.aborted ? tooLong : error;
  } finally {
    clearTimeout(timer);
  }
}

/** One line, and without the directory: a result file says nothing about where it was made. */
function messageOf(error: unknown, directory: string): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return (text.split('\n')[0] ?? '').replaceAll(directory, 'DIRECTORY');
}

/** 'nginx' asks for 'nginx', 'nginx slice' and 'nginx-slice' alike. */
export function wantsRival(choice: RivalChoice, name: string): boolean {
  if (choice === 'all') return true;
  if (choice === 'none') return false;
  const wanted = name.toLowerCase();
  return choice.some((given) => {
    const text = given.toLowerCase();
    return wanted === text || wanted.startsWith(`${text} `) || wanted.startsWith(`${text}-`);
  });
}

/** What a suite may not report: figures that would poison a median or two rows of one name. */
function rowProblem(row: Row, before: readonly Row[]): string | null {
  const place = `${row.subject}, ${row.case}`;
  if (before.some((known) => known.subject === row.subject && known.case === row.case)) {
    return `${place}: reported twice`;
  }
  if (row.metrics.length === 0) return `${place}: no metric`;
  if (new Set(row.metrics.map(({ name }) => name)).size !== row.metrics.length) {
    return `${place}: two metrics of one name`;
  }
  for (const { name, values } of row.metrics) {
    if (values.length === 0) return `${place}, ${name}: no value`;
    if (!values.every((value) => Number.isFinite(value))) {
      return `${place}, ${name}: a value that is no finite number`;
    }
  }
  return null;
}
