// What a suite has opened and must close again: processes, directories, sockets. Closed in the opposite
// order, also after a failure and after an abort. A scope that is left by process.exit kills its
// processes on the way out, so that a benchmark that dies leaves no server behind.

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { treeOf } from './usage.js';

export interface Scope {
  /** Aborted by the caller's signal, or when the scope closes. */
  readonly signal: AbortSignal;
  /** Whether each process is kept on its core (cores.ts). */
  readonly isPinned: boolean;
  /** `close` runs once: by hand through what is returned, or when the scope closes. */
  defer(close: () => Promise<void> | void): () => Promise<void>;
}

/** Runs `use` with a scope and closes everything, whatever happens. The first error is the one told. */
export async function withScope<T>(
  { signal, isPinned }: Pick<Scope, 'signal' | 'isPinned'>,
  use: (scope: Scope) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const closers = new Set<() => Promise<void>>();
  const scope: Scope = {
    signal,
    isPinned,
    defer: (close) => {
      const closeOnce = async (): Promise<void> => {
        if (closers.delete(closeOnce)) await close();
      };
      closers.add(closeOnce);
      return closeOnce;
    },
  };
  let result: T;
  try {
    result = await use(scope);
  } catch (error) {
    await closeAll(closers);
    // What broke because everybody was told to stop is not news.
    signal.throwIfAborted();
    throw error;
  }
  const failures = await closeAll(closers);
  if (failures.length > 0) throw new AggregateError(failures, 'not everything could be closed');
  return result;
}

async function closeAll(closers: ReadonlySet<() => Promise<void>>): Promise<unknown[]> {
  const failures: unknown[] = [];
  for (const close of [...closers].reverse()) {
    await close().catch((error: unknown) => failures.push(error));
  }
  return failures;
}

const living = new Set<ChildProcess>();
process.on('exit', killLiving);

/** Every process that was started and has not ended. */
export function killLiving(): void {
  for (const child of living) killTree(child);
}

/** With its children: a master that is killed leaves workers that go on serving. */
export function killTree(child: ChildProcess): void {
  if (hasEnded(child)) return;
  for (const pid of treeOf(child.pid ?? 0)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself in the meantime.
    }
  }
}

function hasEnded(child: ChildProcess): boolean {
  // Without a pid it has never begun.
  return child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
}

/** Has the process killed when this one ends, however it ends, short of a SIGKILL of its own. */
export function watch(child: ChildProcess): void {
  living.add(child);
  child.once('exit', () => living.delete(child));
  // A message to one that has just ended is an event of its own; that it has ended is heard elsewhere.
  child.on('error', () => living.delete(child));
}

/** Asks by `signal`, and kills what has not ended within the limit. */
export async function stopChild(
  child: ChildProcess,
  signal: NodeJS.Signals = 'SIGTERM',
  limitMs = 10_000,
): Promise<void> {
  if (hasEnded(child)) return;
  const ended = once(child, 'exit', { signal: AbortSignal.timeout(limitMs) });
  if (signal === 'SIGKILL') killTree(child);
  else child.kill(signal);
  try {
    await ended;
  } catch {
    const killed = once(child, 'exit');
    killTree(child);
    if (!hasEnded(child)) await killed;
  }
}
