// Bytes from a body stream to the client's socket. A lease goes back in the callback of the write that sends
// it, or when the socket has closed: libuv may read from the page until then.

import { ClientError } from '../errors.js';
import type { Lease } from '../store/contract.js';
import type { BodyStream } from './body.js';
import { type Exchange, isClientGone } from './exchange.js';
import { onSocketClose } from './socket-close.js';

/** Handed to the socket and not written yet: a few reads deep, so that the client never waits for us. */
const inFlightBytesMax = 512 * 1024;
/** One page: less cannot be lent. */
const inFlightBytesMin = 64 * 1024;
/** Of memory_limit: what all clients together may have in flight while they are not too many. */
const inFlightShare = 1 / 4;

/** Slow readers pin the pages in flight to them: with many clients each gets fewer, so that all move. */
export function inFlightLimit(exchange: Exchange): number {
  const { config, counters } = exchange.services;
  const all = config.memoryLimitBytes * inFlightShare;
  // Whole bytes: reads are asked for by this number.
  const share = Math.floor(all / Math.max(1, counters.exchangesOpen));
  return Math.min(inFlightBytesMax, Math.max(inFlightBytesMin, share));
}

/**
 * Bytes sent. Rejects with the error that broke the body, or CLIENT_ABORTED. `first` was read from the
 * stream before, and is taken over; null: nothing was.
 */
export async function sendBody(
  exchange: Exchange,
  stream: BodyStream,
  length: number | null,
  first: Lease[] | null,
): Promise<number> {
  // A client that leaves while the origin is silent must not hold what the stream holds until it speaks.
  const sender = new Sender(exchange, () => stream.close());
  // Head and first bytes go out together, unless the bytes are not there yet: then the head goes ahead.
  const headStart =
    first === null ? setImmediate(() => exchange.response.flushHeaders()) : undefined;
  try {
    let sent = 0;
    let given = first;
    while (length === null || sent < length) {
      const leases = given ?? (await nextOf(stream, sender));
      given = null;
      if (leases === null) break;
      clearImmediate(headStart);
      sent += sender.write(leases);
      exchange.sentBytes = sent;
      await sender.room();
    }
    return sent;
  } finally {
    clearImmediate(headStart);
    sender.detach();
  }
}

async function nextOf(stream: BodyStream, sender: Sender): Promise<Lease[] | null> {
  let leases: Lease[] | null;
  sender.check();
  try {
    const read = stream.next();
    leases = read instanceof Promise ? await read : read;
  } catch (error) {
    // What a stream says that was closed under way is of no interest.
    sender.check();
    throw error;
  }
  if (leases === null) sender.check();
  return leases;
}

class Sender {
  readonly #exchange: Exchange;
  readonly #onGone: () => void;
  readonly #open = new Set<Lease>();
  #inFlight = 0;
  #wake: (() => void) | null = null;
  #isGone: boolean;
  #isDetached = false;
  readonly #unwatch: () => void;

  constructor(exchange: Exchange, onGone: () => void) {
    this.#exchange = exchange;
    this.#onGone = onGone;
    this.#isGone = isClientGone(exchange);
    this.#unwatch = onSocketClose(exchange.socket, () => this.#close());
  }

  /** Takes the leases over, also when it throws. */
  write(leases: readonly Lease[]): number {
    if (this.#isGone) {
      for (const lease of leases) lease.release();
      throw new ClientError('CLIENT_ABORTED', 'the client closed the connection');
    }
    return leases.reduce((sum, lease) => sum + this.#writeOne(lease), 0);
  }

  #writeOne(lease: Lease): number {
    const { length } = lease.bytes;
    this.#open.add(lease);
    this.#inFlight += length;
    this.#exchange.response.write(lease.bytes, () => {
      this.#inFlight -= length;
      this.#give(lease);
      this.#wake?.();
    });
    return length;
  }

  /** Resolves when more may be written; rejects when the client is gone. */
  async room(): Promise<void> {
    while (this.#inFlight >= inFlightLimit(this.#exchange) && !this.#isGone) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = null;
    }
    this.check();
  }

  /** Throws when nobody reads any more. */
  check(): void {
    if (this.#isGone) throw new ClientError('CLIENT_ABORTED', 'the client closed the connection');
  }

  #give(lease: Lease): void {
    this.#open.delete(lease);
    lease.release();
    if (this.#isDetached && this.#open.size === 0) this.#unwatch();
  }

  #close(): void {
    this.#isGone = true;
    for (const lease of this.#open) this.#give(lease);
    if (!this.#isDetached) this.#onGone();
    this.#wake?.();
  }

  /** What is still being written is released by its callback or by the close that follows. */
  detach(): void {
    this.#isDetached = true;
    if (this.#open.size === 0) this.#unwatch();
  }
}
