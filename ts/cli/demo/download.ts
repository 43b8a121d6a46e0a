// One download as a client sees it: when the first body byte came, when the last, how many there were,
// and their SHA-256. A body that breaks off rejects.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import type { Clock } from '../../clock.js';

export interface Download {
  readonly status: number;
  /** X-Cache: HIT, MISS, ...; empty where the answer has none. */
  readonly word: string;
  /** Where a hit came from, by Cache-Status: memory or disk; empty where it does not say. */
  readonly detail: string;
  readonly bytes: number;
  readonly sha256: string;
  /** From the request to the first byte of the body. */
  readonly ttfbMs: number;
  readonly totalMs: number;
}

export interface DownloadOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Inclusive, as in the field Range. */
  readonly range?: { readonly first: number; readonly last: number };
}

export async function download(url: string, options: DownloadOptions): Promise<Download> {
  const { clock, signal, range } = options;
  const headers = range === undefined ? {} : { range: `bytes=${range.first}-${range.last}` };
  const start = clock.monotonic();
  // A connection of its own for each download: a client that comes for the first time.
  const request = get(url, { headers, agent: false, signal });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  // From here on the body tells what breaks.
  request.on('error', () => {});
  const hash = createHash('sha256');
  let bytes = 0;
  let ttfbMs = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    if (bytes === 0) ttfbMs = clock.monotonic() - start;
    bytes += chunk.length;
    hash.update(chunk);
  }
  const totalMs = clock.monotonic() - start;
  return {
    status: response.statusCode ?? 0,
    word: String(response.headers['x-cache'] ?? ''),
    detail: /\bdetail=(\w+)/.exec(String(response.headers['cache-status'] ?? ''))?.[1] ?? '',
    bytes,
    sha256: hash.digest('hex'),
    ttfbMs: bytes === 0 ? totalMs : ttfbMs,
    totalMs,
  };
}
