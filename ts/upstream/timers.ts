// Waits on origins: between two attempts, between two health checks, for another client's fill. Handed in
// like the clock, so that tests decide when a wait is over.

export interface Timers {
  /** Calls back once, in `ms` at the earliest; what it returns takes that back. */
  after(ms: number, callback: () => void): () => void;
}

export const systemTimers: Timers = {
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};
