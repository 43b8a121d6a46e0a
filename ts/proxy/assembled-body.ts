// A body of which the store has some parts and the origin the others: read in order, from wherever the next
// byte is. What lacks is asked for as parts that all exchanges share, some of them ahead of the client.
// Nothing is put together but bytes of one version: what the origin sends of another one breaks the body.

import { type MillraceError, StoreError, UpstreamError } from '../errors.js';
import type { Lease, StoredObject } from '../store/contract.js';
import type { Head } from '../store/entry.js';
import { type BodySource, type BodyStream, fillBody } from './body.js';
import type { Exchange } from './exchange.js';
import type { FillOutcome } from './fill-outcome.js';
import { gapAt, type PartRequest, plannedPart } from './part-request.js';
import { versionOf } from './part-table.js';
import { RunningFill } from './running-fill.js';
import { chunkBegin, chunkSize, type Slicing, sliceEnd, slicingOf } from './slicing.js';
import { resumeOf, storedPartsOf } from './stored-answer.js';

/** What a part brings so soon is waited for; what is further on somebody else asks for. */
export const soonBytes = 4 * chunkSize;
/** What is looked up at once of what is stored. */
const storedRunBytes = 16 * chunkSize;
/** Sources that give nothing, one after another, before the rest is asked for in one request. */
const fruitlessMax = 6;

/** Where the bytes were gone before they were read: they are looked for anew. */
class MovedOn extends Error {}

/** `object` is the exchange's, and open for as long as that; `first`: a part of it that has begun. */
export function assembledBody(
  exchange: Exchange,
  object: StoredObject,
  head: Head,
  first: RunningFill,
): BodySource {
  // Held until a stream has its own hold: what nobody reads may be given up.
  first.retain();
  let isHeld = true;
  const drop = (hasLeft: boolean) => {
    if (isHeld) first.release(hasLeft);
    isHeld = false;
  };
  return {
    isSeekable: true,
    opensAgain: true,
    isLent: true,
    isStored: false,
    covers: () => true,
    copyTo: () => false,
    open(offset, length) {
      const end = length === null ? head.bodyLength! : offset + length;
      const stream = new AssembledStream(exchange, object, head, offset, end);
      stream.take(first);
      drop(false);
      return stream;
    },
    discard: drop,
  };
}

class AssembledStream implements BodyStream {
  readonly #exchange: Exchange;
  readonly #object: StoredObject;
  readonly #head: Head;
  readonly #version: string;
  readonly #slicing: Slicing;
  readonly #end: number;
  #offset: number;
  #source: BodyStream | null = null;
  /** Parts further on that this stream waits for, with the bytes that it has had asked for ahead. */
  readonly #held = new Map<RunningFill, number>();
  #chunk = -1;
  #fruitless = 0;
  #mayFetchAhead: boolean;
  /** The part at the client's place, while its head is awaited, and what ends the waiting. */
  #awaited: { readonly part: RunningFill; readonly wake: () => void } | null = null;
  #isClosed = false;

  constructor(exchange: Exchange, object: StoredObject, head: Head, offset: number, end: number) {
    this.#exchange = exchange;
    this.#object = object;
    this.#head = head;
    this.#version = versionOf(object.key, head);
    this.#slicing = slicingOf(exchange);
    this.#mayFetchAhead = this.#slicing.concurrent > 1 && !exchange.directives.has('no-store');
    this.#offset = offset;
    this.#end = end;
  }

  /** Reads from this part, now or when it comes to it. */
  take(part: RunningFill): void {
    const { claim } = part;
    if (claim === null || claim.start >= this.#end || claim.end <= this.#offset) return;
    if (claim.start <= this.#offset) this.#source = this.#follow(part);
    else this.#hold(part, 0);
    this.#fetchAhead();
  }

  async next(): Promise<Lease[] | null> {
    while (!this.#isClosed && this.#offset < this.#end) {
      let leases: Lease[] | null = null;
      try {
        this.#source ??= await this.#sourceAt(this.#offset);
        leases = await this.#source.next();
      } catch (error) {
        if (!isMovedOn(error)) throw error;
      }
      if (this.#isClosed) {
        for (const lease of leases ?? []) lease.release();
        break;
      }
      if (leases === null) {
        this.#leaveSource();
        this.#fruitless += 1;
        continue;
      }
      this.#fruitless = 0;
      for (const lease of leases) this.#offset += lease.bytes.length;
      this.#reachChunk();
      return leases;
    }
    // Closed while somebody waited for its bytes: that is all there is.
    this.#leaveSource();
    return null;
  }

  #reachChunk(): void {
    const chunk = Math.floor(this.#offset / chunkSize);
    if (chunk === this.#chunk) return;
    this.#chunk = chunk;
    this.#fetchAhead();
  }

  #leaveSource(): void {
    this.#source?.close();
    this.#source = null;
  }

  async #sourceAt(offset: number): Promise<BodyStream> {
    const { parts } = this.#exchange.services.fills;
    for (; ; this.#fruitless += 1) {
      if (this.#isClosed) throw new MovedOn();
      if (this.#isAlone()) return this.#resume(offset);
      const part = parts.at(this.#version, offset);
      if (part !== null) {
        if (isFar(part, offset) && part.cutAt(chunkBegin(offset))) continue;
        const source = await this.#sourceOf(part);
        if (source !== null) return source;
        continue;
      }
      const until = Math.min(this.#end, offset + storedRunBytes);
      const stored = await this.#object.storedEnd(offset, until);
      if (stored > offset) {
        return storedPartsOf(this.#exchange, this.#object, this.#head).open(
          offset,
          stored - offset,
        );
      }
      const gap = await gapAt(this.#object, offset, this.#end);
      // While it was looked up, others may have asked for it, or even have it.
      if (parts.at(this.#version, offset) !== null) continue;
      if (this.#object.missingEnd(offset, offset + 1) === offset) continue;
      const request = plannedPart(parts, this.#object, gap, this.#slicing);
      this.#begin(request, 0);
    }
  }

  /** What would come is not for the store, or others cannot help. */
  #isAlone(): boolean {
    const isPurged = this.#object.purgeState() === 'gone';
    return isPurged || this.#fruitless > fruitlessMax || this.#exchange.directives.has('no-store');
  }

  /** Null: it does not bring this byte after all, or this stream was closed. */
  async #sourceOf(part: RunningFill): Promise<BodyStream | null> {
    this.#fetchAhead();
    // Who waits for it is one of its clients: those who leave meanwhile must not have it given up.
    part.retain();
    try {
      const outcome = await new Promise<FillOutcome | null>((resolve, reject) => {
        this.#awaited = { part, wake: () => resolve(null) };
        (this.#held.has(part) ? part.ready : part.soon).then(resolve, reject);
      });
      return outcome === null ? null : this.#broughtBy(part, outcome);
    } finally {
      this.#stopWaiting(false);
    }
  }

  #stopWaiting(hasLeft: boolean): void {
    const awaited = this.#awaited;
    this.#awaited = null;
    awaited?.part.release(hasLeft);
    awaited?.wake();
  }

  #broughtBy(part: RunningFill, outcome: FillOutcome): BodyStream | null {
    // What was purged meanwhile nobody adds to, but this answer may finish.
    if (this.#object.purgeState() === 'gone') return null;
    if (outcome.kind === 'failed') {
      // Others' troubles are no reason to give up: asked for once more, by this exchange itself.
      if (this.#held.has(part) || this.#fruitless > 1) throw outcome.error;
      return null;
    }
    const { claim } = part;
    const key = this.#object.key;
    if (outcome.kind !== 'shared' || versionOf(key, outcome.head) !== this.#version) {
      throw new UpstreamError(
        'UPSTREAM_VALIDATOR_CHANGED',
        `${this.#exchange.key}: the origin has another version than the one that is being sent`,
      );
    }
    if (claim === null || claim.start > this.#offset || claim.end <= this.#offset) return null;
    return this.#follow(part);
  }

  #follow(part: RunningFill): BodyStream {
    const until = Math.min(this.#end, part.claim!.end);
    const moveOn = async (): Promise<BodyStream> => {
      throw new MovedOn();
    };
    return fillBody(part, this.#head.bodyLength, moveOn).open(this.#offset, until - this.#offset);
  }

  /** The rest as it comes, for this client alone: what nothing else can help. */
  #resume(offset: number): Promise<BodyStream> {
    const resume = resumeOf(this.#exchange, this.#head);
    if (resume !== null) return resume(offset, this.#end);
    throw new UpstreamError(
      'UPSTREAM_TRUNCATED',
      `byte ${offset} of ${this.#exchange.key} is stored nowhere`,
    );
  }

  #begin(part: PartRequest, aheadBytes: number): void {
    // Of its own: this exchange may be over before the origin answers.
    const leader: Exchange = { ...this.#exchange, stored: null, answer: null, part };
    this.#hold(new RunningFill(leader, true), aheadBytes);
  }

  #hold(part: RunningFill, aheadBytes: number): void {
    part.retain();
    this.#exchange.services.fills.aheadBytes += aheadBytes;
    this.#held.set(part, aheadBytes);
    part.whenDone(() => {
      // A part that nobody needs yet has failed: the client may never come there. Until then no more of it.
      if (part.hasFailed) this.#mayFetchAhead = false;
      this.#fetchAhead();
    });
  }

  #letGo(part: RunningFill, hasLeft: boolean): void {
    this.#exchange.services.fills.aheadBytes -= this.#held.get(part)!;
    this.#held.delete(part);
    part.release(hasLeft);
  }

  /** Has parts asked for that the client will come to, as many at a time as the route allows. */
  #fetchAhead(): void {
    for (const part of this.#held.keys()) {
      if (part.claim === null || part.claim.end <= this.#offset) this.#letGo(part, false);
    }
    if (this.#isClosed || !this.#mayFetchAhead || this.#object.purgeState() === 'gone') return;
    const { parts } = this.#exchange.services.fills;
    const { concurrent, aheadBytes } = this.#slicing;
    const limit = Math.min(this.#offset + aheadBytes, this.#end);
    let at = this.#offset;
    for (let running = 0; at < limit && running < concurrent; ) {
      const part = parts.at(this.#version, at);
      if (part !== null) {
        running += 1;
        at = this.#shared(part, at);
        continue;
      }
      const missing = this.#object.missingEnd(at, limit) > at;
      // The part at the client's own place it asks for itself, when it has looked closer.
      if (!missing || at === this.#offset) {
        at = chunkBegin(at) + chunkSize;
        continue;
      }
      if (!this.#beginAhead(at)) return;
      running += 1;
    }
  }

  /** Where the part ends: it leaves to others what they can bring at the same time. */
  #shared(part: RunningFill, at: number): number {
    const { sliceBytes, downloads } = this.#slicing;
    if (downloads) {
      const boundary = sliceEnd(Math.max(at, part.produced), sliceBytes);
      const { end } = part.claim!;
      const mayCut = this.#hasRoom() && this.#exchange.services.fills.mayFetchAhead(sliceBytes!);
      if (boundary < end && mayCut && !part.cutAt(boundary)) {
        const next = boundary + sliceBytes!;
        if (next < end) part.cutAt(next);
      }
    }
    return part.claim!.end;
  }

  /** False: neither memory nor origin have room for it. */
  #beginAhead(at: number): boolean {
    const { fills } = this.#exchange.services;
    const gap = { from: at, until: this.#end, front: at };
    const request = plannedPart(fills.parts, this.#object, gap, this.#slicing);
    const bytes = Math.min(request.wanted!.end - at, this.#slicing.aheadBytes);
    if (!this.#hasRoom() || !fills.mayFetchAhead(bytes)) return false;
    this.#begin(request, bytes);
    return true;
  }

  #hasRoom(): boolean {
    const { services, rule } = this.#exchange;
    return services.upstreams.get(rule!.upstream)?.hasRoom === true;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const hasLeft = this.#offset < this.#end;
    this.#leaveSource();
    this.#stopWaiting(hasLeft);
    for (const part of this.#held.keys()) this.#letGo(part, hasLeft);
  }
}

/** It brings the byte, but not soon. */
export function isFar(part: RunningFill, offset: number): boolean {
  return offset > Math.max(part.produced, part.claim!.start) + soonBytes;
}

function isMovedOn(error: unknown): boolean {
  if (error instanceof MovedOn) return true;
  // What the store has lost is asked for again.
  const { code } = error as Partial<MillraceError>;
  return error instanceof StoreError && code !== 'ERR_MILLRACE_STORE_CLOSED';
}
