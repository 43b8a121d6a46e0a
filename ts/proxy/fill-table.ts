// Which fills run for which key, so that one origin request serves everybody (coalescing), and which keys
// lately answered with something that cannot be shared (hit-for-miss), so that nobody queues behind
// those again.

import type { Clock } from '../clock.js';
import type { RawFields } from '../http/fields.js';
import { FillMemory } from './fill-memory.js';
import type { PartRequest } from './part-request.js';
import { PartTable, versionOf } from './part-table.js';
import { RangeHabits } from './range-habits.js';
import type { RunningFill } from './running-fill.js';

/** As long as Varnish remembers by default; a storable answer forgets it at once. */
const hitForMissMs = 120_000;
const hitForMissKeysMax = 10_000;

export class FillTable {
  readonly #clock: Clock;
  readonly #running = new Map<string, Set<RunningFill>>();
  readonly #uncoalesced = new Map<string, number>();
  /** Records that are being validated behind a stale answer. */
  readonly freshening = new Set<string>();
  /** Parts of versions that are known. */
  readonly parts = new PartTable();
  readonly habits: RangeHabits;
  #all = new Set<RunningFill>();
  /** What answers have had fetched before their clients came there, and are to read from the store. */
  aheadBytes = 0;
  readonly #aheadBytesMax: number;

  constructor(
    clock: Clock,
    aheadBytesMax: number,
    readonly memory = new FillMemory(Number.POSITIVE_INFINITY),
  ) {
    this.#clock = clock;
    this.#aheadBytesMax = aheadBytesMax;
    this.habits = new RangeHabits(clock);
  }

  /** More than memory could keep for its readers would be fetched twice. */
  mayFetchAhead(bytes: number): boolean {
    return this.aheadBytes + bytes <= this.#aheadBytesMax;
  }

  get size(): number {
    return this.#all.size;
  }

  /** A fill that this request may join or has to wait for; null: start one. */
  join(key: string, fields: RawFields, part: PartRequest | null): RunningFill | null {
    const known = part?.known ?? null;
    if (known !== null) return this.parts.at(versionOf(known.key, known.head), part!.gap!.from);
    const candidates = this.#running.get(key);
    if (candidates === undefined) return null;
    for (const candidate of candidates) if (candidate.mayServe(fields, part)) return candidate;
    return null;
  }

  /** One that is asked for on somebody else's credentials; null: there is none of this part. */
  besides(key: string, fields: RawFields, part: PartRequest | null): RunningFill | null {
    for (const candidate of this.#running.get(key) ?? []) {
      const isSame = candidate.isPart === (part !== null) && !candidate.isPurged();
      if (isSame && !candidate.isOpenTo(fields)) return candidate;
    }
    return null;
  }

  /** One whose head is there, and that brings the whole. */
  wholeOf(key: string, fields: RawFields): RunningFill | null {
    for (const candidate of this.#running.get(key) ?? []) {
      if (candidate.isShared && candidate.mayServe(fields, null)) return candidate;
    }
    return null;
  }

  /**
   * Others may join it from now on, unless its answer is known to be for one client alone, or the key's
   * answers were found not to be shareable.
   */
  add(fill: RunningFill, isForOne: boolean): void {
    this.#all.add(fill);
    if (isForOne || this.isUnshareable(fill.key)) return;
    this.list(fill);
  }

  list(fill: RunningFill): void {
    const set = this.#running.get(fill.key);
    if (set === undefined) this.#running.set(fill.key, new Set([fill]));
    else set.add(fill);
  }

  /** Nobody joins it any more. */
  unlist(fill: RunningFill): void {
    const set = this.#running.get(fill.key);
    set?.delete(fill);
    if (set?.size === 0) this.#running.delete(fill.key);
  }

  remove(fill: RunningFill): void {
    this.unlist(fill);
    this.#all.delete(fill);
    this.memory.release(fill);
  }

  /** After a purge: what runs was asked for before it. */
  forget(key: string): void {
    this.#running.delete(key);
  }

  noteUnshareable(key: string): void {
    if (this.#uncoalesced.size >= hitForMissKeysMax) {
      const oldest = this.#uncoalesced.keys().next();
      if (!oldest.done) this.#uncoalesced.delete(oldest.value);
    }
    this.#uncoalesced.delete(key);
    this.#uncoalesced.set(key, this.#clock.monotonic() + hitForMissMs);
  }

  noteShareable(key: string): void {
    this.#uncoalesced.delete(key);
  }

  /** The key's last answer was for one client only. */
  isUnshareable(key: string): boolean {
    const until = this.#uncoalesced.get(key);
    if (until === undefined) return false;
    if (until > this.#clock.monotonic()) return true;
    this.#uncoalesced.delete(key);
    return false;
  }

  /** Bytes that the furthest running fill of the whole body has; null where none runs. */
  producedOf(key: string): number | null {
    let produced: number | null = null;
    for (const fill of this.#running.get(key) ?? []) {
      if (!fill.isPart) produced = Math.max(produced ?? 0, fill.produced);
    }
    return produced;
  }

  /** At shutdown: gives every origin connection up. */
  abandonAll(): void {
    for (const fill of [...this.#all]) fill.abandon('the proxy is shutting down');
  }
}
