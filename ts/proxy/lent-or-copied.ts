// Bodies that are not small: the pages that hold them are lent to the socket, or with enable_zero_copy: false
// their bytes are copied out, and the page is free as soon as that is done, however slow the client.

import { Buffer } from 'node:buffer';
import type { Lease } from '../store/contract.js';
import type { BodySource, BodyStream } from './body.js';
import type { Exchange } from './exchange.js';
import type { ProxyCounters } from './services.js';

/** Copies that sockets have not taken yet. What does not fit is lent, or memory would have no bound. */
const copiedBytesMax = 24 * 1024 * 1024;
/** Memory of copies that were sent, kept for the next ones: else the collector would be late with it. */
const spareBytesMax = 8 * 1024 * 1024;
const smallestPiece = 64 * 1024;

let copiedBytes = 0;
let spareBytes = 0;
/** By size, a power of two. */
const spares = new Map<number, Uint8Array[]>();

export function lentOrCopied(exchange: Exchange, body: BodySource, stream: BodyStream): BodyStream {
  const { config, counters } = exchange.services;
  if (!body.isLent || config.rawDiskCache[0]!.enableZeroCopy) return stream;
  const copies = (leases: Lease[] | null) =>
    leases?.map((lease) => copyOfLease(lease, counters)) ?? null;
  return {
    next() {
      const read = stream.next();
      return read instanceof Promise ? read.then(copies) : copies(read);
    },
    close: () => stream.close(),
  };
}

function copyOfLease(lease: Lease, counters: ProxyCounters): Lease {
  const { length } = lease.bytes;
  let size = smallestPiece;
  while (size < length) size *= 2;
  if (copiedBytes + size > copiedBytesMax) return lease;
  const memory = take(size);
  memory.set(lease.bytes);
  lease.release();
  copiedBytes += size;
  counters.copiedBytes += length;
  let isHeld = true;
  return {
    bytes: memory.subarray(0, length),
    release() {
      if (!isHeld) return;
      isHeld = false;
      copiedBytes -= size;
      giveBack(memory);
    },
  };
}

function take(size: number): Uint8Array {
  const spare = spares.get(size)?.pop();
  if (spare === undefined) return Buffer.allocUnsafeSlow(size);
  spareBytes -= size;
  return spare;
}

function giveBack(memory: Uint8Array): void {
  if (spareBytes + memory.length > spareBytesMax) return;
  const same = spares.get(memory.length);
  if (same === undefined) spares.set(memory.length, [memory]);
  else same.push(memory);
  spareBytes += memory.length;
}
