// Origins that answered 429 with Retry-After, and until when they want to be left alone. Asked before a
// request that the store could do without is sent; routes choose it by cache.stale.on_429.

import type { Clock } from '../clock.js';
import type { RawFields } from '../http/fields.js';
import { retryAfterMs } from '../http/retry-after.js';

/** No origin is left alone for longer on the word of one answer. */
const holdMaxMs = 3_600_000;

export class BackOff {
  readonly #clock: Clock;
  readonly #until = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Of a 429 from this upstream. Without a Retry-After that can be read nothing is held back. */
  note(upstream: string, fields: RawFields): void {
    const waitMs = retryAfterMs(fields, this.#clock.now());
    if (waitMs === null || waitMs <= 0) return;
    this.#until.set(upstream, this.#clock.monotonic() + Math.min(waitMs, holdMaxMs));
  }

  /** Milliseconds for which nothing may be sent there; 0 where it may. */
  waitMs(upstream: string): number {
    const until = this.#until.get(upstream);
    if (until === undefined) return 0;
    const left = until - this.#clock.monotonic();
    if (left <= 0) this.#until.delete(upstream);
    return Math.max(0, left);
  }
}
