// `npm run bench`: runs the suites and writes one result file, into bench/out or, with --commit-as, into
// bench/results, where the documents take their figures from. An interrupt ends the suite at work, lets it
// clean up, and writes nothing: half a run is no result.

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
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    // The second one finds no listener and ends the process at once.
    process.once(name, () => abort.abort(new Error(`stopped by ${name}`)));
  }
  // Mounts are named by their real path.
  const directory = await realpath(await mkdtemp(join(flags.directory, 'millrace-bench-')));
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
  const suites = await runSuites(chosen, {
    quick,
    rounds,
    rivals,
    directory,
    signal,
    watcher: watchOn(process.stdout),
    clock: systemClock,
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
  const path = pathFor(flags, paths, date);
  writeResult(path, result);
  process.stdout.write(`${summaryOf(suites).join('\n')}\nresult: ${path}\n`);
  return suites.some(({ failure }) => failure !== null) ? exitFound : 0;
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

function summaryOf(suites: readonly SuiteReport[]): string[] {
  const lines: string[] = [];
  const skips = suites.flatMap((suite) => suite.skips);
  for (const why of new Set(skips.map(({ subject, why: text }) => `${subject}: ${text}`))) {
    lines.push(`skipped: ${why}`);
  }
  for (const { name, failure } of suites) {
    if (failure !== null) lines.push(`FAILED: ${name}: ${failure}`);
  }
  const seconds = suites.reduce((sum, { durationS }) => sum + durationS, 0);
  const rows = suites.reduce((sum, suite) => sum + suite.rows.length, 0);
  lines.push(`${suites.length} suites, ${rows} rows, ${Math.round(seconds)} s`);
  return lines;
}

void runCommand(bench);
