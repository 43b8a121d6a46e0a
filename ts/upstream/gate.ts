// How many requests one origin has at a time, and who waits for a place. Both are bounded: whoever finds the
// queue full, or waits too long in it, is told so at once instead of piling up.

import type { Timers } from './timers.js';

interface Waiting {
  readonly enter: () => void;
  readonly cancel: () => void;
}

export type Entry = 'entered' | 'queue-full' | 'too-long';

export class Gate {
  readonly #limit: number;
  readonly #waitingMax: number;
  readonly #timers: Timers;
  /** In order of arrival. */
  readonly #waiting = new Set<Waiting>();
  #inside = 0;

  constructor(limit: number, waitingMax: number, timers: Timers) {
    this.#limit = limit;
    this.#waitingMax = waitingMax;
    this.#timers = timers;
  }

  get inside(): number {
    return this.#inside;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  get isFull(): boolean {
    return this.#inside >= this.#limit;
  }

  /** At once where there is a place. `leave` has to follow where it says `entered`. */
  enter(waitMs: number): Entry | Promise<Entry> {
    if (!this.isFull) {
      this.#inside += 1;
      return 'entered';
    }
    if (this.#waiting.size >= this.#waitingMax) return 'queue-full';
    return new Promise((resolve) => {
      const waiting: Waiting = {
        enter: () => {
          this.#waiting.delete(waiting);
          waiting.cancel();
          resolve('entered');
        },
        cancel: this.#timers.after(waitMs, () => {
          this.#waiting.delete(waiting);
          resolve('too-long');
        }),
      };
      this.#waiting.add(waiting);
    });
  }

  /** The place goes to the one who has waited longest. */
  leave(): void {
    const next = this.#waiting.values().next();
    if (next.done) this.#inside -= 1;
    else next.value.enter();
  }
}
