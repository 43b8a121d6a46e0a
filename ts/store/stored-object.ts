// An object that was found: a handle on its record in native memory, its head, and its bytes. What memory
// holds is given at once; what only a disk tier has, through the store that it was found in.

import { type NativeStore, nativePending } from '../native/contract.js';
import type { Lease, StoredObject, Tier } from './contract.js';
import type { Head } from './entry.js';
import { leasesOf } from './leases.js';

/** What the object asks its store for. */
export interface DiskSide {
  /** Bytes that are not in memory. */
  read(object: number, offset: number, length: number): Promise<Lease[]>;
  covers(object: number, offset: number, length: number): boolean;
  /** Where memory cannot tell. */
  storedEnd(object: number, offset: number, end: number): Promise<number>;
  missingEnd(object: number, offset: number, end: number): number;
  readonly prefetches: boolean;
}

/** In the order of PurgeVerdict (native/engine/purges.h). */
const purgeStates = ['kept', 'stale', 'gone'] as const;

export class NativeObject implements StoredObject {
  readonly handle: number;
  readonly key: string;
  readonly head: Head;
  readonly tier: Tier;
  readonly #native: NativeStore;
  readonly #disk: DiskSide;
  #holders = 1;

  constructor(
    native: NativeStore,
    disk: DiskSide,
    handle: number,
    key: string,
    head: Head,
    tier: Tier,
  ) {
    this.#native = native;
    this.#disk = disk;
    this.handle = handle;
    this.key = key;
    this.head = head;
    this.tier = tier;
  }

  read(offset: number, length: number): Lease[] | Promise<Lease[]> {
    try {
      const list = this.#native.readNow(this.handle, offset, length);
      if (list !== nativePending) return leasesOf(this.#native, list, 0);
    } catch {
      // The store was closed under way, or has lent too much: the disk side says which.
    }
    return this.#disk.read(this.handle, offset, length);
  }

  copyTo(target: Uint8Array, offset: number): boolean {
    return this.#native.copyBody(this.handle, offset, target);
  }

  covers(offset: number, length: number): boolean {
    return this.#disk.covers(this.handle, offset, length);
  }

  storedEnd(offset: number, end: number): number | Promise<number> {
    const found = this.#native.storedEnd(this.handle, offset, end);
    return found === end ? found : this.#disk.storedEnd(this.handle, offset, end);
  }

  missingEnd(offset: number, end: number): number {
    return this.#disk.missingEnd(this.handle, offset, end);
  }

  purgeState(): 'kept' | 'stale' | 'gone' {
    return this.#holders === 0
      ? 'gone'
      : (purgeStates[this.#native.purgeState(this.handle)] ?? 'gone');
  }

  prefetch(offset: number): (() => void) | null {
    if (!this.#disk.prefetches) return null;
    const native = this.#native;
    try {
      const ahead = native.readAhead(this.handle, offset);
      return ahead === 0 ? null : () => native.endReadAhead(ahead);
    } catch {
      // The store was closed under way.
      return null;
    }
  }

  retain(): void {
    this.#holders += 1;
  }

  close(): void {
    if (this.#holders === 0) return;
    this.#holders -= 1;
    if (this.#holders === 0) this.#native.closeObject(this.handle);
  }
}
