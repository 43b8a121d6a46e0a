// Programs that are not ours: whether they are installed, which version, a port for them, and starting
// one in the foreground with its output kept for the message when it fails. Ready is when it answers.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { setTimeout as sleepMs } from 'node:timers/promises';
import { systemClock } from '../../ts/clock.js';
import { InternalError } from '../../ts/errors.js';
import { pinWords } from './cores.js';
import { type Scope, stopChild, watch } from './scope.js';

export interface Program {
  readonly pid: number;
  /** From its start until it took a connection. */
  readonly readyMs: number;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export interface ProgramOptions {
  readonly name: string;
  readonly command: string;
  readonly arguments: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** File for what it prints. */
  readonly output: string;
  readonly port: number;
  readonly scope: Scope;
}

// Administrators' programs are often outside of a user's PATH.
const searchPath = `${process.env.PATH ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`;
const startLimitMs = 20_000;
const lookEveryMs = 2;

/** What the program says about its version, matched by `pattern`; null: it is not installed. */
export function versionOf(command: string, argument: string, pattern: RegExp): string | null {
  const env = { ...process.env, PATH: searchPath };
  const { stdout, stderr, error } = spawnSync(command, [argument], { encoding: 'utf8', env });
  if (error !== undefined) return null;
  return pattern.exec(`${stdout}\n${stderr}`)?.[1] ?? '';
}

/** A port that was free a moment ago; for programs that cannot take one by themselves. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ host: '127.0.0.1', port });
    const settle = (isThere: boolean) => () => {
      probe.destroy();
      resolve(isThere);
    };
    probe.on('connect', settle(true));
    probe.on('error', settle(false));
  });
}

/** Resolves when something listens on the port. */
export async function untilListening(
  port: number,
  signal: AbortSignal,
  hasEnded: () => boolean,
): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < startLimitMs; waitedMs += lookEveryMs) {
    signal.throwIfAborted();
    if (hasEnded()) return false;
    if (await answers(port)) return true;
    await sleepMs(lookEveryMs, undefined, { signal });
  }
  return false;
}

export async function startProgram(options: ProgramOptions): Promise<Program> {
  const { name, scope, port, output } = options;
  scope.signal.throwIfAborted();
  const words = [
    ...(scope.isPinned ? pinWords('subject') : []),
    options.command,
    ...options.arguments,
  ];
  const file = openSync(output, 'a');
  const child = spawn(words[0]!, words.slice(1), {
    stdio: ['ignore', file, file],
    env: { ...process.env, PATH: searchPath, ...options.environment },
  });
  const startedMs = systemClock.monotonic();
  closeSync(file);
  watch(child);
  const close = scope.defer(() => stopChild(child));
  const hasEnded = (): boolean =>
    child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
  if (!(await untilListening(port, scope.signal, hasEnded))) {
    await close();
    // On one line: of a message only the first one is shown beside the other rows.
    const said = readFileSync(output, 'utf8').trim().split('\n').slice(-3).join(' | ');
    throw new InternalError('INTERNAL', `${name} did not start: ${said}`);
  }
  return {
    pid: child.pid ?? 0,
    readyMs: systemClock.monotonic() - startedMs,
    stop: async (signal) => {
      if (signal !== undefined) await stopChild(child, signal);
      await close();
    },
  };
}
