// Step accept: is this a request that we can answer at all? Decides host and target once, so that nothing
// later sees two of either.

import { ClientError } from '../errors.js';
import { fieldLines } from '../http/fields.js';
import { hasVia } from '../http/via.js';
import type { Exchange, StepName } from './exchange.js';

const targetBytesMax = 16 * 1024;

export function accept(exchange: Exchange): StepName {
  const { request, services } = exchange;
  if (exchange.method === 'CONNECT') {
    throw new ClientError('CLIENT_BAD_REQUEST', 'CONNECT is for forward proxies; this is none');
  }
  if (request.httpVersionMajor !== 1) {
    throw new ClientError('CLIENT_BAD_REQUEST', 'the request is not in HTTP/1.0 or HTTP/1.1');
  }
  // Node drops what comes in one packet with a wish to upgrade, so nothing may follow on that connection.
  if (request.headers.upgrade !== undefined) exchange.response.shouldKeepAlive = false;
  const hosts = fieldLines(exchange.fields, 'host');
  if (hosts.length > 1)
    throw new ClientError('CLIENT_BAD_REQUEST', 'the request has several Hosts');
  takeTarget(exchange);
  if (exchange.host === '') {
    // HTTP/1.0 may leave Host out: then it is the one that the connection was made to.
    if (request.httpVersionMinor !== 0) {
      throw new ClientError('CLIENT_BAD_REQUEST', 'the request has no Host');
    }
    exchange.host = localAuthority(exchange);
  }
  if (hasVia(exchange.fields, services.pseudonym)) {
    throw new ClientError(
      'CLIENT_LOOP',
      'the request has been here already: an upstream leads back to this proxy',
    );
  }
  const length = request.headers['content-length'];
  exchange.hasRequestBody =
    request.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
  return exchange.method === 'PURGE' ? 'purge' : 'route';
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
