// What is sent to the origin on behalf of an exchange: end-to-end fields only, our own Via and
// X-Forwarded-*, and, for a fill, nothing that asks for less than the whole or that could make the origin
// answer for another resource than the key names.

import { InternalError, UpstreamError } from '../errors.js';
import type { RawFields } from '../http/fields.js';
import { withoutHopByHop } from '../http/hop-by-hop.js';
import { appendVia } from '../http/via.js';
import type { HeadReader, UpstreamResponse } from '../upstream/request.js';
import type { Upstream } from '../upstream/upstream.js';
import type { Exchange } from './exchange.js';
import { clientScheme } from './route.js';

/** Set by us or by nobody: what a client claims here is not in the key. */
const overwritten = /^(host|expect|forwarded|x-forwarded-.*|x-real-ip)$/;
/** Ask for less than the whole, or are judged by us against what is stored. */
const conditional = new Set([
  'if-none-match',
  'if-modified-since',
  'if-range',
  'range',
  'if-match',
  'if-unmodified-since',
]);
/** Fields by which some frameworks let a client replace method or URL: never on the way into the store. */
const rewriting =
  /^(x-http-method(-override)?|x-method-override|x-original-(url|host|uri)|x-rewrite-url|x-host)$/;

export type RequestPurpose = 'pass' | 'fill';

function upstreamOf(exchange: Exchange): Upstream {
  const upstream = exchange.services.upstreams.get(exchange.rule!.upstream);
  if (upstream === undefined) {
    throw new InternalError('INTERNAL', `no upstream is called ${exchange.rule!.upstream}`);
  }
  return upstream;
}

/** Host is the upstream's to add: it is that of the origin it chooses. */
export function originFields(
  exchange: Exchange,
  purpose: RequestPurpose,
  extra: RawFields,
): string[] {
  const { request, services } = exchange;
  const received = withoutHopByHop(exchange.fields);
  const fields: string[] = [];
  for (let at = 0; at + 1 < received.length; at += 2) {
    const name = received[at]!.toLowerCase();
    if (overwritten.test(name)) continue;
    if (purpose === 'fill' && (conditional.has(name) || rewriting.test(name))) continue;
    // A length without a body would have the origin wait for one.
    if (name === 'content-length' && !exchange.hasRequestBody) continue;
    fields.push(received[at]!, received[at + 1]!);
  }
  const client = exchange.socket.remoteAddress;
  if (client !== undefined) fields.push('X-Forwarded-For', client);
  fields.push('X-Forwarded-Proto', clientScheme, 'X-Forwarded-Host', exchange.host, ...extra);
  return appendVia(fields, request.httpVersion, services.pseudonym);
}

/** Sends the exchange's request. Rejects with an UpstreamError when no head comes. */
export async function askOrigin(
  exchange: Exchange,
  purpose: RequestPurpose,
  extra: RawFields,
  onHead: HeadReader = () => {},
): Promise<UpstreamResponse> {
  const { services } = exchange;
  refuseWhileHeld(exchange);
  services.counters.originRequests += 1;
  const { upstream, cache } = exchange.rule!;
  const read: HeadReader = (response) => {
    if (response.status === 429 && cache.stale.on429) {
      services.backOff.note(upstream, response.fields);
    }
    onHead(response);
  };
  try {
    return await upstreamOf(exchange).send(
      {
        method: exchange.method,
        target: exchange.target,
        fields: originFields(exchange, purpose, extra),
        body: exchange.hasRequestBody ? exchange.request : null,
        key: exchange.key,
      },
      read,
    );
  } catch (error) {
    services.counters.originErrors += 1;
    throw error;
  }
}

/** Of what the store could answer, nothing is sent to an origin that asked to be left alone. */
function refuseWhileHeld(exchange: Exchange): void {
  const { rule, method, services } = exchange;
  if (!rule!.cache.stale.on429 || (method !== 'GET' && method !== 'HEAD')) return;
  const waitMs = services.backOff.waitMs(rule!.upstream);
  if (waitMs <= 0) return;
  const waitS = Math.ceil(waitMs / 1000);
  throw new UpstreamError(
    'UPSTREAM_BACK_OFF',
    `${rule!.upstream} answered 429 and wants no request for another ${waitS} s`,
    { retryAfterS: waitS },
  );
}
