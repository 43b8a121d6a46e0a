// Builds and runs the native micro benchmarks (native/bench): one process per round, one JSON line per
// measurement. They are part of a checkout and not of the package, and cmake is needed to build them;
// where either is missing the suite is skipped with a line that says what to do.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { InternalError } from '../../ts/errors.js';
import { packageRoot } from '../../ts/native/binding.js';
import type { SuiteContext } from '../harness.js';
import { collectRounds, type Measured, type Rounds, type Sample } from './rows.js';

export type NativePart = 'device' | 'index' | 'hash' | 'policy' | 'recovery' | 'store';

/** Measures one part of the native benchmarks, and `beside` it, in every round and reports the rows. */
export async function measureNative(
  context: SuiteContext,
  part: NativePart,
  beside?: (rounds: Rounds) => Promise<void>,
): Promise<void> {
  const program = await buildNative(context);
  if (program === null) return;
  const rounds = collectRounds();
  const args = [part, '--directory', context.directory, ...(context.quick ? ['--quick'] : [])];
  for (let round = 1; round <= context.rounds; round += 1) {
    context.progress(`round ${round} of ${context.rounds}: native, ${part}`);
    const { status, output, errors } = await run(program, args, context.signal);
    if (status !== 0) {
      throw new InternalError('INTERNAL', `millrace-bench ${part} failed: ${lastLine(errors)}`);
    }
    takeLines(output, rounds);
    await beside?.(rounds);
  }
  rounds.report(context);
}

function takeLines(output: string, rounds: Rounds): void {
  const lines = output.split('\n').filter((line) => line !== '');
  for (const line of lines) rounds.add(readLine(line));
}

/** One line of the native program. Throws where the two sides do not fit each other. */
export function readLine(line: string): Measured {
  const row: unknown = JSON.parse(line);
  if (!isMeasured(row)) throw new InternalError('INTERNAL', `not a measurement: ${line}`);
  const { subject, metrics, note } = row;
  return {
    // All of it is ours, also where what tells two rows apart is the number of threads.
    subject: subject.startsWith('millrace') ? subject : `millrace, ${subject}`,
    case: row.case,
    samples: metrics,
    ...(note === undefined ? {} : { note }),
  };
}

interface NativeLine {
  readonly subject: string;
  readonly case: string;
  readonly metrics: readonly Sample[];
  readonly note?: string;
}

const units = ['ms', 'us', 'ns', 'MB/s', 'req/s', 'bytes', 'count', 's/GB', 'us/req', 'ratio'];

function isMeasured(value: unknown): value is NativeLine {
  if (typeof value !== 'object' || value === null) return false;
  const row = value as Record<string, unknown>;
  const hasNote = row.note === undefined || typeof row.note === 'string';
  const hasNames = typeof row.subject === 'string' && typeof row.case === 'string';
  return hasNote && hasNames && Array.isArray(row.metrics) && row.metrics.every(isSample);
}

function isSample(value: unknown): value is Sample {
  if (typeof value !== 'object' || value === null) return false;
  const sample = value as Record<string, unknown>;
  return (
    typeof sample.name === 'string' &&
    units.includes(String(sample.unit)) &&
    ['lower', 'higher', 'none'].includes(String(sample.better)) &&
    Number.isFinite(sample.value)
  );
}

/** Path of the program; null after a skip. */
async function buildNative(context: SuiteContext): Promise<string | null> {
  const root = packageRoot();
  const source = join(root, 'native');
  const build = join(root, 'build', 'native-bench');
  if (!existsSync(join(source, 'bench'))) {
    context.skip('native', 'native/bench is part of a checkout and not of the package');
    return null;
  }
  context.progress('building the native benchmarks');
  const configure = ['-S', source, '-B', build, '-DCMAKE_BUILD_TYPE=Release'];
  const compile = ['--build', build, '--target', 'millrace-bench', '--parallel', '2'];
  for (const args of [configure, compile]) {
    const { status, output, errors } = await run('cmake', args, context.signal);
    if (status === null) {
      context.skip('native', 'cmake is not installed: apt-get install cmake g++');
      return null;
    }
    if (status !== 0) {
      const said = lastLine(errors === '' ? output : errors);
      throw new InternalError('INTERNAL', `the native benchmarks could not be built: ${said}`);
    }
  }
  return join(build, 'millrace-bench');
}

interface Finished {
  /** Null: there is no such program. */
  readonly status: number | null;
  readonly output: string;
  readonly errors: string;
}

function run(program: string, args: readonly string[], signal: AbortSignal): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], signal });
    let output = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    child.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') resolve({ status: null, output, errors });
      else reject(error);
    });
    child.once('close', (code, killedBy) => {
      if (killedBy === null) resolve({ status: code ?? 1, output, errors });
      else resolve({ status: 1, output, errors: `${errors}\nended by ${killedBy}` });
    });
  });
}

function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1) ?? '';
}
