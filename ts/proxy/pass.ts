// Step pass: the origin answers this exchange alone; nothing is stored. A successful unsafe method
// invalidates what is stored under its URL.

import { UpstreamError } from '../errors.js';
import { hasCondition } from '../http/conditional.js';
import { withoutTags } from '../http/tags.js';
import type { UpstreamResponse } from '../upstream/request.js';
import { upstreamBody } from './body.js';
import { bodyLengthOf } from './body-length.js';
import { type Exchange, isClientGone, type StepName } from './exchange.js';
import { invalidate, isUnsafe } from './invalidate.js';
import { askOrigin } from './origin-request.js';
import { freshenByHead } from './validation.js';

const statusesWithoutBody = new Set([204, 304]);

/** A HEAD for what is stored of a GET brings that up to date. */
async function ask(exchange: Exchange): Promise<UpstreamResponse> {
  const { services, method, stored, key } = exchange;
  if (method !== 'HEAD' || stored === null) return askOrigin(exchange, 'pass', []);
  // Before the origin is asked: a purge from now on wins over what it answers.
  const fill = services.store!.beginFill(key);
  try {
    const response = await askOrigin(exchange, 'pass', []);
    if (response.status === 200) freshenByHead(exchange, stored, response, fill);
    return response;
  } finally {
    fill.close();
  }
}

export async function pass(exchange: Exchange): Promise<StepName> {
  const { services, method } = exchange;
  services.counters.passes += 1;
  const response = await ask(exchange);
  if (response.status === 304 && !hasCondition(exchange.fields)) {
    response.body.abort();
    throw new UpstreamError(
      'UPSTREAM_PROTOCOL',
      `${exchange.key}: the origin answered 304 to a request without a condition`,
    );
  }
  if (isUnsafe(method) && response.status >= 200 && response.status < 400) {
    invalidate(exchange, response.fields);
  }
  // A client that never got its 100 may send the body or not: nobody can tell what comes next.
  if (exchange.isExpecting && !exchange.request.complete) exchange.response.shouldKeepAlive = false;
  if (isClientGone(exchange)) {
    response.body.abort();
    return 'serve';
  }
  const hasBody = method !== 'HEAD' && !statusesWithoutBody.has(response.status);
  exchange.answer = {
    status: response.status,
    reason: response.reason,
    fields: services.config.purge.exposeTags ? response.fields : withoutTags(response.fields),
    bodyLength: bodyLengthOf(response),
    body: hasBody ? upstreamBody(response.body) : null,
    head: null,
  };
  // Without a body the end of the message still has to be read, or the connection is lost.
  if (!hasBody) response.body.read({ onData: () => true, onEnd() {}, onError() {} });
  return 'serve';
}
