// What may be asked a second time, of whom, and after how long. A request that is not idempotent is never
// repeated, nor one with a body, which is gone once it was sent. The budget is a share of all requests: in
// an outage, when every request fails, repetitions stay that share and do not multiply the load.

import type { UpstreamConfig } from '../config/schema.js';
import { UpstreamError } from '../errors.js';

type RetryConfig = UpstreamConfig['retry'];

const idempotent: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'PUT',
  'DELETE',
]);

export function isRepeatable(request: {
  readonly method: string;
  readonly body: unknown;
}): boolean {
  return request.body === null && idempotent.has(request.method);
}

/** Counted by these names in the statistics. */
export type RetryReason = 'connect' | 'reset' | 'timeout' | 'protocol' | 'status';

const reasons: Readonly<Record<string, RetryReason>> = {
  ERR_MILLRACE_UPSTREAM_REFUSED: 'connect',
  ERR_MILLRACE_UPSTREAM_DNS: 'connect',
  ERR_MILLRACE_UPSTREAM_RESET: 'reset',
  ERR_MILLRACE_UPSTREAM_TIMEOUT: 'timeout',
  ERR_MILLRACE_UPSTREAM_PROTOCOL: 'protocol',
  ERR_MILLRACE_UPSTREAM_CERTIFICATE: 'protocol',
  ERR_MILLRACE_UPSTREAM_TLS: 'protocol',
};

/** Why an attempt that ended so may be followed by another one; null: it may not. */
export function retryReasonOf(error: unknown): RetryReason | null {
  return error instanceof UpstreamError ? (reasons[error.code] ?? null) : null;
}

/** Repetitions that may be made in a row before the share of requests counts. */
const burst = 10;

export class RetryBudget {
  readonly #share: number;
  #left: number;

  constructor(percent: number) {
    this.#share = percent / 100;
    this.#left = percent === 0 ? 0 : burst;
  }

  /** For each request that is not a repetition. */
  deposit(): void {
    this.#left = Math.min(this.#left + this.#share, burst);
  }

  /** False: this repetition would be too much. */
  take(): boolean {
    // A hair below 1 for the sum of fractions that should be 1.
    if (this.#left < 1 - 1e-9) return false;
    this.#left -= 1;
    return true;
  }
}

/**
 * The wait before repetition `count`, from 1 on. The first one goes at once: to another origin, or over
 * another connection after an idle one had just died. Then it doubles, and a random half of it keeps
 * those apart who failed together.
 */
export function backOffMs(config: RetryConfig, count: number, random: () => number): number {
  if (count <= 1) return 0;
  const full = Math.min(config.backOffMs * 2 ** (count - 2), config.backOffMaxMs);
  return full / 2 + (full / 2) * random();
}
