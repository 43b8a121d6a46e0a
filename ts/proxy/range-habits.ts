// What lately came of asking for parts, by key: origins that answer with the whole anyway, and those whose
// parts cannot be stored. So that nobody asks again and again for what does not help.

import type { Clock } from '../clock.js';

/**
 * whole: a request with Range gets everything. exact: what comes as a part is not stored, so that the client
 * gets the one that it asked for and nothing around it.
 */
export type RangeHabit = 'whole' | 'exact';

/** An origin may learn it, and a deployment may change it: asked again after this time. */
const habitMs = 600_000;
const keysMax = 10_000;

export class RangeHabits {
  readonly #clock: Clock;
  readonly #noted = new Map<string, { readonly habit: RangeHabit; readonly untilMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  note(key: string, habit: RangeHabit): void {
    this.#noted.delete(key);
    if (this.#noted.size >= keysMax) {
      const oldest = this.#noted.keys().next();
      if (!oldest.done) this.#noted.delete(oldest.value);
    }
    this.#noted.set(key, { habit, untilMs: this.#clock.monotonic() + habitMs });
  }

  /** A part came that could be stored. */
  forget(key: string): void {
    this.#noted.delete(key);
  }

  of(key: string): RangeHabit | null {
    const noted = this.#noted.get(key);
    if (noted === undefined) return null;
    if (noted.untilMs > this.#clock.monotonic()) return noted.habit;
    this.#noted.delete(key);
    return null;
  }
}
