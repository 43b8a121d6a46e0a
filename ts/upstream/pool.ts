// Connections to one origin: undici pools with our timeouts and limits. Connections are made anew after a
// bound, so that a name whose address has changed is followed however busy its connections are: the pool
// is then left to end with its last response, and another one takes its place.

import type { LookupFunction } from 'node:net';
import type { SecureContext } from 'node:tls';
import { buildConnector, type Dispatcher, Pool } from 'undici';
import type { Clock } from '../clock.js';
import { sharedReads } from './origin-socket.js';
import type { TlsOptions } from './tls.js';

export interface PoolOptions {
  readonly connectTimeoutMs: number;
  readonly headTimeoutMs: number;
  /** Longest silence within a body. */
  readonly idleTimeoutMs: number;
  /** At a time, of each pool. */
  readonly connections: number;
  /** Connections older than this get no new request; for ever where it is not given. */
  readonly connectionAgeMs?: number;
  readonly clock?: Clock;
  /** Of https; the well-known authorities where it is not given. */
  readonly tls?: TlsOptions;
  /** In place of the system's resolver. */
  readonly lookup?: LookupFunction;
}

export interface ConnectOptions {
  readonly lookup?: LookupFunction;
  readonly secureContext?: SecureContext;
  readonly rejectUnauthorized?: boolean;
  readonly servername?: string;
}

/** A head of more than this is refused; Node's own limit for requests is 16 KiB. */
export const headBytesMax = 32 * 1024;

/** One origin and the connections to it. */
export class Origin {
  readonly url: URL;
  /** Longest time from a place at the origin to the head, and longest wait for a place. */
  readonly answerTimeoutMs: number;
  readonly #options: PoolOptions;
  /** Those that still end what they have begun, and the one in use. */
  readonly #open = new Set<Pool>();
  #pool: Pool;
  #openedMs: number;

  constructor(url: URL, options: PoolOptions) {
    this.url = url;
    this.answerTimeoutMs = options.connectTimeoutMs + options.headTimeoutMs;
    this.#options = options;
    this.#pool = this.#openPool();
    this.#openedMs = this.#nowMs;
  }

  /** What Node's own client needs to connect as the pools do. */
  get connectOptions(): ConnectOptions {
    const { lookup, tls } = this.#options;
    return {
      ...(lookup === undefined ? {} : { lookup }),
      ...(tls === undefined
        ? {}
        : { secureContext: tls.secureContext, rejectUnauthorized: tls.rejectUnauthorized }),
      ...(typeof tls?.serverName === 'string' ? { servername: tls.serverName } : {}),
    };
  }

  get #nowMs(): number {
    return this.#options.clock?.monotonic() ?? 0;
  }

  #openPool(): Pool {
    const { connections, connectTimeoutMs, headTimeoutMs, idleTimeoutMs } = this.#options;
    const pool = new Pool(this.url.origin, {
      connections,
      // One request per connection at a time: behind a large body nothing else may wait.
      pipelining: 1,
      connect: connectorOf(this, connectTimeoutMs),
      headersTimeout: headTimeoutMs,
      bodyTimeout: idleTimeoutMs,
      maxHeaderSize: headBytesMax,
    });
    this.#open.add(pool);
    return pool;
  }

  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    const { connectionAgeMs = Number.POSITIVE_INFINITY } = this.#options;
    if (this.#nowMs - this.#openedMs >= connectionAgeMs) {
      this.retire();
      this.#pool = this.#openPool();
      this.#openedMs = this.#nowMs;
    }
    const servername = this.#options.tls?.serverName ?? null;
    // undici takes it, and its types do not say so.
    const named = servername === null ? options : { ...options, servername };
    this.#pool.dispatch(named as Dispatcher.DispatchOptions, handler);
  }

  /** No new request; what is under way goes on to its end. */
  retire(): void {
    const pool = this.#pool;
    const forget = (): void => void this.#open.delete(pool);
    // Fails where it was destroyed meanwhile, which is an end as well.
    pool.close().then(forget, forget);
  }

  /** Gives up what is under way. */
  async close(): Promise<void> {
    await Promise.all([...this.#open].map((pool) => pool.destroy()));
  }
}

export function openOrigin(url: URL, options: PoolOptions): Origin {
  return new Origin(url, options);
}

/**
 * undici takes a reset for the end of a body that ends with its connection. That body may be cut short, so
 * the error gets another code before undici sees it, and the body breaks like any other.
 */
function connectorOf(origin: Origin, timeout: number): buildConnector.connector {
  const connect = buildConnector({
    ...origin.connectOptions,
    timeout,
    onread: sharedReads(),
  } as buildConnector.BuildOptions);
  return (connectOptions, callback) =>
    connect(connectOptions, (...result: Parameters<buildConnector.Callback>) => {
      result[1]?.on('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'ECONNRESET') error.code = 'ECONNABORTED';
      });
      callback(...result);
    });
}
