// The built command line as a process, the way a person or a service manager meets it: arguments in,
// lines and an exit status out. Needs dist/, which `npm test` builds first.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ExecutionContext } from 'ava';
import { repositoryRoot } from './root.js';

export interface Ended {
  /** Null where a signal ended it. */
  readonly status: number | null;
  readonly stdout: string[];
  readonly stderr: string[];
}

export interface Running {
  readonly child: ChildProcess;
  /** The first line of its output that matches. Rejects when the process ends without. */
  printed(pattern: RegExp): Promise<string>;
  /** The first line of the log with this message, parsed. Rejects as well. */
  logged(message: string): Promise<Record<string, unknown>>;
  readonly ended: Promise<Ended>;
}

/** Of a test, or of a program that undoes what it did in the same way. */
export type Cleanup = Pick<ExecutionContext, 'teardown'>;

/** A folder that is gone after the test. */
export function temporaryFolder(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes a configuration into `folder` and gives its path. */
export function configFile(folder: string, text: string): string {
  const path = join(folder, 'millrace.yaml');
  writeFileSync(path, text);
  return path;
}

function linesOf(stream: NodeJS.ReadableStream | null, onLine: (line: string) => void): string[] {
  const lines: string[] = [];
  if (stream === null) throw new Error('the stream is not piped');
  createInterface({ input: stream }).on('line', (line) => {
    lines.push(line);
    onLine(line);
  });
  return lines;
}

/**
 * Killed at the end of the test, should it still run. Its standard input is no terminal. `env` is laid
 * over the environment of the tests; `through` is a command that becomes the one after it.
 */
export function startCommand(
  t: Cleanup,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  through: readonly string[] = [],
): Running {
  const main = join(repositoryRoot(), 'dist/cli/main.js');
  const [program, ...rest] = [...through, process.execPath, main, ...args];
  const child = spawn(program!, rest, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  const waiting = new Set<() => void>();
  const wake = (): void => {
    for (const look of waiting) look();
  };
  const stdout = linesOf(child.stdout, wake);
  const stderr = linesOf(child.stderr, () => {});
  let isOver = false;
  const ended = once(child, 'close').then(([status]): Ended => {
    isOver = true;
    wake();
    return { status: status as number | null, stdout, stderr };
  });
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const printed = (pattern: RegExp): Promise<string> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const found = stdout.find((line) => pattern.test(line));
        if (found === undefined && !isOver) return;
        waiting.delete(look);
        if (found !== undefined) resolve(found);
        else reject(new Error(`ended without ${pattern}:\n${[...stdout, ...stderr].join('\n')}`));
      };
      waiting.add(look);
      look();
    });
  const logged = async (message: string): Promise<Record<string, unknown>> =>
    JSON.parse(await printed(RegExp(`"msg":"${message}"`))) as Record<string, unknown>;
  return { child, printed, logged, ended };
}

export function runCommand(
  t: ExecutionContext,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Ended> {
  return startCommand(t, args, env).ended;
}
