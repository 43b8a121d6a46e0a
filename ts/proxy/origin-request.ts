// What is sent to the origin on behalf of an exchange: end-to-end fields only, our own Via and
// X-Forwarded-*, and, for a fill, nothing that asks for less than the whole or that could make the origin
// answer for another resource than the key names.

import { ClientError, InternalError, UpstreamError } from '../errors.js';
import { appendCdnLoop } from '../http/cdn-loop.js';
import { fieldValue, type RawFields } from '../http/fields.js';
import { withoutHopByHop } from '../http/hop-by-hop.js';
import { appendVia } from '../http/via.js';
import type { HeadReader, UpstreamResponse } from '../upstream/request.js';
import type { Upstream } from '../upstream/upstream.js';
import type { Exchange } from './exchange.js';
import { forwardInterim } from './interim.js';

/**
 * Set by us or by nobody: what a client claims here is not in the key. The names of the last three would be
 * those of framing fields to a CGI-like origin, which knows no difference between _ and -.
 */
const overwritten =
  /^(host|expect|forwarded|x-forwarded-.*|x-real-ip|content_length|transfer_encoding|max_forwards)$/;
/** Ask for less than the whole, or are judged by us against what is stored. */
const conditional = new Set([
  'if-none-match',
  'if-modified-since',
  'if-range',
  'range',
  'if-match',
  'if-unmodified-since',
]);
/** By these some frameworks let a proxy in front replace the URL. We do not, and no client may. */
const rewritingUrl = /^(x-original-(url|host|uri)|x-rewrite-url|x-host)$/;
/** And by these a client the method: a GET that is none would be stored as one. */
const rewritingMethod = /^(x-http-method(-override)?|x-method-override)$/;

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
    if (isLeftOut(exchange, purpose, name)) continue;
    fields.push(received[at]!, forwardedValue(exchange, name, received[at + 1]!));
  }
  fields.push(...forwardedFields(exchange, purpose), ...extra);
  const { pseudonym } = services;
  return appendCdnLoop(appendVia(fields, request.httpVersion, pseudonym), pseudonym);
}

function isLeftOut(exchange: Exchange, purpose: RequestPurpose, name: string): boolean {
  // To many origins X_Forwarded_Host is the same field as X-Forwarded-Host.
  const meant = name.replaceAll('_', '-');
  if (overwritten.test(name) || overwritten.test(meant) || rewritingUrl.test(meant)) return true;
  const isSafe = exchange.method === 'GET' || exchange.method === 'HEAD';
  if (isSafe && rewritingMethod.test(meant)) return true;
  if (purpose === 'fill' && conditional.has(name)) return true;
  // A length without a body would have the origin wait for one.
  return name === 'content-length' && !exchange.hasRequestBody;
}

function forwardedValue(exchange: Exchange, name: string, value: string): string {
  const isCounted = name === 'max-forwards' && exchange.method === 'OPTIONS';
  return isCounted && /^[0-9]{1,15}$/.test(value) ? `${Number(value) - 1}` : value;
}

/** Who asks, for what, as far as we know or trust those who say so. */
function forwardedFields(exchange: Exchange, purpose: RequestPurpose): string[] {
  const { fields, scheme, host, isPeerTrusted } = exchange;
  const client = exchange.socket.remoteAddress;
  const earlier = isPeerTrusted ? fieldValue(fields, 'x-forwarded-for') : undefined;
  const way = [earlier, client].filter((part) => part !== undefined && part !== '').join(', ');
  // Where one host stands for several in the key, the origin must not tell them apart either.
  const keyHost = purpose === 'fill' ? exchange.rule!.cache.key.host : null;
  const forwarded = way === '' ? [] : ['X-Forwarded-For', way];
  forwarded.push('X-Forwarded-Proto', scheme, 'X-Forwarded-Host', keyHost ?? host);
  const real = isPeerTrusted ? fieldValue(fields, 'x-real-ip') : undefined;
  if (real !== undefined) forwarded.push('X-Real-IP', real);
  return forwarded;
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
  const { upstream, cache, redirects } = exchange.rule!;
  const read: HeadReader = (response) => {
    if (response.status === 429 && cache.stale.on429) {
      services.backOff.note(upstream, response.fields);
    }
    onHead(response);
  };
  try {
    return await upstreamOf(exchange).sendFollowing(
      {
        method: exchange.method,
        target: exchange.target,
        fields: originFields(exchange, purpose, extra),
        body: exchange.hasRequestBody ? exchange.request : null,
        key: exchange.key,
        publicHost: exchange.host,
        onInterim: (status, hints) => forwardInterim(exchange, status, hints),
        ...(exchange.isExpecting ? { onContinue: () => exchange.response.writeContinue() } : {}),
      },
      redirects,
      read,
    );
  } catch (error) {
    if (error instanceof ClientError) services.counters.clientAborts += 1;
    else services.counters.originErrors += 1;
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
