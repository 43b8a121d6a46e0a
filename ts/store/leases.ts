// Leases over native pages: the Buffer that JavaScript writes to a socket, and its one release.

import type { LeaseList, NativeStore } from '../native/contract.js';
import type { Lease } from './contract.js';

class NativeLease implements Lease {
  readonly bytes: Buffer;
  #store: NativeStore | undefined;
  readonly #handle: number;

  constructor(store: NativeStore, handle: number, bytes: Buffer) {
    this.#store = store;
    this.#handle = handle;
    this.bytes = bytes;
  }

  release(): void {
    const store = this.#store;
    if (store === undefined) return;
    this.#store = undefined;
    if (this.#handle !== 0) store.release(this.#handle, this.bytes);
  }
}

/** Takes the pages of a result handle. Empty when the handle is gone (store closed). */
export function takeLeases(store: NativeStore, result: number): Lease[] {
  return leasesOf(store, store.takePages(result) ?? [], 0);
}

/** Leases of a list as the addon gives it, from index `from` on. */
export function leasesOf(
  store: NativeStore,
  list: LeaseList | (number | string | boolean | Buffer)[],
  from: number,
): Lease[] {
  const leases: Lease[] = [];
  for (let at = from; at + 1 < list.length; at += 2) {
    leases.push(new NativeLease(store, list[at] as number, list[at + 1] as Buffer));
  }
  return leases;
}
