// A body of which the store has a part and a running fill the bytes that it lacked: read in order, from
// whichever has them.

import type { Lease } from '../store/contract.js';
import type { BodySource, BodyStream } from './body.js';

/** Bytes [start, end) come from `fetched`, all others from `stored`. */
export function patchedBody(
  stored: BodySource,
  fetched: BodySource,
  { start, end }: { readonly start: number; readonly end: number },
): BodySource {
  return {
    isSeekable: true,
    isLent: true,
    isStored: false,
    covers: () => true,
    copyTo: () => false,
    open(offset, length) {
      const stop = length === null ? Number.MAX_SAFE_INTEGER : offset + length;
      return new PatchedStream(stored, fetched, { start, end }, offset, stop);
    },
    discard(hasLeft) {
      stored.discard(hasLeft);
      fetched.discard(hasLeft);
    },
  };
}

class PatchedStream implements BodyStream {
  readonly #stored: BodySource;
  readonly #part: { readonly start: number; readonly end: number };
  readonly #stop: number;
  /** Opened at once: what is fetched stays within its reach then, as long as the window allows. */
  #fetched: BodyStream | null;
  #before: BodyStream | null = null;
  #behind: BodyStream | null = null;
  #offset: number;

  constructor(
    stored: BodySource,
    fetched: BodySource,
    part: { readonly start: number; readonly end: number },
    offset: number,
    stop: number,
  ) {
    this.#stored = stored;
    this.#part = part;
    this.#stop = stop;
    this.#offset = offset;
    const from = Math.max(part.start, offset);
    const length = Math.min(part.end, stop) - from;
    if (length > 0) this.#fetched = fetched.open(from, length);
    else {
      this.#fetched = null;
      fetched.discard(false);
    }
  }

  next(): Lease[] | null | Promise<Lease[] | null> {
    const stream = this.#streamAt(this.#offset);
    if (stream === null) return null;
    const read = stream.next();
    return read instanceof Promise ? read.then((late) => this.#passOn(late)) : this.#passOn(read);
  }

  #streamAt(offset: number): BodyStream | null {
    const { start, end } = this.#part;
    if (offset >= this.#stop) return null;
    if (offset < start) {
      this.#before ??= this.#stored.open(offset, Math.min(start, this.#stop) - offset);
      return this.#before;
    }
    if (offset < end) return this.#fetched;
    if (this.#behind === null) {
      const isOpenEnded = this.#stop === Number.MAX_SAFE_INTEGER;
      this.#behind = this.#stored.open(offset, isOpenEnded ? null : this.#stop - offset);
    }
    return this.#behind;
  }

  #passOn(leases: Lease[] | null): Lease[] | null {
    for (const lease of leases ?? []) this.#offset += lease.bytes.length;
    return leases;
  }

  close(): void {
    this.#before?.close();
    this.#fetched?.close();
    this.#behind?.close();
    this.#offset = this.#stop;
  }
}
