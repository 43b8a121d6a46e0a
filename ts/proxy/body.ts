// Bodies as the serve step sees them, wherever the bytes come from: a stored object, a running fill, or an
// origin whose answer nobody may store. Bytes travel as leases; a body hands them on in order and says
// when it is at its end. A body that breaks throws: the client must see the break.

import { Buffer } from 'node:buffer';
import { type MillraceError, UpstreamError } from '../errors.js';
import type { Fill, Follower, Lease, StoredObject } from '../store/contract.js';
import { turns } from '../turns.js';
import type { UpstreamBody } from '../upstream/request.js';
import type { AheadOfClient, ReadAhead } from './read-ahead.js';

/** Bytes asked for at once: enough to keep a socket busy, little enough for ten thousand clients. */
const readBytes = 256 * 1024;
/** The first piece of a running fill: with many who wait for theirs, it is the others' time as well. */
const firstReadBytes = 64 * 1024;

export interface BodyStream {
  /** The next bytes, or null at the end. Throws or rejects with the error that broke the body. */
  next(): Lease[] | null | Promise<Lease[] | null>;
  /**
   * Goes on with body bytes [offset, end), which lie behind those that it has given. Where that is missing,
   * the source may be opened again.
   */
  moveTo?(offset: number, end: number): void;
  /** Idempotent; gives back what the stream holds. */
  close(): void;
}

export interface BodySource {
  /** May be opened at any offset. Otherwise only once and from 0. */
  readonly isSeekable: boolean;
  /** At any offset once more, also before where it was read before. */
  readonly opensAgain: boolean;
  /** Its bytes lie in pages of the store, which sockets borrow. */
  readonly isLent: boolean;
  /** Out of the store: whether the bytes are there is known by reading them, at once. */
  readonly isStored: boolean;
  /** False where a part of these bytes is known to be gone and cannot be had from elsewhere. */
  covers(offset: number, length: number): boolean;
  /** Fills `target` from `offset` on where the bytes are at hand; false where they are to be read. */
  copyTo(target: Uint8Array, offset: number): boolean;
  /** Body bytes from `offset` on; `length` of them, or to the end where it is null. */
  open(offset: number, length: number | null): BodyStream;
  /** Not opened and not wanted; `hasLeft`: because the client is gone. */
  discard(hasLeft: boolean): void;
}

/** Fetches [offset, end) of the same version from the origin; null where it cannot be proved the same. */
export type Resume = ((offset: number, end: number) => Promise<BodyStream>) | null;

export interface StoredBodyOptions {
  readonly object: StoredObject;
  readonly bodyLength: number;
  readonly resume: Resume;
  /** Called when a part turns out to be gone. */
  readonly onMissing: () => void;
  /** What to read before it is asked for; null: the body is too small for that. */
  readonly ahead: AheadOfClient | null;
  /** How much to ask for at once. A whole chunk, where it is allowed, comes back into memory. */
  readonly readBytes: () => number;
}

export function storedBody(options: StoredBodyOptions): BodySource {
  const { object, bodyLength, resume, ahead } = options;
  return {
    isSeekable: true,
    opensAgain: true,
    isLent: true,
    isStored: true,
    covers: (offset, length) => resume !== null || object.covers(offset, length),
    copyTo(target, offset) {
      const isCopied = object.copyTo(target, offset);
      if (isCopied) ahead?.copied(offset, offset + target.length);
      return isCopied;
    },
    open(offset, length) {
      const end = length === null ? bodyLength : offset + length;
      return new StoredStream(options, offset, end);
    },
    discard() {},
  };
}

class StoredStream implements BodyStream {
  readonly #object: StoredObject;
  readonly #end: number;
  readonly #resume: Resume;
  readonly #onMissing: () => void;
  readonly #readBytes: () => number;
  #offset: number;
  readonly #ahead: ReadAhead | null;
  #rest: BodyStream | null = null;

  constructor(options: StoredBodyOptions, offset: number, end: number) {
    this.#ahead = options.ahead?.open(offset, end) ?? null;
    this.#object = options.object;
    this.#offset = offset;
    this.#end = end;
    this.#resume = options.resume;
    this.#onMissing = options.onMissing;
    this.#readBytes = options.readBytes;
  }

  next(): Lease[] | null | Promise<Lease[] | null> {
    if (this.#rest !== null) return this.#rest.next();
    if (this.#offset >= this.#end) return null;
    const wanted = Math.min(this.#readBytes(), this.#end - this.#offset);
    const leases = this.#object.read(this.#offset, wanted);
    // After the read that the client waits for, so that it is the first at the device.
    this.#ahead?.reads(this.#offset);
    return leases instanceof Promise ? this.#after(leases) : this.#passOn(leases);
  }

  #passOn(leases: Lease[]): Lease[] {
    for (const lease of leases) this.#offset += lease.bytes.length;
    return leases;
  }

  async #after(read: Promise<Lease[]>): Promise<Lease[] | null> {
    try {
      return this.#passOn(await read);
    } catch (error) {
      // A part is gone (reclaimed, damaged): the object must not be found like this again. A device that
      // fails or a store without a free page says nothing about the object.
      if (isMissing(error)) this.#onMissing();
      if (this.#resume === null) throw error;
      this.#rest = await this.#resume(this.#offset, this.#end);
      return this.#rest.next();
    }
  }

  close(): void {
    this.#rest?.close();
    this.#ahead?.close(this.#offset);
    this.#offset = this.#end;
  }
}

function isMissing(error: unknown): boolean {
  const { code } = error as Partial<MillraceError>;
  return code === 'ERR_MILLRACE_STORE_NOT_FOUND' || code === 'ERR_MILLRACE_STORE_CORRUPT_RECORD';
}

/** A running or just completed fill, and the number of those who hold it. */
export interface FillShare {
  readonly fill: Fill;
  /** Ended where another one goes on, not by a fault. */
  readonly isCut: boolean;
  retain(): void;
  /** `hasLeft`: a client went away before the end of what it had asked for. */
  release(hasLeft: boolean): void;
}

export function fillBody(share: FillShare, bodyLength: number | null, resume: Resume): BodySource {
  // Held from now on: a fill that nobody holds may end before the body is opened.
  share.retain();
  let isHeld = true;
  const drop = (hasLeft: boolean) => {
    if (isHeld) share.release(hasLeft);
    isHeld = false;
  };
  return {
    isSeekable: bodyLength !== null,
    opensAgain: false,
    isLent: true,
    isStored: false,
    covers: () => true,
    copyTo: () => false,
    open(offset, length) {
      const end = length === null ? bodyLength : offset + length;
      return new FillStream(share, offset, end, resume, drop);
    },
    discard: drop,
  };
}

class FillStream implements BodyStream {
  readonly #share: FillShare;
  readonly #fill: Fill;
  readonly #follower: Follower;
  #end: number | null;
  readonly #resume: Resume;
  readonly #onClose: (hasLeft: boolean) => void;
  #rest: BodyStream | null = null;
  #hasBegun = false;
  #hasEnded = false;

  constructor(
    share: FillShare,
    offset: number,
    end: number | null,
    resume: Resume,
    onClose: (hasLeft: boolean) => void,
  ) {
    this.#share = share;
    this.#fill = share.fill;
    this.#end = end;
    this.#resume = resume;
    this.#onClose = onClose;
    this.#follower = this.#fill.follow(offset);
  }

  async next(): Promise<Lease[] | null> {
    if (this.#rest !== null) return this.#rest.next();
    const { cursor } = this.#follower;
    const wanted = this.#hasBegun ? readBytes : firstReadBytes;
    const left = this.#end === null ? wanted : Math.min(wanted, this.#end - cursor);
    if (left <= 0) return null;
    // More is there already: one piece per turn of the loop, so that nobody gets much before all have some.
    if (this.#hasBegun && cursor < this.#fill.produced) {
      await new Promise<void>((resolve) => turns.next(resolve));
    }
    this.#hasBegun = true;
    const read = await this.#follower.next(left);
    switch (read.kind) {
      case 'data':
        return read.leases;
      case 'end':
        this.#hasEnded = true;
        return null;
      case 'failed':
        if (this.#share.isCut) return this.#goOn(cursor);
        throw (
          this.#fill.failure ?? new UpstreamError('UPSTREAM_TRUNCATED', 'the fill was given up')
        );
      case 'behind':
        return this.#catchUp(read.offset, left);
    }
  }

  /** The window has moved on: the store has these bytes, or the origin is asked for the rest. */
  async #catchUp(offset: number, length: number): Promise<Lease[] | null> {
    const leases = await this.#fill.readStored(offset, length).catch(() => null);
    if (leases !== null) {
      const bytes = leases.reduce((sum, lease) => sum + lease.bytes.length, 0);
      this.#follower.skipTo(offset + bytes);
      return leases;
    }
    return this.#goOn(offset);
  }

  async #goOn(offset: number): Promise<Lease[] | null> {
    if (this.#resume === null || this.#end === null) {
      throw new UpstreamError(
        'UPSTREAM_TRUNCATED',
        `byte ${offset} left memory before this client had read it, and it is stored nowhere`,
      );
    }
    this.#rest = await this.#resume(offset, this.#end);
    return this.#rest.next();
  }

  moveTo(offset: number, end: number): void {
    this.#rest?.close();
    this.#rest = null;
    this.#follower.skipTo(offset);
    this.#end = end;
  }

  close(): void {
    this.#rest?.close();
    this.#follower.close();
    // One that reads the rest elsewhere has not been waiting for the fill.
    const isDone = this.#hasEnded || this.#rest !== null || this.#follower.cursor === this.#end;
    this.#onClose(!isDone);
  }
}

/** The body of an answer that has one reader, straight from the origin's socket. */
export function upstreamBody(body: UpstreamBody): BodySource {
  return {
    isSeekable: false,
    opensAgain: false,
    isLent: false,
    isStored: false,
    covers: () => true,
    copyTo: () => false,
    open: () => new UpstreamStream(body),
    discard: () => body.abort(),
  };
}

/** A lease on bytes that are JavaScript's own: nothing to give back. */
function ownBytes(bytes: Uint8Array): Lease {
  return { bytes, release() {} };
}

export class UpstreamStream implements BodyStream {
  readonly #body: UpstreamBody;
  #chunks: Lease[] = [];
  #ending: 'end' | UpstreamError | null = null;
  #wake: (() => void) | null = null;

  constructor(body: UpstreamBody) {
    this.#body = body;
    body.read({
      onData: (chunk) => {
        this.#chunks.push(ownBytes(Buffer.from(chunk)));
        this.#wake?.();
        // One chunk at a time: the reader's pace is the origin's.
        return false;
      },
      onEnd: () => this.#finish('end'),
      onError: (error) => this.#finish(error),
    });
  }

  #finish(ending: 'end' | UpstreamError): void {
    this.#ending = ending;
    this.#wake?.();
  }

  async next(): Promise<Lease[] | null> {
    if (this.#chunks.length === 0 && this.#ending === null) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        this.#body.resume();
      });
      this.#wake = null;
    }
    if (this.#chunks.length > 0) {
      const chunks = this.#chunks;
      this.#chunks = [];
      return chunks;
    }
    if (this.#ending instanceof UpstreamError) throw this.#ending;
    return null;
  }

  close(): void {
    if (this.#ending === null) this.#body.abort();
    this.#finish('end');
  }
}
