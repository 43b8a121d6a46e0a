// Connections to one origin: an undici pool with our timeouts and limits.

import { buildConnector, Pool } from 'undici';
import { sharedReads } from './origin-socket.js';

export interface PoolOptions {
  readonly connectTimeoutMs: number;
  readonly headTimeoutMs: number;
  /** Longest silence within a body. */
  readonly idleTimeoutMs: number;
}

/** One origin and the connections to it. */
export interface Origin {
  readonly url: URL;
  /** Longest time from the wish to the head, waiting for a free connection included. */
  readonly answerTimeoutMs: number;
  readonly pool: Pool;
}

// Enough for 10,000 clients on distinct cold objects to share; each holds one connection per fill.
const connectionsMax = 256;
/** A head of more than this is refused; Node's own limit for requests is 16 KiB. */
const headBytesMax = 32 * 1024;

export function openOrigin(url: URL, options: PoolOptions): Origin {
  const pool = new Pool(url.origin, {
    connections: connectionsMax,
    // One request per connection at a time: behind a large body nothing else may wait.
    pipelining: 1,
    connect: connectorWith(url, options.connectTimeoutMs),
    headersTimeout: options.headTimeoutMs,
    bodyTimeout: options.idleTimeoutMs,
    maxHeaderSize: headBytesMax,
  });
  return { url, answerTimeoutMs: options.connectTimeoutMs + options.headTimeoutMs, pool };
}

/**
 * undici takes a reset for the end of a body that ends with its connection. That body may be cut short, so
 * the error gets another code before undici sees it, and the body breaks like any other.
 */
function connectorWith(url: URL, timeoutMs: number): buildConnector.connector {
  const reads = url.protocol === 'http:' ? { onread: sharedReads() } : {};
  const connect = buildConnector({ timeout: timeoutMs, ...reads } as buildConnector.BuildOptions);
  return (options, callback) =>
    connect(options, (...result: Parameters<buildConnector.Callback>) => {
      result[1]?.on('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'ECONNRESET') error.code = 'ECONNABORTED';
      });
      callback(...result);
    });
}
