// The origin as a process of its own: bodies of any size at /size/N, with validators, a lifetime, single
// ranges, a delay before the head, a rate that all transfers share, and one that each connection has. Nothing
// is read from a disk. It counts what it was asked, is steered over the channel that fork() makes, and ends
// when that channel does.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleepMs } from 'node:timers/promises';
import { makeThrottle, type Throttle } from '../../ts/cli/demo/throttle.js';
import { systemClock } from '../../ts/clock.js';
import { kindOf, sliceOf } from './pattern.js';

export interface OriginCounts {
  readonly requests: number;
  /** Of these, answers with a whole body. */
  readonly bodies: number;
  /** Body bytes given to the sockets. */
  readonly bytes: number;
  /** Range of the last request; empty: it had none. */
  readonly lastRange: string;
}

/** Null: unlimited. What is not named stays as it is. */
export interface OriginConditions {
  readonly bytesPerSecond?: number | null;
  /** For each connection by itself. */
  readonly eachBytesPerSecond?: number | null;
  readonly latencyMs?: number;
}

export type OriginOrder =
  | { readonly kind: 'counts' }
  | { readonly kind: 'conditions'; readonly conditions: OriginConditions };

export type OriginMessage =
  | { readonly kind: 'ready'; readonly port: number }
  | { readonly kind: 'counts'; readonly counts: OriginCounts };

interface Span {
  readonly start: number;
  readonly end: number;
}

// Large enough that the calls do not count, small enough that a rate looks even.
const sliceBytes = 256 * 1024;
const throttledSliceBytes = 64 * 1024;

const counts = { requests: 0, bodies: 0, bytes: 0, lastRange: '' };
let latencyMs = 0;
let throttle: Throttle | null = null;
let eachBytesPerSecond: number | null = null;
const ownThrottles = new WeakMap<Socket, Throttle>();

/** Undefined: there is no such object. */
function sizeOf(url: string): number | undefined {
  const digits = /^\/size\/(\d+)(?:[/?]|$)/.exec(url)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** Null: the whole of it. */
function spanOf(range: string | undefined, size: number): Span | null {
  const match = /^bytes=(\d+)-(\d*)$/.exec(range ?? '');
  if (match === null) return null;
  const start = Number(match[1]);
  const end = match[2] === '' ? size : Math.min(Number(match[2]) + 1, size);
  return start < end ? { start, end } : null;
}

function answerHead(request: IncomingMessage, response: ServerResponse, size: number): Span | null {
  const { range, 'if-none-match': condition } = request.headers;
  const etag = `"${size.toString(16)}"`;
  const fields: Record<string, string | number> = {
    etag,
    'last-modified': 'Wed, 15 Jan 2020 08:00:00 GMT',
    'cache-control': 'public, max-age=86400',
    'accept-ranges': 'bytes',
    'content-type':
      kindOf(request.url ?? '') === 'text' ? 'text/plain' : 'application/octet-stream',
  };
  if (condition === etag) {
    response.writeHead(304, fields).end();
    return null;
  }
  const span = spanOf(range, size);
  const { start, end } = span ?? { start: 0, end: size };
  if (span !== null) fields['content-range'] = `bytes ${start}-${end - 1}/${size}`;
  response.writeHead(span === null ? 200 : 206, { ...fields, 'content-length': end - start });
  if (request.method !== 'HEAD') {
    if (span === null) counts.bodies += 1;
    return { start, end };
  }
  response.end();
  return null;
}

/** Null: the connection has no rate of its own. */
function ownThrottle({ socket }: ServerResponse): Throttle | null {
  if (eachBytesPerSecond === null || socket === null) return null;
  const own = ownThrottles.get(socket) ?? makeThrottle(eachBytesPerSecond, systemClock);
  ownThrottles.set(socket, own);
  return own;
}

async function sendBody(response: ServerResponse, name: string, span: Span): Promise<void> {
  const own = ownThrottle(response);
  for (let at = span.start; at < span.end && !response.destroyed; ) {
    const most = throttle === null && own === null ? sliceBytes : throttledSliceBytes;
    const bytes = sliceOf(name, at, Math.min(most, span.end - at));
    await throttle?.take(bytes.length);
    await own?.take(bytes.length);
    at += bytes.length;
    counts.bytes += bytes.length;
    if (!response.write(bytes) && at < span.end) await drained(response);
  }
  response.end();
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
  });
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  counts.requests += 1;
  counts.lastRange = request.headers.range ?? '';
  const name = request.url ?? '';
  const size = sizeOf(name);
  if (size === undefined) {
    response.writeHead(404, { 'content-length': 0 }).end();
    return;
  }
  if (latencyMs > 0) await sleepMs(latencyMs);
  const span = answerHead(request, response, size);
  if (span !== null) await sendBody(response, name, span);
}

function obey(order: OriginOrder): OriginMessage {
  if (order.kind === 'conditions') {
    const { bytesPerSecond, latencyMs: wanted, eachBytesPerSecond: each } = order.conditions;
    if (each !== undefined) eachBytesPerSecond = each;
    if (wanted !== undefined) latencyMs = wanted;
    if (bytesPerSecond === null) throttle = null;
    else if (bytesPerSecond !== undefined) throttle = makeThrottle(bytesPerSecond, systemClock);
  }
  return { kind: 'counts', counts: { ...counts } };
}

function main(): void {
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  // Who keeps connections to an origin decides that for itself.
  server.keepAliveTimeout = 0;
  const tell = (message: OriginMessage): void => void process.send?.(message);
  process.on('message', (order) => tell(obey(order as OriginOrder)));
  process.on('disconnect', () => process.exit(0));
  const port = Number(process.argv[2] ?? 0);
  server.listen({ host: '127.0.0.1', port, backlog: 1024 }, () =>
    tell({ kind: 'ready', port: (server.address() as AddressInfo).port }),
  );
}

main();
