// Step lookup: asks the store and judges what it found, against the clock and the request's own wishes.

import { ClientError } from '../errors.js';
import { freshnessOf, type Reuse } from '../http/freshness.js';
import type { Found } from '../store/contract.js';
import { background } from './background.js';
import type { Exchange, NextStep, StepName } from './exchange.js';
import { reusable } from './head.js';
import { freshenInBackground } from './revalidate.js';
import { answerFromStore } from './stored-answer.js';

/** A range that begins this far behind what exists is not worth waiting for a whole fill. */
export const rangeAheadBytes = 4 * 1024 * 1024;

export function lookup(exchange: Exchange): NextStep {
  const found = exchange.services.store!.lookup(exchange.key, exchange.fields);
  if (found instanceof Promise) return found.then((later) => judgeFound(exchange, later));
  return judgeFound(exchange, found);
}

function judgeFound(exchange: Exchange, found: Found): StepName {
  const { services, directives } = exchange;
  exchange.variants = found.kind === 'uri-miss' ? null : found.variants;
  if (found.kind === 'object') {
    exchange.stored = found.object;
    const now = services.clock.now();
    const head = reusable(found.object.head);
    // A soft purge makes stale from this moment on, whatever lifetime is left.
    const isStale = found.object.purgeState() === 'stale';
    const freshUntilMs = isStale ? Math.min(head.freshUntilMs, now) : head.freshUntilMs;
    const reuse = freshnessOf({ ...head, freshUntilMs }, directives, now);
    if (reuse.usable || mayServeWhileRevalidating(exchange, reuse, now)) {
      // What the client wants stored nowhere would freshen nothing.
      if (!reuse.usable && !directives.has('no-store')) {
        background(freshenInBackground(exchange), 'revalidate', exchange.key);
      }
      exchange.handling = {
        hit: true,
        ttlS: Math.floor(reuse.ttlMs / 1000),
        detail: found.object.tier,
      };
      exchange.answer = answerFromStore(exchange, found.object, found.object.head);
      return 'serve';
    }
    exchange.handling = {
      hit: false,
      forward: reuse.freshness === 'fresh' ? 'request' : 'stale',
    };
  } else {
    exchange.handling = { hit: false, forward: found.kind };
  }
  if (directives.has('only-if-cached')) {
    throw new ClientError('CLIENT_ONLY_IF_CACHED', 'the store cannot answer this request');
  }
  // A HEAD fetches no body, so it fills nothing: it goes to the origin as it is.
  if (exchange.method === 'HEAD') return 'pass';
  if (exchange.stored !== null) return 'revalidate';
  return isFarRange(exchange) ? passRange(exchange) : 'fill';
}

function mayServeWhileRevalidating(exchange: Exchange, reuse: Reuse, now: number): boolean {
  const { directives } = exchange;
  const { head } = exchange.stored!;
  return (
    reuse.freshness === 'stale' &&
    now < head.staleWhileRevalidateUntilMs &&
    !reusable(head).noCache &&
    !['no-cache', 'max-age', 'min-fresh', 'only-if-cached'].some((name) => directives.has(name))
  );
}

/** True for a range that the running or coming fill would reach only after a long while. */
function isFarRange(exchange: Exchange): boolean {
  const range = exchange.request.headers.range;
  if (range === undefined) return false;
  // Where nothing is stored anyway, the origin may as well send the range alone.
  if (exchange.services.fills.isUnshareable(exchange.key)) return true;
  if (!/^bytes=\d{1,15}-\d*(\s*,\s*\d{1,15}-\d*)*$/i.test(range)) return true;
  const starts = range.slice(range.indexOf('=') + 1).split(',');
  const furthest = Math.max(...starts.map((text) => Number.parseInt(text, 10)));
  const produced = exchange.services.fills.producedOf(exchange.key);
  return furthest > produced + rangeAheadBytes;
}

function passRange(exchange: Exchange): StepName {
  exchange.handling = { hit: false, forward: 'partial' };
  return 'pass';
}
