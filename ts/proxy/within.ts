// A bound on waiting for somebody else's fill: what comes within it, or null.

import type { Timers } from '../upstream/timers.js';

/** Null once `ms` have passed, after `onLate` was called. `value` never rejects. */
export function within<Value>(
  timers: Timers,
  value: Promise<Value>,
  ms: number,
  onLate: () => void,
): Promise<Value | null> {
  return new Promise((resolve) => {
    const cancel = timers.after(ms, () => {
      onLate();
      resolve(null);
    });
    void value.then((inTime) => {
      cancel();
      resolve(inTime);
    });
  });
}
