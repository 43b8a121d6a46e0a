// `npm run bench`: runs the suites and writes one result file, into bench/out or, with --commit-as, into
// bench/results, where the documents take their figures from. An interrupt ends the suite at work, lets it
// clean up, and writes nothing: half a run is no result. A second one ends at once, and even then no
// process and no file is left behind.

import { rmSync } from 'node:fs';
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../ts/clock.js';
import { exitFound, exitInterrupted, runCommand } from './command.js';
import { type BenchFlags, parseFlags } from './flags.js';
import { runSuites, type SuiteReport } from './harness.js';
import { describeCommit, describeMachine, describeVersions } from './machine.js';
import { watchOn } from './output.js';
import { type BenchPaths, benchPaths, checkoutRoot } from './paths.js';
import { type Result, writeResult } from './results.js';
import { allSuites } from './suites.js';
import { killLiving } from './support/scope.js';

async function bench(args: readonly string[]): Promise<number> {
  const flags = parseFlags(
    args,
    allSuites.map(({ name }) => name),
  );
  if (flags === null) return 0;
  if (flags.list) {
    for (const { name, title } of allSuites) process.stdout.write(`${name}: ${title}\n`);
    return 0;
  }
  const abort = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      // By exit() and not by the signal: what is closed on the way out is closed then too.
      if (abort.signal.aborted) process.exit(exitInterrupted);
      abort.abort(new Error(`stopped by ${name}`));
    });
  }
  // Mounts are named by their real path.
  const directory = await realpath(await mkdtemp(join(flags.directory, 'millrace-bench-')));
  // Processes that hold files in it have been killed by then: their listener is the older one.
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
  try {
    return await measure(flags, directory, abort.signal);
  } catch (error) {
    if (!abort.signal.aborted) throw error;
    process.stderr.write('interrupted: no result was written\n');
    return exitInterrupted;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function measure(flags: BenchFlags, directory: string, signal: AbortSignal): Promise<number> {
  const paths = benchPaths(checkoutRoot(import.meta.dirname));
  const date = new Date(systemClock.now()).toISOString();
  // Before the suites: afterwards the load would be our own.
  const machine = await describeMachine(directory);
  const chosen = allSuites.filter(
    ({ name }) => flags.suites.length === 0 || flags.suites.includes(name),
  );
  const { quick, rounds, rivals } = flags;
  const startedMs = systemClock.monotonic();
  const suites = await runSuites(chosen, {
    quick,
    rounds,
    rivals,
    directory,
    signal,
    watcher: watchOn(process.stdout),
    clock: systemClock,
    suiteLimitMs: suiteLimitMs(flags),
    graceMs: 30_000,
    endStuck: killLiving,
  });
  const result: Result = {
    format: 1,
    date,
    commit: await describeCommit(paths.root),
    flags: {
      quick,
      rounds,
      suites: chosen.map(({ name }) => name),
      rivals,
    },
    machine,
    versions: await describeVersions(paths.root),
    suites,
  };
  const elapsedS = (systemClock.monotonic() - startedMs) / 1000;
  const path = pathFor(flags, paths, date);
  writeResult(path, result);
  process.stdout.write(`${summaryOf(suites, elapsedS).join('\n')}\nresult: ${path}\n`);
  return suites.some(({ failure }) => failure !== null) ? exitFound : 0;
}

/** Several times what the longest suite takes, and a build of its own: for what hangs, not for the slow. */
function suiteLimitMs({ quick, rounds }: BenchFlags): number {
  return quick ? 180_000 : 300_000 + rounds * 150_000;
}

function pathFor({ out, commitAs }: BenchFlags, paths: BenchPaths, date: string): string {
  if (out !== null) return out;
  if (commitAs !== null) return join(paths.results, `${commitAs}.json`);
  const stamp = date
    .replace(/\.\d+Z$/, '')
    .replaceAll(':', '')
    .replace('T', '-');
  return join(paths.out, `${stamp}.json`);
}

function summaryOf(suites: readonly SuiteReport[], elapsedS: number): string[] {
  const lines: string[] = [];
  const skips = suites.flatMap((suite) => suite.skips);
  for (const why of new Set(skips.map(({ subject, why: text }) => `${subject}: ${text}`))) {
    lines.push(`skipped: ${why}`);
  }
  for (const { name, failure } of suites) {
    if (failure !== null) lines.push(`FAILED: ${name}: ${failure}`);
  }
  const times = suites.map(({ name, durationS }) => `${name} ${durationS.toFixed(1)}`);
  lines.push(`seconds by suite: ${times.join(', ')}`);
  const rows = suites.reduce((sum, suite) => sum + suite.rows.length, 0);
  lines.push(`${suites.length} suites, ${rows} rows, ${elapsedS.toFixed(1)} s in all`);
  return lines;
}

void runCommand(bench);
