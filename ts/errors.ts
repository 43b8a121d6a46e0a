// Every error that leaves millrace: a stable code, where it came from, and whether trying again can help.
// No messages are made here; whoever throws writes the sentence for the person who reads it.

export type ErrorSource = 'client' | 'upstream' | 'store' | 'config' | 'internal';

/** Suffix of `ERR_MILLRACE_...`. The STORE_ codes mirror native/base/status-codes.inc. */
export type ErrorCode =
  | 'STORE_NOT_FOUND'
  | 'STORE_CORRUPT_RECORD'
  | 'STORE_IO'
  | 'STORE_OVERLOADED'
  | 'STORE_NO_SPACE'
  | 'STORE_CLOSED'
  | 'STORE_INVALID'
  | 'STORE_FOREIGN_DEVICE'
  | 'STORE_BUSY'
  | 'STORE_MISSING_DEVICE'
  | 'STORE_PERMISSION'
  | 'UNSUPPORTED_PLATFORM'
  | 'UPSTREAM_REFUSED'
  | 'UPSTREAM_DNS'
  | 'UPSTREAM_TIMEOUT'
  | 'UPSTREAM_RESET'
  | 'UPSTREAM_TRUNCATED'
  | 'UPSTREAM_PROTOCOL'
  | 'UPSTREAM_VALIDATOR_CHANGED'
  | 'UPSTREAM_BACK_OFF'
  | 'UPSTREAM_BUSY'
  | 'UPSTREAM_CERTIFICATE'
  | 'UPSTREAM_TLS'
  | 'UPSTREAM_REDIRECT'
  | 'UPSTREAM_UNAVAILABLE'
  | 'CLIENT_ABORTED'
  | 'CLIENT_BAD_REQUEST'
  | 'CLIENT_LOOP'
  | 'CLIENT_NOT_IMPLEMENTED'
  | 'CLIENT_TOO_MANY_FIELDS'
  | 'CLIENT_ONLY_IF_CACHED'
  | 'CLIENT_NO_ROUTE'
  | 'CLIENT_METHOD_NOT_ALLOWED'
  | 'CLIENT_UNAUTHORIZED'
  | 'CLIENT_FORBIDDEN'
  | 'CONFIG_INVALID'
  | 'CONFIG_UNREADABLE'
  | 'LISTEN_FAILED'
  | 'ADMIN_UNREACHABLE'
  | 'ADDON_MISSING'
  | 'INTERNAL';

export interface ErrorDetails {
  readonly cause?: unknown;
  readonly retryable?: boolean;
}

export class MillraceError extends Error {
  readonly code: `ERR_MILLRACE_${ErrorCode}`;
  readonly source: ErrorSource;
  readonly retryable: boolean;

  constructor(source: ErrorSource, code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.code = `ERR_MILLRACE_${code}`;
    this.source = source;
    this.retryable = details.retryable ?? false;
  }
}

export interface StoreErrorDetails extends ErrorDetails {
  readonly device?: string;
}

export class StoreError extends MillraceError {
  /** Path of the device at fault; null where none is, or all are. */
  readonly device: string | null;

  constructor(code: ErrorCode, message: string, details: StoreErrorDetails = {}) {
    super('store', code, message, details);
    this.device = details.device ?? null;
  }
}

export interface UpstreamErrorDetails extends ErrorDetails {
  /** When the origin may be asked again. */
  readonly retryAfterS?: number;
  /** Error type of RFC 9209, where it says more than the code does. */
  readonly proxyError?: string;
}

export class UpstreamError extends MillraceError {
  /** Seconds; null where nothing is known. */
  readonly retryAfterS: number | null;
  readonly proxyError: string | null;

  constructor(code: ErrorCode, message: string, details: UpstreamErrorDetails = {}) {
    super('upstream', code, message, details);
    this.retryAfterS = details.retryAfterS ?? null;
    this.proxyError = details.proxyError ?? null;
  }
}

export class ClientError extends MillraceError {
  constructor(code: ErrorCode, message: string, details?: ErrorDetails) {
    super('client', code, message, details);
  }
}

export class ConfigError extends MillraceError {
  constructor(code: ErrorCode, message: string, details?: ErrorDetails) {
    super('config', code, message, details);
  }
}

export class InternalError extends MillraceError {
  constructor(code: ErrorCode, message: string, details?: ErrorDetails) {
    super('internal', code, message, details);
  }
}
