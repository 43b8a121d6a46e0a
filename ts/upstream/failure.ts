// What went wrong with an origin, as an UpstreamError whose sentence names the origin and what to look at.

import { errors } from 'undici';
import { ClientError, type ErrorCode, UpstreamError } from '../errors.js';

const refusedCodes = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'ENOENT',
]);
const nameCodes = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EAI_NODATA']);

/** What OpenSSL and Node find wrong with a chain or with the names in it. */
const certificateCode =
  /^(CERT_|CRL_|DEPTH_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_|INVALID_(CA|PURPOSE)|ERR_TLS_CERT_)/;

/** Before the head: where the request died. In the body: how it broke off. */
export type FailurePhase = 'head' | 'body';

export function upstreamFailure(origin: URL, error: unknown, phase: FailurePhase): UpstreamError {
  if (error instanceof UpstreamError) return error;
  const { code, sentence, proxyError } = classify(error, phase);
  return new UpstreamError(code, `${origin.origin} ${sentence}`, {
    cause: error,
    ...(proxyError === undefined ? {} : { proxyError }),
    // Whether the request may be sent again is for the caller to judge by its method; a name or a port
    // that does not answer will not answer a moment later either.
    retryable: code === 'UPSTREAM_RESET' && phase === 'head',
  });
}

interface Classified {
  readonly code: ErrorCode;
  readonly sentence: string;
  /** Where RFC 9209 has a finer word than the code. */
  readonly proxyError?: string;
}

function classify(error: unknown, phase: FailurePhase): Classified {
  const code = codeOf(error);
  const said = error instanceof Error ? error.message : String(error);
  if (error instanceof errors.ConnectTimeoutError) {
    return { code: 'UPSTREAM_TIMEOUT', sentence: 'did not accept a connection in time' };
  }
  if (error instanceof errors.HeadersTimeoutError) {
    return {
      code: 'UPSTREAM_TIMEOUT',
      sentence: 'sent no response head in time',
      proxyError: 'http_response_timeout',
    };
  }
  if (error instanceof errors.BodyTimeoutError) {
    return { code: 'UPSTREAM_TIMEOUT', sentence: 'stopped sending in the middle of a body' };
  }
  if (nameCodes.has(code)) {
    return { code: 'UPSTREAM_DNS', sentence: `has a name that does not resolve (${code})` };
  }
  if (refusedCodes.has(code)) {
    return { code: 'UPSTREAM_REFUSED', sentence: `refused the connection (${code})` };
  }
  if (error instanceof errors.HeadersOverflowError || code === 'HPE_HEADER_OVERFLOW') {
    return {
      code: 'UPSTREAM_PROTOCOL',
      sentence: 'sent a head without end',
      proxyError: 'http_response_header_section_size',
    };
  }
  if (code.startsWith('HPE_') || error instanceof errors.HTTPParserError) {
    return { code: 'UPSTREAM_PROTOCOL', sentence: `sent something that is not HTTP (${said})` };
  }
  if (certificateCode.test(code)) {
    const sentence = `has a certificate that does not verify: ${said} (${code})`;
    return { code: 'UPSTREAM_CERTIFICATE', sentence };
  }
  if (/^ERR_(TLS|SSL)_/.test(code) || code === 'EPROTO') {
    return { code: 'UPSTREAM_TLS', sentence: `and we find no way to speak TLS: ${said} (${code})` };
  }
  if (error instanceof errors.ResponseContentLengthMismatchError) {
    // Before the head is through, undici says this of a head that no parser can make sense of.
    return phase === 'head'
      ? { code: 'UPSTREAM_PROTOCOL', sentence: 'sent a head whose lengths contradict each other' }
      : { code: 'UPSTREAM_TRUNCATED', sentence: 'sent another length than it announced' };
  }
  if (phase === 'body') {
    return { code: 'UPSTREAM_TRUNCATED', sentence: `broke off in the middle of a body (${said})` };
  }
  return { code: 'UPSTREAM_RESET', sentence: `closed the connection without an answer (${said})` };
}

/** The system's code; of several addresses that were tried, the first one's. */
function codeOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0]);
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : '';
}

/** Its body broke off. Not the origin's failure: nobody may put an origin out by leaving. */
export function clientLeft(): ClientError {
  return new ClientError('CLIENT_ABORTED', 'the client left before its request was whole');
}
