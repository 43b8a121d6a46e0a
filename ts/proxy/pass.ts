// Step pass: the origin answers this exchange alone; nothing is stored. A successful unsafe method
// invalidates what is stored under its URL.

import { withoutTags } from '../http/tags.js';
import { upstreamBody } from './body.js';
import { type Exchange, isClientGone, type StepName } from './exchange.js';
import { invalidate, isUnsafe } from './invalidate.js';
import { askOrigin } from './origin-request.js';
import { bodyLengthOf } from './running-fill.js';

const statusesWithoutBody = new Set([204, 304]);

export async function pass(exchange: Exchange): Promise<StepName> {
  const { services, method } = exchange;
  services.counters.passes += 1;
  const response = await askOrigin(exchange, 'pass', []);
  if (isUnsafe(method) && response.status >= 200 && response.status < 400) {
    invalidate(exchange, response.fields);
  }
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
