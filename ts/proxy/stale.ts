// When a stored response may stand in for an origin that failed: what the route adds to the rules of
// ts/http/freshness.ts, asked by the steps fill and fail alike.

import { mayServeStale } from '../http/freshness.js';
import { needsConfirmation } from './confirmation.js';
import type { Exchange } from './exchange.js';
import { reusable } from './head.js';

const errorStatuses: ReadonlySet<number> = new Set([500, 502, 503, 504]);

/** An answer in whose place stale-if-error wants the stored response. */
export function isOriginError(exchange: Exchange, status: number): boolean {
  return errorStatuses.has(status) || (status === 429 && exchange.rule!.cache.stale.on429);
}

/** disconnected: the origin said nothing. error: it said one of the above. */
export function mayStandIn(exchange: Exchange, why: 'disconnected' | 'error'): boolean {
  const { stored, part, directives, services, rule } = exchange;
  // What lacks a part of the answer cannot stand in for it.
  if (stored === null || part !== null) return false;
  if (needsConfirmation(exchange, stored.head)) return false;
  const { maxMs } = rule!.cache.stale;
  return mayServeStale(reusable(stored.head), directives, services.clock.now(), why, maxMs);
}

/** Not to be used without its origin: must-revalidate and its like, and what the origin has to confirm. */
export function isBoundToOrigin(exchange: Exchange): boolean {
  if (exchange.stored === null) return false;
  if (needsConfirmation(exchange, exchange.stored.head)) return true;
  const { mustRevalidate, noCache } = reusable(exchange.stored.head);
  return mustRevalidate || noCache;
}
