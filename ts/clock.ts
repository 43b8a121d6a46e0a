// The only place that reads the machine's clocks. Everything else is handed a Clock, so tests can step it.

export interface Clock {
  /** Unix time in milliseconds, whole or fractional. */
  now(): number;
  /** Milliseconds from an arbitrary start; never steps back. */
  monotonic(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
};
