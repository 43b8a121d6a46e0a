// One GET over a connection of its own, by the bare socket: the client must cost less than what it
// measures, and the time of the first body byte must be that of the byte and not of a stream above it.
// Reads into one reused buffer. Understands Content-Length, which every subject sends for our bodies.

import { connect, type Socket } from 'node:net';
import type { Clock } from '../../ts/clock.js';
import { isBodyOf } from './pattern.js';

export interface RawRequest {
  readonly port: number;
  readonly path: string;
  /** First and last byte. */
  readonly range?: readonly [number, number];
  /** Compare every byte with what the origin generates. */
  readonly verify: boolean;
  /** Leave at the first body byte. */
  readonly firstByteOnly: boolean;
  /** Leave, by a reset, when so many body bytes have come. */
  readonly leaveAfterBytes?: number;
  /** Read no faster than this, and leave after that time. */
  readonly slowly?: SlowReading;
}

export interface SlowReading {
  readonly bytesPerSecond: number;
  readonly forMs: number;
}

export interface RawResult {
  readonly status: number;
  readonly bytes: number;
  /** From the request written to the first byte of the body; the connection was there before. */
  readonly ttfbMs: number;
  readonly totalMs: number;
  /** X-Cache, in lower case; empty where there is none. */
  readonly cache: string;
  /** What went wrong; empty: nothing. */
  readonly error: string;
}

/** Of the buffer into which one request at a time receives. */
export const receiveBytes = 256 * 1024;
const headMax = 64 * 1024;
/** A transfer in which nothing moves for this long has failed. */
const silenceMs = 30_000;

interface Head {
  readonly status: number;
  readonly length: number;
  readonly cache: string;
}

function parseHead(text: string): Head | string {
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1] ?? 0);
  const length = /^content-length:\s*(\d+)\s*$/im.exec(text)?.[1];
  const cache = /^x-cache:\s*(\S+)/im.exec(text)?.[1]?.toLowerCase() ?? '';
  if (status === 0) return 'no HTTP answer';
  if (length === undefined) return `status ${status} without Content-Length`;
  return { status, length: Number(length), cache };
}

function requestText({ port, path, range }: RawRequest): string {
  const lines = [`GET ${path} HTTP/1.1`, `Host: 127.0.0.1:${port}`, 'Connection: close'];
  if (range !== undefined) lines.push(`Range: bytes=${range[0]}-${range[1]}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** Never rejects: an answer that is wrong or missing is a result too. */
export function requestRaw(request: RawRequest, buffer: Buffer, clock: Clock): Promise<RawResult> {
  return new Promise((resolve) => {
    let startedMs = 0;
    let ttfbMs = 0;
    let bytes = 0;
    let head: Head | undefined;
    let pending = '';
    let isDone = false;
    const finish = (error: string): void => {
      if (isDone) return;
      isDone = true;
      socket.destroy();
      const totalMs = clock.monotonic() - startedMs;
      const { status = 0, cache = '' } = head ?? {};
      resolve({ status, bytes, ttfbMs, totalMs, cache, error });
    };
    const takeBody = (body: Uint8Array): void => {
      if (head === undefined || body.length === 0) return;
      if (bytes === 0) ttfbMs = clock.monotonic() - startedMs;
      const offset = (request.range?.[0] ?? 0) + bytes;
      if (request.verify && !isBodyOf(request.path, offset, body)) finish('wrong bytes');
      bytes += body.length;
      if (bytes > head.length) finish('more bytes than announced');
      else if (bytes === head.length || request.firstByteOnly) finish('');
      else if (bytes >= (request.leaveAfterBytes ?? Number.POSITIVE_INFINITY)) {
        socket.resetAndDestroy();
        finish('');
      }
    };
    /** False: nothing is read from the socket until it is time for it. */
    const mayReadOn = (): boolean => {
      if (request.slowly === undefined || isDone) return !isDone;
      const { bytesPerSecond, forMs } = request.slowly;
      const elapsedMs = clock.monotonic() - startedMs;
      if (elapsedMs >= forMs) finish('');
      const aheadMs = (bytes / bytesPerSecond) * 1000 - elapsedMs;
      if (isDone || aheadMs <= 0) return !isDone;
      setTimeout(() => socket.resume(), Math.min(aheadMs, forMs - elapsedMs));
      return false;
    };
    const take = (count: number, received: Buffer): boolean => {
      if (head !== undefined) {
        takeBody(received.subarray(0, count));
        return mayReadOn();
      }
      const before = pending.length;
      pending += received.toString('latin1', 0, count);
      const end = pending.indexOf('\r\n\r\n');
      if (end < 0 && pending.length < headMax) return true;
      const parsed = end < 0 ? 'a head without end' : parseHead(pending.slice(0, end));
      if (typeof parsed === 'string') finish(parsed);
      else {
        head = parsed;
        takeBody(received.subarray(end + 4 - before, count));
        if (parsed.length === 0) finish('');
      }
      return !isDone;
    };
    const socket: Socket = connect({
      port: request.port,
      host: '127.0.0.1',
      noDelay: true,
      onread: { buffer, callback: (count, received) => take(count, received as Buffer) },
    });
    socket.setTimeout(silenceMs, () => finish(`silence for ${silenceMs / 1000} s`));
    socket.on('connect', () => {
      startedMs = clock.monotonic();
      socket.write(requestText(request));
    });
    socket.on('error', ({ message }) => finish(message));
    socket.on('close', () => finish('the connection ended early'));
  });
}
