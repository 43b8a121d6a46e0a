// Step options: OPTIONS that is meant for this server itself: for `*`, or with no hop left to go
// (Max-Forwards: 0, RFC 9110 section 7.6.2). The origin does not hear of it.

import type { Exchange, StepName } from './exchange.js';

const allowed = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';

export function options(exchange: Exchange): StepName {
  exchange.handling = { hit: false, detail: 'options' };
  const fields = ['Allow', allowed, 'Content-Length', '0', 'Cache-Control', 'no-store'];
  if (exchange.hasRequestBody) fields.push('Connection', 'close');
  exchange.response.writeHead(200, 'OK', fields);
  exchange.response.end();
  exchange.sentStatus = 200;
  return 'finish';
}
