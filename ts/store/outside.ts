// Records of the file tier on their way into native memory: heads by key, chunks and pieces of chunks by the
// object or fill that they belong to. The addon checks every byte; what is damaged loses its file.

import type { NativeStore } from '../native/contract.js';
import type { Lease } from './contract.js';
import type { FileTier } from './file-tier.js';
import { takeLeases } from './leases.js';

const chunkSize = 1024 * 1024;
const noHandle = 0;
/** Added to a chunk's number in the name of a piece. Twin of kPieceName (native/layout/key.h). */
const pieceName = 0x8000_0000;

export class OutsideRecords {
  readonly #native: NativeStore;
  readonly #files: FileTier;
  readonly #isClosing: () => boolean;

  constructor(native: NativeStore, files: FileTier, isClosing: () => boolean) {
    this.#native = native;
    this.#files = files;
    this.#isClosing = isClosing;
  }

  /** A handle on the head or single record of this key; 0 where there is none. */
  async adopt(key: string): Promise<number> {
    const name = this.#native.recordName(key);
    const bytes = await this.#files.read(name);
    if (bytes === null || this.#isClosing()) return noHandle;
    try {
      return this.#native.adopt(key, bytes);
    } catch {
      await this.#files.remove(name);
      return noHandle;
    }
  }

  has(object: number, chunk: number): boolean {
    const name = this.#native.chunkName(object, noHandle, chunk);
    return name !== undefined && this.#files.has(name);
  }

  /** The first of the bytes [offset, end) whose chunk is there; `end` where none is. */
  firstOf(object: number, offset: number, end: number): number {
    for (let at = offset; at < end; at += chunkSize - (at % chunkSize)) {
      if (this.has(object, Math.floor(at / chunkSize))) return at;
    }
    return end;
  }

  /** Body bytes of a chunk, whose object or fill is named; null where they are not there. */
  async read(
    object: number,
    fill: number,
    offset: number,
    length: number,
  ): Promise<Lease[] | null> {
    const chunk = Math.floor(offset / chunkSize);
    const name = this.#native.chunkName(object, fill, chunk);
    const bytes = name === undefined ? null : await this.#files.read(name);
    if (name === undefined || bytes === null || this.#isClosing()) return null;
    try {
      const skip = offset % chunkSize;
      const result = this.#native.adoptChunk(object, fill, chunk, bytes, skip, length);
      return result === 0 ? null : takeLeases(this.#native, result);
    } catch {
      await this.#files.remove(name);
      return null;
    }
  }

  /** Brings the piece of a chunk into memory; false where there is none. */
  async adoptPiece(object: number, chunk: number): Promise<boolean> {
    const name = this.#native.chunkName(object, noHandle, chunk + pieceName);
    if (name === undefined || !this.#files.has(name)) return false;
    const bytes = await this.#files.read(name);
    if (bytes === null || this.#isClosing()) return false;
    try {
      this.#native.adoptChunk(object, noHandle, chunk + pieceName, bytes, 0, 1);
      return true;
    } catch {
      await this.#files.remove(name);
      return false;
    }
  }
}
