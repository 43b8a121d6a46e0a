// Step route: the first route that matches, the canonical key under its rules, and whether the store is
// asked at all.

import { ClientError } from '../errors.js';
import { noDirectives } from '../http/cache-control.js';
import type { CacheHandling } from '../http/cache-status.js';
import { hasOriginPrecondition } from '../http/conditional.js';
import type { Exchange, StepName } from './exchange.js';

export function route(exchange: Exchange): StepName {
  const { routes, store } = exchange.services;
  const { method, host, target } = exchange;
  const number = routes.table.match(method, host, target);
  const rule = routes.rules[number];
  if (rule === undefined) {
    throw new ClientError('CLIENT_NO_ROUTE', `no route matches ${method} ${host}${target}`);
  }
  exchange.rule = rule;
  if (rule.cache.ignoreRequestDirectives) exchange.directives = noDirectives;
  try {
    exchange.key = routes.table.key(number, exchange.scheme, host, target);
  } catch (error) {
    throw new ClientError('CLIENT_BAD_REQUEST', (error as Error).message, { cause: error });
  }
  const reason = passReason(exchange, store === null || rule.cache.pass);
  if (reason === null) return 'lookup';
  exchange.handling = reason;
  return 'pass';
}

function passReason(exchange: Exchange, isOff: boolean): CacheHandling | null {
  const { method } = exchange;
  if (isOff) return { hit: false, forward: 'bypass' };
  if (method !== 'GET' && method !== 'HEAD') return { hit: false, forward: 'method' };
  // A body could change the answer and is no part of the key: nothing of it may be stored.
  if (exchange.hasRequestBody) return { hit: false, forward: 'bypass', detail: 'request-body' };
  if (hasOriginPrecondition(exchange.fields)) {
    return { hit: false, forward: 'bypass', detail: 'precondition' };
  }
  return null;
}
