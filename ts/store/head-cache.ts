// Decoded heads of records in memory, by the serial number of the record: a hot object's head is decoded
// once and not on each of its hits. A record is immutable and its serial is never given again, so nothing
// here can be out of date; what is not asked for any more falls out.

import type { Head } from './entry.js';

/** In each of two generations. The text of a head is kept beside its numbers: both are bounded. */
const headsMax = 2048;
const textMax = 1024 * 1024;

export class HeadCache {
  #young = new Map<number, Head>();
  #old = new Map<number, Head>();
  #youngText = 0;

  get(serial: number): Head | undefined {
    const head = this.#young.get(serial);
    if (head !== undefined) return head;
    const older = this.#old.get(serial);
    // Asked for again: it outlives the generation that it came with.
    if (older !== undefined) this.add(serial, older);
    return older;
  }

  add(serial: number, head: Head): void {
    const text = textOf(head);
    if (this.#young.size >= headsMax || this.#youngText + text > textMax) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngText = 0;
    }
    this.#young.set(serial, head);
    this.#youngText += text;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }
}

function textOf(head: Head): number {
  return head.fields.reduce((sum, text) => sum + text.length, 0);
}
