// A running fill and its followers, over the addon's handles (native/engine/fill has the rules). This side
// adds what needs JavaScript: bytes that found no page wait here until one is free, and a producer
// that is paused for a laggard's sake goes on after the grace.

import type { Completions } from '../native/completions.js';
import {
  type NativeStore,
  nativePending,
  pauseLaggard,
  pauseNone,
  pollBehind,
  pollEnd,
  pollFailed,
  pollWait,
} from '../native/contract.js';
import {
  statusAgain,
  statusNotFound,
  statusOk,
  storeErrorOf,
  translateFailure,
} from '../native/status.js';
import type { Fill, FillHead, Follower, FollowerRead, Lease, StoredObject } from './contract.js';
import { takeLeases } from './leases.js';
import { NativeObject } from './stored-object.js';

export interface FillOptions {
  readonly native: NativeStore;
  readonly completions: Completions;
  readonly primaryKey: string;
  /** Key of the record for this head and these request fields. */
  readonly keyOf: (head: FillHead) => string;
  /** Called when the response under this head can be found, if the URI's other variants can as well. */
  readonly onPublished: (fill: NativeFill, head: FillHead) => void;
  /** How long a producer waits for a follower that nothing else can serve. */
  readonly followerGraceMs: number;
  /** Reads a chunk from a tier outside the addon; null where there is none. */
  readonly readOutside:
    | ((fill: number, offset: number, length: number) => Promise<Lease[] | null>)
    | null;
}

export class NativeFill implements Fill {
  readonly primaryKey: string;
  onResume: () => void = () => {};
  failure: Error | null = null;
  produced = 0;
  followers = 0;
  readonly #options: FillOptions;
  readonly handle: number;
  readonly #token: number;
  #rest: Uint8Array | null = null;
  #finishing = false;
  #closing = false;
  #isPaused = false;
  /** Calls of #push on the stack. */
  #pushes = 0;
  #graceTimer: NodeJS.Timeout | null = null;
  #closed = false;
  #wasPurged = false;
  #head: FillHead | null = null;

  constructor(options: FillOptions) {
    this.#options = options;
    this.primaryKey = options.primaryKey;
    this.#token = options.completions.standing(() => this.#resume());
    this.handle = options.native.beginFill(this.#token, options.primaryKey);
  }

  begin(head: FillHead): void {
    this.#head = head;
    const bodyLength = head.bodyLength ?? -1;
    this.#options.native.fillBegin(
      this.handle,
      this.#options.keyOf(head),
      head.head,
      bodyLength,
      head.store,
      head.mayCompress ?? false,
      head.part?.start ?? 0,
      head.part?.end ?? 0,
      handleOf(head.part?.known ?? null),
    );
    if (head.part !== undefined) {
      this.produced = head.part.start;
      // What is incomplete is found from now on.
      this.#options.onPublished(this, head);
    }
    this.#options.completions.drain();
  }

  append(bytes: Uint8Array): boolean {
    if (this.#rest !== null) {
      // The producer did not pause: the bytes that found no page must stay in order.
      this.#rest = joined(this.#rest, bytes);
      return false;
    }
    return this.#push(bytes);
  }

  #push(bytes: Uint8Array): boolean {
    const result = this.#options.native.fillAppend(this.handle, bytes, 0);
    const accepted = Math.floor(result / 16);
    const pause = (result % 16) >> 1;
    this.produced += accepted;
    // The producer uses its buffer again as soon as this returns.
    if (accepted < bytes.length) this.#rest = new Uint8Array(bytes.subarray(accepted));
    if (pause !== pauseNone) this.#startGrace();
    this.#isPaused = pause !== pauseNone;
    if (result % 2 === 1) {
      // A pause may end in here, before the producer has heard of it: then there was none.
      this.#pushes += 1;
      this.#options.completions.drain();
      this.#pushes -= 1;
    }
    return !this.#isPaused;
  }

  /** A pause for another reason may become one for a laggard's sake: nobody says so, it is looked up. */
  #startGrace(): void {
    if (this.#graceTimer !== null) return;
    this.#graceTimer = setTimeout(() => this.#endGrace(), this.#options.followerGraceMs);
    this.#graceTimer.unref();
  }

  #endGrace(): void {
    this.#graceTimer = null;
    if (this.#closed || !this.#isPaused) return;
    const { native } = this.#options;
    if (native.fillPause(this.handle) === pauseLaggard) native.fillDropLaggards(this.handle);
    this.#startGrace();
  }

  #resume(): void {
    if (this.#closed) return;
    this.#clearGrace();
    this.#isPaused = false;
    const rest = this.#rest;
    if (rest !== null) {
      this.#rest = null;
      if (!this.#push(rest)) return;
    }
    if (this.#finishing) this.#finishNow();
    else if (this.#pushes === 0) this.onResume();
  }

  finish(): void {
    if (this.#rest !== null) this.#finishing = true;
    else this.#finishNow();
  }

  #finishNow(): void {
    this.#clearGrace();
    try {
      this.#options.native.fillFinish(this.handle);
      if (this.#head !== null) this.#options.onPublished(this, this.#head);
    } catch (error) {
      this.fail(translateFailure(error) as Error);
    }
    this.#options.completions.drain();
    if (this.#closing) this.close();
  }

  fail(reason: Error): void {
    if (this.#closed || this.failure !== null) return;
    this.failure = reason;
    this.#rest = null;
    this.#clearGrace();
    this.#options.native.fillFail(this.handle);
    if (this.#head !== null) this.#options.onPublished(this, this.#head);
    this.#options.completions.drain();
  }

  isPurged(): boolean {
    return this.#closed ? this.#wasPurged : this.#options.native.isFillPurged(this.handle);
  }

  follow(offset: number): Follower {
    this.followers += 1;
    return new NativeFollower(this.#options, this.handle, offset, () => {
      this.followers -= 1;
    });
  }

  async readStored(offset: number, length: number): Promise<Lease[] | null> {
    if (this.#closed) return null;
    const { native, completions, readOutside } = this.#options;
    const leases = await readRange(native, completions, (token) =>
      native.fillRead(token, this.handle, offset, length),
    );
    if (leases !== null || readOutside === null) return leases;
    return readOutside(this.handle, offset, length);
  }

  close(): void {
    if (this.#closed) return;
    if (this.#finishing && this.#rest !== null) {
      // The last bytes still wait for a page; without them the object would not be stored.
      this.#closing = true;
      return;
    }
    this.#wasPurged = this.isPurged();
    this.#closed = true;
    this.#clearGrace();
    this.#options.completions.remove(this.#token);
    this.#options.native.closeFill(this.handle);
  }

  #clearGrace(): void {
    if (this.#graceTimer !== null) clearTimeout(this.#graceTimer);
    this.#graceTimer = null;
  }
}

class NativeFollower implements Follower {
  readonly #options: FillOptions;
  readonly #handle: number;
  readonly #token: number;
  readonly #onClose: () => void;
  #waiting: (() => void) | null = null;
  #closed = false;
  cursor: number;

  constructor(options: FillOptions, fill: number, offset: number, onClose: () => void) {
    this.#options = options;
    this.#onClose = onClose;
    this.cursor = offset;
    this.#token = options.completions.standing(() => this.#wake());
    this.#handle = options.native.follow(fill, this.#token, offset);
  }

  next(maximumBytes: number): FollowerRead | Promise<FollowerRead> {
    const read = this.#poll(maximumBytes);
    if (read !== null) return read;
    return new Promise((resolve) => {
      this.#waiting = () => {
        const later = this.#poll(maximumBytes);
        if (later === null) return;
        this.#waiting = null;
        resolve(later);
      };
    });
  }

  /** Null: nothing yet, the token will be posted. */
  #poll(maximumBytes: number): FollowerRead | null {
    if (this.#closed) return { kind: 'failed' };
    const result = this.#options.native.poll(this.#handle, maximumBytes);
    if (result > 0) {
      const leases = takeLeases(this.#options.native, result);
      const offset = this.cursor;
      for (const lease of leases) this.cursor += lease.bytes.length;
      return { kind: 'data', offset, leases };
    }
    if (result === pollWait) return null;
    if (result === pollEnd) return { kind: 'end' };
    if (result === pollBehind) return { kind: 'behind', offset: this.cursor };
    if (result === pollFailed) return { kind: 'failed' };
    throw storeErrorOf(0, `the addon answered ${result} to a poll`);
  }

  #wake(): void {
    this.#waiting?.();
  }

  skipTo(offset: number): void {
    if (this.#closed || offset <= this.cursor) return;
    this.cursor = offset;
    this.#options.native.skipTo(this.#handle, offset);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.completions.remove(this.#token);
    this.#options.native.unfollow(this.#handle);
    this.#onClose();
    this.#wake();
  }
}

function handleOf(object: StoredObject | null): number {
  if (object === null) return 0;
  if (!(object instanceof NativeObject)) throw new TypeError('an object of another store');
  return object.handle;
}

/** While every page is in use: pages come back as clients read, so a moment later there may be one. */
const againAfterMs = 5;
const againMax = 1000;

/**
 * Runs a native read; null where nothing is stored. Waits a bounded time while no page is free. Rejects
 * with the StoreError of its status.
 */
export async function readRange(
  native: NativeStore,
  completions: Completions,
  start: (token: number) => number,
): Promise<Lease[] | null> {
  for (let attempt = 0; ; attempt += 1) {
    const { code, value } = await readOnce(completions, start);
    if (code === statusOk) return value === 0 ? null : takeLeases(native, value);
    if (code === statusNotFound) return null;
    if (code !== statusAgain || attempt === againMax) {
      throw storeErrorOf(code, 'a stored part could not be read');
    }
    await new Promise((resolve) => setTimeout(resolve, againAfterMs));
  }
}

function readOnce(
  completions: Completions,
  start: (token: number) => number,
): Promise<{ code: number; value: number }> {
  return new Promise((resolve, reject) => {
    const token = completions.once((code, value) => resolve({ code, value }));
    try {
      const result = start(token);
      if (result === nativePending) return;
      completions.remove(token);
      resolve({ code: statusOk, value: result });
    } catch (error) {
      completions.remove(token);
      reject(translateFailure(error));
    }
  });
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const out = new Uint8Array(first.length + second.length);
  out.set(first);
  out.set(second, first.length);
  return out;
}
