// The diagnostics channels that the proxy publishes on, and what they carry. A leaf: publishers and
// subscribers meet here and nowhere else. Nothing is computed for a channel without subscribers.

import { channel } from 'node:diagnostics_channel';

/** One finished exchange. */
export interface ExchangeReport {
  readonly method: string;
  /** Canonical key, or the raw target where no route matched. */
  readonly url: string;
  /** 0: the client was gone before a status was sent. */
  readonly status: number;
  readonly cache: string;
  readonly bodyBytes: number;
  /** Accepted to last byte handed to the socket. */
  readonly durationMs: number;
  /** Code of the error that ended or marred it; empty when all went well. */
  readonly error: string;
  readonly errorMessage: string;
}

/** Something that went wrong beside any one exchange: a background validation, a fill without readers. */
export interface FaultReport {
  readonly what: string;
  readonly url: string;
  readonly error: string;
}

/** An origin that is not asked any more, or again. */
export interface OriginReport {
  readonly upstream: string;
  readonly origin: string;
  readonly state: 'out' | 'in';
  readonly reason: string;
  /** What the proxy does about it. */
  readonly follows: string;
}

export const exchangeChannel = channel('millrace:exchange');
export const faultChannel = channel('millrace:fault');
export const originChannel = channel('millrace:origin');
