// Step lookup: asks the store and judges what it found, against the clock and the request's own wishes.

import { ClientError } from '../errors.js';
import { freshnessOf, type Reuse } from '../http/freshness.js';
import type { Found, StoredObject } from '../store/contract.js';
import { background } from './background.js';
import { needsConfirmation } from './confirmation.js';
import type { Exchange, NextStep, StepName } from './exchange.js';
import { reusable } from './head.js';
import { isIncomplete, lackOf, lookupsMax, rangeRequest } from './part-request.js';
import { freshenInBackground } from './revalidate.js';
import { slicingOf } from './slicing.js';
import { answerFromStore } from './stored-answer.js';

/** A range that begins this far behind what exists is not worth waiting for a whole fill. */
export const rangeAheadBytes = 4 * 1024 * 1024;

export function lookup(exchange: Exchange): NextStep {
  exchange.lookups += 1;
  const found = exchange.services.store!.lookup(exchange.key, exchange.fields);
  if (found instanceof Promise) return found.then((later) => judgeFound(exchange, later));
  return judgeFound(exchange, found);
}

function judgeFound(exchange: Exchange, found: Found): NextStep {
  exchange.variants = found.kind === 'uri-miss' ? null : found.variants;
  exchange.part = null;
  if (found.kind !== 'object') {
    exchange.handling = { hit: false, forward: found.kind };
    return ask(exchange);
  }
  exchange.stored = found.object;
  if (!isIncomplete(found.object)) return judgeObject(exchange, found.object);
  return judgeIncomplete(exchange, found.object);
}

function judgeObject(exchange: Exchange, object: StoredObject): StepName {
  const now = exchange.services.clock.now();
  const reuse = reuseOf(exchange, object, now);
  if (needsConfirmation(exchange, object.head)) {
    const forward = reuse.freshness === 'fresh' ? 'request' : 'stale';
    exchange.handling = { hit: false, forward, detail: 'authorization' };
    return ask(exchange);
  }
  if (reuse.usable || mayServeWhileRevalidating(exchange, reuse, now)) {
    // What the client wants stored nowhere would freshen nothing.
    if (!reuse.usable && !exchange.directives.has('no-store')) {
      background(freshenInBackground(exchange), 'revalidate', exchange.key);
    }
    exchange.handling = {
      hit: true,
      ttlS: Math.floor(reuse.ttlMs / 1000),
      detail: object.tier,
    };
    exchange.answer = answerFromStore(exchange, object, object.head);
    return 'serve';
  }
  exchange.handling = {
    hit: false,
    forward: reuse.freshness === 'fresh' ? 'request' : 'stale',
  };
  return ask(exchange);
}

function reuseOf({ directives }: Exchange, object: StoredObject, now: number): Reuse {
  const head = reusable(object.head);
  // A soft purge makes stale from this moment on, whatever lifetime is left.
  const isStale = object.purgeState() === 'stale';
  const freshUntilMs = isStale ? Math.min(head.freshUntilMs, now) : head.freshUntilMs;
  return freshnessOf({ ...head, freshUntilMs }, directives, now);
}

/** Of an incomplete object what it has answers like any other; what it lacks is asked for. */
async function judgeIncomplete(exchange: Exchange, object: StoredObject): Promise<StepName> {
  if (exchange.method === 'HEAD') {
    exchange.handling = { hit: false, forward: 'partial' };
    return ask(exchange);
  }
  const lack = await lackOf(exchange, object);
  if (lack === null) return judgeObject(exchange, object);
  exchange.handling = { hit: false, forward: 'partial' };
  refuseIfOnlyCached(exchange);
  exchange.part = lack;
  return 'fill';
}

function refuseIfOnlyCached({ directives }: Exchange): void {
  if (directives.has('only-if-cached')) {
    throw new ClientError('CLIENT_ONLY_IF_CACHED', 'the store cannot answer this request');
  }
}

/** Nothing stored answers: the way to the origin. */
function ask(exchange: Exchange): StepName {
  refuseIfOnlyCached(exchange);
  // A HEAD fetches no body, so it fills nothing: it goes to the origin as it is.
  if (exchange.method === 'HEAD') return 'pass';
  if (exchange.stored !== null) return 'revalidate';
  if (exchange.request.headers.range === undefined) return 'fill';
  const { fills } = exchange.services;
  const habit = fills.habits.of(exchange.key);
  // Where nothing is stored anyway, the origin may as well send the range alone.
  if (fills.isUnshareable(exchange.key) || habit === 'exact') return passRange(exchange);
  // Where the whole comes anyway, one of them is enough for everybody.
  if (habit === 'whole' || isNearRange(exchange)) return 'fill';
  exchange.part = rangeRequest(exchange, slicingOf(exchange));
  return exchange.part === null || exchange.lookups > lookupsMax ? passRange(exchange) : 'fill';
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

/** True for what the running fill of the whole reaches soon. */
function isNearRange(exchange: Exchange): boolean {
  const range = exchange.request.headers.range ?? '';
  if (!/^bytes=\d{1,15}-\d*(\s*,\s*\d{1,15}-\d*)*$/i.test(range)) return false;
  const starts = range.slice(range.indexOf('=') + 1).split(',');
  const furthest = Math.max(...starts.map((text) => Number.parseInt(text, 10)));
  const produced = exchange.services.fills.producedOf(exchange.key);
  return produced !== null && furthest <= produced + rangeAheadBytes;
}

function passRange(exchange: Exchange): StepName {
  exchange.handling = { hit: false, forward: 'partial' };
  return 'pass';
}
