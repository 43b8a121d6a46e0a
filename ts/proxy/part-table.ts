// Which parts of which bodies are on their way: what one exchange has asked the origin for, every other one
// that needs it waits for. A version of a body is known by its key, length, coding and strong ETag.

import { fieldValue } from '../http/fields.js';
import type { Head } from '../store/entry.js';
import type { RunningFill } from './running-fill.js';

/** Bytes [start, end) that a fill brings: fewer, where somebody needs what is behind them sooner. */
export interface Claim {
  readonly start: number;
  readonly end: number;
}

/** `key` is that of the stored record: of the variant, where there are several. */
export function versionOf(key: string, head: Head): string {
  const coding = fieldValue(head.fields, 'content-encoding') ?? '';
  return `${head.bodyLength} ${head.etag} ${coding} ${key}`;
}

/** Of one part. */
export class PartPlace {
  readonly #table: PartTable | null;
  readonly #part: RunningFill;
  #version: string | null = null;
  /** The bytes that it is to bring, known once the version is; they stay when it leaves the table. */
  claim: Claim | null = null;

  /** Null: nobody is to know of it. */
  constructor(table: PartTable | null, part: RunningFill) {
    this.#table = table;
    this.#part = part;
  }

  take(version: string, claim: Claim): void {
    this.leave();
    this.claim = claim;
    this.#version = version;
    this.#table?.add(version, this.#part);
  }

  shorten(end: number): void {
    this.claim = { start: this.claim!.start, end };
  }

  leave(): void {
    if (this.#version !== null) this.#table?.remove(this.#version, this.#part);
    this.#version = null;
  }
}

export class PartTable {
  readonly #versions = new Map<string, Set<RunningFill>>();

  add(version: string, part: RunningFill): void {
    const parts = this.#versions.get(version);
    if (parts === undefined) this.#versions.set(version, new Set([part]));
    else parts.add(part);
  }

  remove(version: string, part: RunningFill): void {
    const parts = this.#versions.get(version);
    parts?.delete(part);
    if (parts?.size === 0) this.#versions.delete(version);
  }

  /** The one that brings this byte; null: nobody has asked for it, or only before a purge. */
  at(version: string, offset: number): RunningFill | null {
    for (const part of this.#versions.get(version) ?? []) {
      const { start, end } = part.claim!;
      if (start <= offset && offset < end && !part.isPurged()) return part;
    }
    return null;
  }

  /** Bytes around `offset`, within [start, end), that no part brings. Nobody brings the one at `offset`. */
  roomAt(version: string, offset: number, { start, end }: Claim): Claim {
    let from = start;
    let until = end;
    for (const part of this.#versions.get(version) ?? []) {
      const { claim } = part;
      if (claim!.end <= from || claim!.start >= until || part.isPurged()) continue;
      if (claim!.end <= offset) from = Math.max(from, claim!.end);
      else if (claim!.start > offset) until = Math.min(until, claim!.start);
    }
    return { start: from, end: until };
  }
}
