// Step fail: the one place where an error becomes an answer: the stale response where it may stand in, else
// a status with a sentence for the person who reads it. docs/reference/errors.md has the table.

import {
  type ErrorCode,
  InternalError,
  MillraceError,
  StoreError,
  UpstreamError,
} from '../errors.js';
import { type CacheHandling, cacheStatus, xCache } from '../http/cache-status.js';
import type { Exchange, StepName } from './exchange.js';
import { spoil } from './listener.js';
import { isBoundToOrigin, mayStandIn } from './stale.js';
import { answerFromStore } from './stored-answer.js';

interface ErrorAnswer {
  readonly status: number;
  readonly reason: string;
  /** Error type of RFC 9209; empty where Proxy-Status would say nothing more. */
  readonly proxyError: string;
}

const badGateway = (proxyError: string): ErrorAnswer => ({
  status: 502,
  reason: 'Bad Gateway',
  proxyError,
});
const unavailable = (proxyError: string): ErrorAnswer => ({
  status: 503,
  reason: 'Service Unavailable',
  proxyError,
});
const badRequest: ErrorAnswer = {
  status: 400,
  reason: 'Bad Request',
  proxyError: 'http_request_error',
};
/** What follows on a connection behind such a request cannot be told from its rest. */
const statusesThatClose: ReadonlySet<number> = new Set([400, 431, 501]);
const internal: ErrorAnswer = {
  status: 500,
  reason: 'Internal Server Error',
  proxyError: 'proxy_internal_error',
};

/** Only PURGE has to tell: everything else goes on without the store. */
const storeFailed: ErrorAnswer = {
  status: 503,
  reason: 'Service Unavailable',
  proxyError: 'proxy_internal_error',
};

const answers: Partial<Record<ErrorCode, ErrorAnswer>> = {
  CLIENT_BAD_REQUEST: badRequest,
  CLIENT_NO_ROUTE: { status: 404, reason: 'Not Found', proxyError: 'destination_not_found' },
  CLIENT_METHOD_NOT_ALLOWED: { status: 405, reason: 'Method Not Allowed', proxyError: '' },
  CLIENT_UNAUTHORIZED: { status: 401, reason: 'Unauthorized', proxyError: '' },
  CLIENT_FORBIDDEN: { status: 403, reason: 'Forbidden', proxyError: '' },
  CLIENT_NOT_IMPLEMENTED: {
    status: 501,
    reason: 'Not Implemented',
    proxyError: 'http_request_error',
  },
  CLIENT_TOO_MANY_FIELDS: {
    status: 431,
    reason: 'Request Header Fields Too Large',
    proxyError: 'http_request_error',
  },
  CLIENT_LOOP: { status: 508, reason: 'Loop Detected', proxyError: 'proxy_loop_detected' },
  CLIENT_ONLY_IF_CACHED: { status: 504, reason: 'Gateway Timeout', proxyError: '' },
  UPSTREAM_TIMEOUT: {
    status: 504,
    reason: 'Gateway Timeout',
    proxyError: 'connection_timeout',
  },
  UPSTREAM_REFUSED: badGateway('connection_refused'),
  UPSTREAM_DNS: badGateway('dns_error'),
  UPSTREAM_RESET: badGateway('connection_terminated'),
  UPSTREAM_TRUNCATED: badGateway('http_response_incomplete'),
  UPSTREAM_PROTOCOL: badGateway('http_protocol_error'),
  UPSTREAM_CERTIFICATE: badGateway('tls_certificate_error'),
  UPSTREAM_REDIRECT: badGateway('http_protocol_error'),
  UPSTREAM_TLS: badGateway('tls_protocol_error'),
  UPSTREAM_VALIDATOR_CHANGED: badGateway('http_response_incomplete'),
  UPSTREAM_BACK_OFF: unavailable('destination_unavailable'),
  UPSTREAM_BUSY: unavailable('connection_limit_reached'),
  UPSTREAM_UNAVAILABLE: unavailable('destination_unavailable'),
};

export function fail(exchange: Exchange): StepName {
  const error = exchange.failure ?? new InternalError('INTERNAL', 'a step failed without an error');
  const { response, services, stored } = exchange;
  if (response.headersSent) {
    response.destroy();
    return 'finish';
  }
  const isUpstream = error instanceof UpstreamError;
  if (isUpstream && stored !== null && !exchange.hasFallenBack) {
    exchange.hasFallenBack = true;
    // What the origin sent instead (a 5xx) was judged in step fill; here it was not heard at all. One that
    // wants to be left alone has said so by an error.
    const isHeld = error.code === 'ERR_MILLRACE_UPSTREAM_BACK_OFF';
    const isHeard = isHeld || exchange.handling.forwardStatus !== undefined;
    const why = isHeard ? 'error' : 'disconnected';
    if (mayStandIn(exchange, why)) {
      const ttlS = Math.floor((stored.head.freshUntilMs - services.clock.now()) / 1000);
      const { forward = 'stale', forwardStatus } = exchange.handling;
      exchange.handling = {
        hit: false,
        forward,
        ...(forwardStatus === undefined ? {} : { forwardStatus }),
        ttlS,
        isStandIn: true,
        detail: 'origin-failed',
      };
      exchange.answer = answerFromStore(exchange, stored, stored.head);
      return 'serve';
    }
  }
  if (!response.destroyed) answerWithError(exchange, error);
  return 'finish';
}

/** A person's sentence; a bug's details and the names of devices stay in the log. */
function sentenceFor(answer: ErrorAnswer, error: Error): string {
  if (answer === internal) return 'millrace failed to answer this request';
  if (answer === storeFailed) return 'the purge holds until millrace ends, and is not durable';
  return error.message;
}

function answerWithError(exchange: Exchange, error: Error): void {
  const code = codeOf(error);
  const known = answers[code] ?? (error instanceof StoreError ? storeFailed : internal);
  // What may not be used without its origin is a gateway's timeout, however the origin failed.
  const isBound = error instanceof UpstreamError && isBoundToOrigin(exchange);
  const answer = isBound ? { ...known, status: 504, reason: 'Gateway Timeout' } : known;
  const text = sentenceFor(known, error);
  const body = Buffer.from(`${answer.status} ${answer.reason}\n${text}\nERR_MILLRACE_${code}\n`);
  const { response } = exchange;
  const handling = handlingOf(exchange, error);
  exchange.handling = handling;
  const fields = [
    'Content-Type',
    'text/plain; charset=utf-8',
    'Content-Length',
    `${body.length}`,
    'Cache-Control',
    'no-store',
    'Cache-Status',
    cacheStatus(undefined, handling),
    'X-Cache',
    xCache(handling),
  ];
  if (error instanceof UpstreamError && error.retryAfterS !== null) {
    fields.push('Retry-After', `${error.retryAfterS}`);
  }
  if (answer.status === 401) fields.push('WWW-Authenticate', 'Bearer realm="millrace purge"');
  if (answer.status === 405) fields.push('Allow', 'GET, HEAD');
  const proxyError = (error instanceof UpstreamError && error.proxyError) || answer.proxyError;
  if (proxyError !== '') {
    const details = code === 'UPSTREAM_CERTIFICATE' ? `; details=${quoted(error.message)}` : '';
    fields.push('Proxy-Status', `millrace; error=${proxyError}${details}`);
  }
  if (statusesThatClose.has(answer.status) || exchange.hasRequestBody) {
    fields.push('Connection', 'close');
    spoil(exchange.socket);
  }
  response.writeHead(answer.status, answer.reason, fields);
  response.end(exchange.method === 'HEAD' ? undefined : body);
  exchange.sentStatus = answer.status;
}

/** A request that was refused here was not forwarded, however far it had come. */
function handlingOf({ handling }: Exchange, error: Error): CacheHandling {
  if (!(error instanceof UpstreamError)) return { hit: false, isOwnAnswer: true };
  return { ...handling, isOwnAnswer: true };
}

/** A string of RFC 8941. */
function quoted(text: string): string {
  return `"${text.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')}"`;
}

function codeOf(error: Error): ErrorCode {
  if (!(error instanceof MillraceError)) return 'INTERNAL';
  return error.code.slice('ERR_MILLRACE_'.length) as ErrorCode;
}
