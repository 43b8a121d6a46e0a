// Which chunks of a stored body are read before their client asks. One client reads one body in order, or it
// does not: that is judged by stream, and across the ranges that one connection asks of one object. Whether
// memory and device have room for it is the store's decision. Bytes do not pass here.

import type { Socket } from 'node:net';
import type { Clock } from '../clock.js';
import type { StoredObject } from '../store/contract.js';
import { onSocketClose } from './socket-close.js';

const chunkSize = 1024 * 1024;
/** Chunks: enough to hide the device from a fast client; what it leaves behind is lost. */
const windowMax = 4;
/** Steps from one chunk to the next one, before a client that said nothing counts as reading in order. */
const stepsInOrder = 2;
/** A client that takes longer for a chunk gains nothing: it would be read just as well on time. */
const aheadMs = 2000;

/** Of one stream at a time. */
export interface ReadAhead {
  /** The stream has asked for bytes at this offset. */
  reads(offset: number): void;
  /** The stream ended at this offset. Idempotent. */
  close(offset: number): void;
}

/** Of one body and the connection that it goes to. */
export interface AheadOfClient {
  /** For a stream over [offset, end). */
  open(offset: number, end: number): ReadAhead;
  /** These bytes went out without a stream. */
  copied(offset: number, end: number): void;
}

/** Null: the body is one record, which is read whole anyway. */
export function readAheadFor(
  socket: Socket,
  object: StoredObject,
  bodyLength: number,
  clock: Clock,
): AheadOfClient | null {
  if (bodyLength <= chunkSize) return null;
  const name = `${object.key} ${bodyLength} ${object.head.etag}`;
  return {
    open(offset, end) {
      const run = takeParked(socket, name, offset) ?? new Run(startOf(socket, name, offset, end));
      run.begin(object, end);
      return {
        reads: (at) => run.reads(at, clock.monotonic()),
        close: (at) => run.end(at, socket, name),
      };
    },
    copied(offset, end) {
      const run = takeParked(socket, name, offset);
      if (run === null) return;
      run.begin(object, end);
      run.reads(offset, clock.monotonic());
      run.end(end, socket, name);
    },
  };

  /** A body to its end, from its beginning or by a client that did not jump there: it will be read on. */
  function startOf(where: Socket, what: string, offset: number, end: number): number {
    const isSeek = dropParked(where, what) && offset > 0;
    return end === bodyLength && !isSeek ? 1 : 0;
  }
}

/** One client's way through one body. */
class Run {
  #object: StoredObject | null = null;
  #end = 0;
  #window: number;
  #steps = 0;
  /** Requests that went on where the one before had ended. */
  #continued = -1;
  #chunk = -1;
  #sinceMs = 0;
  /** What to call when the chunk was read. */
  readonly #asked = new Map<number, () => void>();
  /** Where the next request goes on, if this is a client that reads in order. */
  expected = 0;

  constructor(window: number) {
    this.#window = window;
  }

  begin(object: StoredObject, end: number): void {
    this.#object = object;
    this.#end = end;
    this.#continued += 1;
  }

  reads(offset: number, nowMs: number): void {
    const chunk = Math.floor(offset / chunkSize);
    if (this.#object === null || chunk === this.#chunk) return;
    let window = this.#window;
    if (this.#chunk >= 0) {
      this.#steps += 1;
      if (window > 0) window = Math.min(windowMax, 2 * window);
      else if (this.#steps >= stepsInOrder) window = 1;
      this.#window = window;
      const perChunkMs = Math.max(1, nowMs - this.#sinceMs);
      window = Math.min(window, Math.floor(aheadMs / perChunkMs));
    }
    this.#chunk = chunk;
    this.#sinceMs = nowMs;
    for (const [number, done] of this.#asked) {
      if (number >= chunk) continue;
      this.#asked.delete(number);
      done();
    }
    this.#ask(this.#object, window);
  }

  #ask(object: StoredObject, window: number): void {
    const bodyLength = object.head.bodyLength ?? 0;
    // Beyond what it asked for only where it has come back for more, and again.
    const end = this.#continued >= stepsInOrder ? bodyLength : this.#end;
    for (let number = this.#chunk + 1; number <= this.#chunk + window; number += 1) {
      const offset = number * chunkSize;
      if (offset >= end) return;
      if (this.#asked.has(number)) continue;
      const done = object.prefetch(offset);
      if (done !== null) this.#asked.set(number, done);
    }
  }

  /** Kept for the connection's next request where the client got all that it had asked for. */
  end(offset: number, socket: Socket, name: string): void {
    if (this.#object === null) return;
    const isOver = offset >= (this.#object.head.bodyLength ?? 0);
    this.#object = null;
    if (offset < this.#end || isOver || socket.destroyed) {
      this.drop();
      return;
    }
    this.expected = offset;
    park(socket, name, this);
  }

  drop(): void {
    for (const done of this.#asked.values()) done();
    this.#asked.clear();
  }
}

interface Parked {
  readonly name: string;
  readonly run: Run;
  readonly unwatch: () => void;
}

const parkedRuns = new WeakMap<Socket, Parked>();

function park(socket: Socket, name: string, run: Run): void {
  unpark(socket)?.run.drop();
  parkedRuns.set(socket, {
    name,
    run,
    unwatch: onSocketClose(socket, () => unpark(socket)?.run.drop()),
  });
}

function unpark(socket: Socket): Parked | null {
  const parked = parkedRuns.get(socket);
  if (parked === undefined) return null;
  parkedRuns.delete(socket);
  parked.unwatch();
  return parked;
}

/** The run that a request of this object at this offset continues. */
function takeParked(socket: Socket, name: string, offset: number): Run | null {
  const parked = parkedRuns.get(socket);
  if (parked?.name !== name || parked.run.expected !== offset) return null;
  return unpark(socket)!.run;
}

/** True where it was a run through the same object: this client has jumped. */
function dropParked(socket: Socket, name: string): boolean {
  const parked = unpark(socket);
  parked?.run.drop();
  return parked?.name === name;
}
