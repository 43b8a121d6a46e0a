// Whose turn it is. libuv accepts one connection per turn of the event loop, so the turns that go to the
// bodies of others are what a new client waits for: a hundred who come at once would wait for a hundred of
// them. What sends or receives bodies asks here for its next turn, and gets it when those who are new
// have had theirs, or have had as much time as the last turn for bodies took.

import { type Clock, systemClock } from './clock.js';

/** Newcomers get at least this long, where the bodies' own turns are shorter: ten accepts or so. */
const holdMsMin = 2;

export class Turns {
  readonly #clock: Clock;
  #waiting: (() => void)[] = [];
  #isScheduled = false;
  #hasNewcomer = false;
  /** When the waiting were first passed over for newcomers; null: they were not. */
  #heldSinceMs: number | null = null;
  /** When the waiting had their last turn, until it is known how long it took. */
  #startedMs: number | null = null;
  #tookMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A connection was accepted: there may be another behind it, and what it asks for is not read yet. */
  noteNewcomer(): void {
    this.#hasNewcomer = true;
    this.#schedule();
  }

  /** Somebody came in this turn of the loop: a body that has more to give should wait for its next. */
  get hasNewcomer(): boolean {
    return this.#hasNewcomer;
  }

  /** Calls back in a later turn of the loop, in the order of the calls. */
  next(callback: () => void): void {
    this.#waiting.push(callback);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.#turn());
  }

  #turn(): void {
    this.#isScheduled = false;
    const nowMs = this.#clock.monotonic();
    if (this.#startedMs !== null) this.#tookMs = nowMs - this.#startedMs;
    this.#startedMs = null;
    if (this.#mustHold(nowMs)) {
      this.#hasNewcomer = false;
      this.#schedule();
      return;
    }
    this.#hasNewcomer = false;
    this.#heldSinceMs = null;
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#startedMs = nowMs;
    // Comes by once more when their promises and what they had read are through.
    this.#schedule();
    for (const callback of waiting) callback();
  }

  #mustHold(nowMs: number): boolean {
    if (!this.#hasNewcomer || this.#waiting.length === 0) return false;
    this.#heldSinceMs ??= nowMs;
    return nowMs - this.#heldSinceMs < Math.max(holdMsMin, this.#tookMs);
  }
}

/** Of this environment's event loop. */
export const turns = new Turns(systemClock);
