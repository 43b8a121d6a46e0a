// A rate that all transfers of a process share, as the one wire of a slow origin would be. What waits
// here does not read its file and does not write to its socket: back-pressure, not a bigger buffer.

import { setTimeout as sleepMs } from 'node:timers/promises';
import type { Clock } from '../../clock.js';

export interface Throttle {
  /** Resolves when `bytes` more may be sent. */
  take(bytes: number): Promise<void>;
}

// Timers wake a millisecond or two late. Shorter waits are let go, and that much lateness is made up
// for, so that the mean rate is the one asked for.
const slackMs = 5;

export function makeThrottle(
  bytesPerSecond: number,
  clock: Clock,
  sleep: (durationMs: number) => Promise<unknown> = sleepMs,
): Throttle {
  let freeAt = Number.NEGATIVE_INFINITY;
  return {
    take: async (bytes) => {
      const now = clock.monotonic();
      freeAt = Math.max(freeAt, now - slackMs) + (bytes / bytesPerSecond) * 1000;
      if (freeAt - now > slackMs) await sleep(freeAt - now);
    },
  };
}
