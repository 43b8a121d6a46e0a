// Sockets to plain HTTP origins. Node allocates 64 KiB for each read of a socket and leaves them to the
// garbage collector, which then runs over the whole heap for every 64 MiB received. These sockets read
// into one buffer that all of them share, four times as long, and hand it to undici at once.
//
// What undici or a reader would keep for longer than the call must not lie in that buffer: undici keeps
// views of header fields until the head is whole, and what a paused parser has left goes back to the
// stream. Both are copied here. Readers of bodies know: a chunk is theirs until their call returns.

import { Buffer } from 'node:buffer';
import type { OnReadOpts, Socket } from 'node:net';
import { UpstreamError } from '../errors.js';
import { turns } from '../turns.js';

/** Fits the second level cache with its copies; more makes no fewer turns. */
const readBytes = 256 * 1024;
/** Of every response head, interim ones too. */
const headStart = Buffer.from('HTTP/1.');
const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/** How the end of a body is known; before the body, and between two responses: head. */
export type ReceptionPhase = 'head' | 'length' | 'chunked' | 'close';

/** One response after another on one connection. */
export interface Reception {
  phase: ReceptionPhase;
  /** The parser was paused in this read: the kernel shall keep what comes. */
  isPaused: boolean;
  /** How far the head has come in earlier reads: bytes of it, bytes of its last line, the last byte. */
  headBytes: number;
  lineBytes: number;
  lastByte: number;
}

const receptions = new WeakMap<Socket, Reception>();
let current: Reception | null = null;

/** Of the socket whose bytes are being parsed right now; null elsewhere, as on TLS. */
export function currentReception(): Reception | null {
  return current;
}

/** For net.connect: reads into the shared buffer. */
export function sharedReads(): OnReadOpts {
  return { buffer: sharedBuffer(), callback: receive };
}

let shared: Buffer | null = null;

function sharedBuffer(): Buffer {
  shared ??= Buffer.allocUnsafeSlow(readBytes);
  return shared;
}

/** Node calls it as a method of the socket. True: read on. */
function receive(this: Socket, length: number): boolean {
  let reception = receptions.get(this);
  if (reception === undefined) {
    reception = { phase: 'head', isPaused: false, headBytes: 0, lineBytes: 0, lastByte: 0 };
    receptions.set(this, reception);
  }
  reception.isPaused = false;
  current = reception;
  try {
    parse(this, reception, sharedBuffer().subarray(0, length));
  } finally {
    current = null;
  }
  if (this.destroyed) return false;
  if (this.readableLength === 0) {
    if (reception.isPaused) return false;
    return mustStop(reception, length) ? readAgainLater(this, reception) : true;
  }
  const left = this.read() as Buffer | null;
  if (left !== null) this.unshift(Buffer.from(left));
  return false;
}

/**
 * A full buffer says that there is more, and libuv would read 32 of them before it looks at another socket: a
 * hundred followers would be written 8 MiB each before the next client is so much as accepted. Nor is more
 * read while clients arrive: who has nothing yet comes first. A short read
 * matters to a body that ends with its connection: libuv takes a reset right behind the last bytes for an
 * end, unless reading had stopped meanwhile, and what is cut short would pass for the whole.
 */
function mustStop({ phase }: Reception, length: number): boolean {
  return length === readBytes || phase === 'close' || turns.hasNewcomer;
}

/** In a later turn of the loop, when everybody else had theirs. */
function readAgainLater(socket: Socket, reception: Reception): false {
  turns.next(() => {
    if (!socket.destroyed && !reception.isPaused) socket.read(0);
  });
  return false;
}

function parse(socket: Socket, reception: Reception, bytes: Buffer): void {
  let rest = bytes;
  while (rest.length > 0 && reception.phase === 'head' && !socket.destroyed) {
    const headLength = headLengthOf(reception, rest);
    if (headLength === null) {
      const { remoteAddress, remotePort } = socket;
      const what = 'no HTTP/1 response head: a foreign start, a NUL, or a line feed on its own';
      const from = `http://${remoteAddress}:${remotePort}`;
      socket.destroy(new UpstreamError('UPSTREAM_PROTOCOL', `${from} sent ${what}`));
      return;
    }
    give(socket, Buffer.from(rest.subarray(0, headLength)));
    rest = rest.subarray(headLength);
  }
  if (rest.length === 0 || socket.destroyed) return;
  // The fields behind a chunked body are kept like those of a head.
  give(socket, reception.phase === 'chunked' ? Buffer.from(rest) : rest);
}

/**
 * Bytes up to the end of the head, or all where it goes on; null for what must not pass for one. undici's
 * parser takes a bare line feed for the end of a line, any version, and a NUL in the reason: two readers
 * of the same bytes could then see different responses.
 */
function headLengthOf(reception: Reception, bytes: Buffer): number | null {
  let { headBytes, lineBytes, lastByte } = reception;
  let end = bytes.length;
  for (let at = 0; at < end; at += 1) {
    const byte = bytes[at]!;
    if (byte === 0 || (headBytes < headStart.length && byte !== headStart[headBytes])) return null;
    headBytes += 1;
    lineBytes += 1;
    if (byte === lineFeed) {
      if (lastByte !== carriageReturn) return null;
      // An empty line: its two bytes alone.
      if (lineBytes === 2) {
        headBytes = 0;
        end = at + 1;
      }
      lineBytes = 0;
    }
    lastByte = byte;
  }
  Object.assign(reception, { headBytes, lineBytes, lastByte });
  return end;
}

/** The stream would tell undici in the next tick; by then the buffer may hold something else. */
function give(socket: Socket, chunk: Buffer): void {
  socket.push(chunk);
  socket.emit('readable');
}
