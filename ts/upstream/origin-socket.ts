// Sockets to origins, over TLS or not. Node allocates 64 KiB for each read of a socket and leaves them to the
// garbage collector, which then runs over the whole heap for every 64 MiB received. These sockets read
// into one buffer that all of them share, four times as long, and hand it to undici at once.
//
// What undici or a reader would keep for longer than the call must not lie in that buffer: undici keeps
// views of header fields until the head is whole, and what a paused parser has left goes back to the
// stream. Both are copied here. Readers of bodies know: a chunk is theirs until their call returns.
//
// undici gives a connection up when a 100 comes that it did not ask for, and breaks a body behind which a
// Content-Length comes. Those are taken out here.

import { Buffer } from 'node:buffer';
import { subscribe } from 'node:diagnostics_channel';
import type { OnReadOpts, Socket } from 'node:net';
import { UpstreamError } from '../errors.js';
import { turns } from '../turns.js';
import { TrailerFilter } from './trailers.js';

/** Fits the second level cache with its copies; more makes no fewer turns. */
const readBytes = 256 * 1024;
/** Of every response head, interim ones too. */
const headStart = Buffer.from('HTTP/1.');
const headEnd = Buffer.from('\r\n\r\n');
const nothing = Buffer.alloc(0);
/** What a 100 begins with; then a space or the end of the line. */
const continueStart = 'HTTP/1.1 100';
/** A 100 has hardly any fields; one that goes on for longer is none. */
const continueBytesMax = 4096;
/** Interim responses to one request: origins send two or three. */
export const interimsMax = 32;
const zeroDigit = 0x30;
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
  /** A request was sent that has no final head yet: what comes now is not out of place. */
  isAwaited: boolean;
  /** First bytes of a response head that may become a 100; null behind that point. */
  opening: Buffer | null;
  /** 100s in front of this response. */
  continues: number;
  /** Of HTTP/1.x: the digit behind the point. */
  minorVersion: number;
  /** While a chunked body comes. */
  trailers: TrailerFilter | null;
}

/** The head is over; how the end of the body is known. */
export function expectBody(reception: Reception, phase: Exclude<ReceptionPhase, 'head'>): void {
  reception.phase = phase;
  reception.trailers = phase === 'chunked' ? new TrailerFilter() : null;
}

/** What comes next on this connection is the head of another response, once one is asked for. */
export function expectHead(reception: Reception): void {
  reception.phase = 'head';
  reception.trailers = null;
  reception.isAwaited = false;
  reception.opening = nothing;
  reception.continues = 0;
}

const receptions = new WeakMap<Socket, Reception>();
let current: Reception | null = null;

/** Of the socket whose bytes are being parsed right now; null elsewhere. */
export function currentReception(): Reception | null {
  return current;
}

let isWatching = false;

/** undici tells when it writes the head of a request, and to which socket. */
function watchRequests(): void {
  if (isWatching) return;
  isWatching = true;
  subscribe('undici:client:sendHeaders', (message) => {
    receptionOf((message as { socket: Socket }).socket).isAwaited = true;
  });
}

function receptionOf(socket: Socket): Reception {
  let reception = receptions.get(socket);
  if (reception === undefined) {
    reception = {
      phase: 'head',
      isPaused: false,
      headBytes: 0,
      lineBytes: 0,
      lastByte: 0,
      isAwaited: false,
      opening: nothing,
      continues: 0,
      minorVersion: 1,
      trailers: null,
    };
    receptions.set(socket, reception);
  }
  return reception;
}

/** For net.connect and tls.connect: reads into the shared buffer. */
export function sharedReads(): OnReadOpts {
  watchRequests();
  return { buffer: sharedBuffer(), callback: receive };
}

let shared: Buffer | null = null;

function sharedBuffer(): Buffer {
  shared ??= Buffer.allocUnsafeSlow(readBytes);
  return shared;
}

/** Node calls it as a method of the socket. True: read on. */
function receive(this: Socket, length: number): boolean {
  const reception = receptionOf(this);
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
    rest = withoutContinues(reception, rest);
    if (rest.length === 0) return;
    const headLength = headLengthOf(reception, rest);
    if (headLength === null) {
      const { remoteAddress, remotePort } = socket;
      const what = 'no HTTP/1 response head: a foreign start, a NUL, or a line feed on its own';
      const scheme = 'encrypted' in socket ? 'https' : 'http';
      const from = `${scheme}://${remoteAddress}:${remotePort}`;
      socket.destroy(new UpstreamError('UPSTREAM_PROTOCOL', `${from} sent ${what}`));
      return;
    }
    give(socket, Buffer.from(rest.subarray(0, headLength)));
    rest = rest.subarray(headLength);
    // An interim response ended here, or undici saw the whole of a final one.
    if (reception.headBytes === 0 && reception.phase === 'head') reception.opening = nothing;
  }
  if (rest.length === 0 || socket.destroyed) return;
  const { trailers } = reception;
  const passed = trailers === null ? rest : trailers.pass(rest);
  if (passed.length === 0) return;
  // Of fields behind the body, where some are left, views are kept like of those of a head.
  give(socket, trailers?.isOver ? Buffer.from(passed) : passed);
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
    if (headBytes === headStart.length) reception.minorVersion = byte - zeroDigit;
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

/**
 * The bytes behind any 100 that a response begins with; none where it is not known yet. What nobody asked
 * for goes on as it is: undici then gives the connection up.
 */
function withoutContinues(reception: Reception, bytes: Buffer): Buffer {
  const { opening, isAwaited } = reception;
  if (opening === null || !isAwaited) return bytes;
  let rest = opening.length === 0 ? bytes : Buffer.concat([opening, bytes]);
  reception.opening = null;
  while (reception.continues < interimsMax) {
    const start = rest.toString('latin1', 0, continueStart.length + 1);
    const isShort = start.length <= continueStart.length && continueStart.startsWith(start);
    const isContinue = start.startsWith(continueStart) && /[ \r]$/.test(start);
    if (!isShort && !isContinue) return rest;
    const end = isContinue ? rest.indexOf(headEnd) : -1;
    if (end < 0) {
      if (rest.length > continueBytesMax) return rest;
      reception.opening = Buffer.from(rest);
      return nothing;
    }
    reception.continues += 1;
    rest = rest.subarray(end + headEnd.length);
    if (rest.length === 0) {
      reception.opening = nothing;
      return nothing;
    }
  }
  return rest;
}

/** The stream would tell undici in the next tick; by then the buffer may hold something else. */
function give(socket: Socket, chunk: Buffer): void {
  socket.push(chunk);
  socket.emit('readable');
}
