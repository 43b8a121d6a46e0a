// The scene of the tests of performance: the origin, the client and the subjects of bench/, each a process
// of its own, over real sockets. Everything is stopped and removed when the test ends, however it ends.
// The tests assert counts and ratios of what one run measured, never a time alone.

import type { ExecutionContext } from 'ava';
import { type Stage, withStage } from '../../bench/support/stage.js';
import { temporaryFolder } from './command.js';

const limitMs = 100_000;

export async function onStage(
  t: ExecutionContext,
  play: (stage: Stage) => Promise<void>,
): Promise<void> {
  t.timeout(limitMs);
  const directory = temporaryFolder(t);
  const stop = new AbortController();
  // Of a test that ran out of time: its promise is still pending, its processes still run.
  t.teardown(() => stop.abort());
  // Other tests run beside: no process may be tied to a core that another one is using up.
  await withStage({ directory, signal: stop.signal, isPinned: false }, play);
}

/** The middle one; of an even number the upper of the two. */
export function medianOf(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
