// Whether one origin is asked. Two judges, and both must agree: the requests themselves (several failures in
// a row, and it is out for a while that doubles; then one request tries it) and, where a path is
// configured, checks of our own. Each change is published once, with its reason and what follows.

import type { Clock } from '../clock.js';
import type { UpstreamConfig } from '../config/schema.js';

export type HealthConfig = UpstreamConfig['health'];

export interface HealthChange {
  readonly state: 'out' | 'in';
  readonly reason: string;
  readonly follows: string;
}

export class OriginHealth {
  readonly #config: HealthConfig;
  readonly #clock: Clock;
  readonly #onChange: (change: HealthChange) => void;
  #failures = 0;
  /** How often it went out without having been well since. */
  #rounds = 0;
  /** Null: requests have nothing against it. */
  #outUntilMs: number | null = null;
  #isTried = false;
  #checksFailed = 0;
  #checksPassed = 0;
  #isDown = false;

  constructor(config: HealthConfig, clock: Clock, onChange: (change: HealthChange) => void) {
    this.#config = config;
    this.#clock = clock;
    this.#onChange = onChange;
  }

  get isWell(): boolean {
    return this.#outUntilMs === null && !this.#isDown;
  }

  /** May get a request now; after its time out that is one at a time. */
  get isUsable(): boolean {
    if (this.#isDown) return false;
    return this.#outUntilMs === null || (this.waitMs === 0 && !this.#isTried);
  }

  /** Until it is tried again. */
  get waitMs(): number {
    if (this.#outUntilMs === null) return 0;
    return Math.max(0, this.#outUntilMs - this.#clock.monotonic());
  }

  /** Of several that are all out the one with the least is tried. */
  get badness(): number {
    return this.waitMs + (this.#isDown ? 1e12 : 0);
  }

  /** A request goes there. True: it is the one that tries it; `settle` has to follow. */
  begin(): boolean {
    if (this.#outUntilMs === null || this.waitMs > 0 || this.#isTried) return false;
    this.#isTried = true;
    return true;
  }

  /** What `begin` said, when the request is over. */
  settle(isTrial: boolean): void {
    if (isTrial) this.#isTried = false;
  }

  succeeded(): void {
    this.#failures = 0;
    if (this.#outUntilMs === null) return;
    this.#outUntilMs = null;
    this.#rounds = 0;
    this.#tell('in', 'it answered a request', 'it gets its share again');
  }

  /** `isTrial`: what `begin` said. */
  failed(reason: string, isTrial: boolean): void {
    const { maxFailures } = this.#config;
    if (maxFailures === 0) return;
    this.#failures += 1;
    // Others that were on their way when it went out say nothing new.
    if (this.#outUntilMs === null ? this.#failures < maxFailures : !isTrial) return;
    const isFirst = this.#outUntilMs === null;
    const outMs = this.#nextBackOffMs();
    this.#outUntilMs = this.#clock.monotonic() + outMs;
    if (!isFirst) return;
    this.#tell(
      'out',
      `${this.#failures} failures in a row, the last: ${reason}`,
      `no request for ${outMs} ms, then one tries it; each time in vain doubles that`,
    );
  }

  #nextBackOffMs(): number {
    const { backOffMs, backOffMaxMs } = this.#config;
    const outMs = Math.min(backOffMs * 2 ** Math.min(this.#rounds, 30), backOffMaxMs);
    this.#rounds += 1;
    return outMs;
  }

  /** The result of a check of our own; null: it passed. */
  checked(problem: string | null): void {
    this.#checksFailed = problem === null ? 0 : this.#checksFailed + 1;
    this.#checksPassed = problem === null ? this.#checksPassed + 1 : 0;
    const { unhealthyAfter, healthyAfter } = this.#config;
    if (!this.#isDown && this.#checksFailed >= unhealthyAfter) {
      this.#isDown = true;
      const reason = `${this.#checksFailed} health checks failed, the last: ${problem}`;
      this.#tell('out', reason, `no request until ${healthyAfter} checks in a row pass`);
    } else if (this.#isDown && this.#checksPassed >= healthyAfter) {
      this.#isDown = false;
      this.#outUntilMs = null;
      this.#failures = 0;
      this.#rounds = 0;
      const reason = `${this.#checksPassed} health checks in a row passed`;
      this.#tell('in', reason, 'it gets its share again');
    }
  }

  #tell(state: HealthChange['state'], reason: string, follows: string): void {
    this.#onChange({ state, reason, follows });
  }
}
