// Step accept: is this a request that we can answer at all? Decides host and target once, so that nothing
// later sees two of either.

import { ClientError } from '../errors.js';
import { hasCdnLoop } from '../http/cdn-loop.js';
import { fieldLines } from '../http/fields.js';
import { hasVia } from '../http/via.js';
import type { Exchange, StepName } from './exchange.js';
import { takeForwarded } from './trusted-peer.js';

const targetBytesMax = 16 * 1024;
const fieldsMax = 200;

export function accept(exchange: Exchange): StepName {
  const { request, services } = exchange;
  if (exchange.method === 'CONNECT') {
    throw new ClientError('CLIENT_BAD_REQUEST', 'CONNECT is for forward proxies; this is none');
  }
  checkMessage(exchange);
  const hosts = fieldLines(exchange.fields, 'host');
  if (hosts.length > 1)
    throw new ClientError('CLIENT_BAD_REQUEST', 'the request has several Hosts');
  takeTarget(exchange);
  takeForwarded(exchange);
  if (exchange.host === '') {
    // HTTP/1.0 may leave Host out: then it is the one that the connection was made to.
    if (request.httpVersionMinor !== 0) {
      throw new ClientError('CLIENT_BAD_REQUEST', 'the request has no Host');
    }
    exchange.host = localAuthority(exchange);
  }
  const { pseudonym } = services;
  if (hasVia(exchange.fields, pseudonym) || hasCdnLoop(exchange.fields, pseudonym)) {
    throw new ClientError(
      'CLIENT_LOOP',
      'the request has been here already: an upstream leads back to this proxy',
    );
  }
  const length = request.headers['content-length'];
  exchange.hasRequestBody =
    request.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
  if (isForUs(exchange)) return 'options';
  return exchange.method === 'PURGE' ? 'purge' : 'route';
}

/** What Node's parser lets through, and must not be passed on. */
function checkMessage({ request, response, method, fields }: Exchange): void {
  if (request.httpVersionMajor !== 1) {
    throw new ClientError('CLIENT_BAD_REQUEST', 'the request is not one of HTTP/1.0 or HTTP/1.1');
  }
  if (fields.length / 2 > fieldsMax) {
    throw new ClientError(
      'CLIENT_TOO_MANY_FIELDS',
      `the request has more than ${fieldsMax} header fields`,
    );
  }
  // Node drops what comes in one packet with a wish to upgrade, so nothing may follow on that connection.
  if (request.headers.upgrade !== undefined) response.shouldKeepAlive = false;
  if (method === 'TRACE') {
    throw new ClientError('CLIENT_METHOD_NOT_ALLOWED', 'TRACE would show what proxies add');
  }
  const coding = request.headers['transfer-encoding'];
  if (coding === undefined) return;
  // A body of HTTP/1.0 cannot be chunked; whoever says so may mean something else by its end.
  if (request.httpVersionMinor === 0) {
    throw new ClientError('CLIENT_BAD_REQUEST', 'HTTP/1.0 has no Transfer-Encoding');
  }
  if (coding.toLowerCase() !== 'chunked') {
    throw new ClientError(
      'CLIENT_NOT_IMPLEMENTED',
      'the request body has a transfer coding other than chunked',
    );
  }
}

/** OPTIONS for the server as such, or at the end of its way (RFC 9110 section 7.6.2). */
function isForUs({ method, target, fields }: Exchange): boolean {
  if (method !== 'OPTIONS') return false;
  return target === '*' || fieldLines(fields, 'max-forwards').some((hops) => /^0+$/.test(hops));
}

/** Absolute form names its own authority, which overrides Host (RFC 9112 section 3.2.2). */
function takeTarget(exchange: Exchange): void {
  const { target } = exchange;
  if (target.length > targetBytesMax) {
    throw new ClientError('CLIENT_BAD_REQUEST', 'the request target is longer than 16 KiB');
  }
  if (target.startsWith('/')) {
    // A fragment is never sent by a client that follows RFC 9110; it would hide behind a key.
    if (target.includes('#')) {
      throw new ClientError('CLIENT_BAD_REQUEST', 'the request target holds a fragment');
    }
    return;
  }
  if (target === '*' && exchange.method === 'OPTIONS') return;
  const match = /^https?:\/\/([^/?#@]+)([/?][^#]*)?$/i.exec(target);
  if (match === null) {
    throw new ClientError('CLIENT_BAD_REQUEST', 'the request target is neither a path nor a URL');
  }
  exchange.host = match[1]!;
  const path = match[2] ?? '';
  exchange.target = path.startsWith('/') ? path : `/${path}`;
}

function localAuthority(exchange: Exchange): string {
  const { localAddress, localPort } = exchange.socket;
  if (localAddress === undefined) return 'localhost';
  const address = localAddress.includes(':') ? `[${localAddress}]` : localAddress;
  return `${address}:${localPort}`;
}
