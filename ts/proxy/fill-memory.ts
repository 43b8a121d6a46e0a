// What running fills may come to hold of the native pages. A fill holds the chunk that is not whole yet,
// whatever its followers do: where all of them together need more than there is, none can go on.

import type { Config } from '../config/schema.js';
import type { Part } from '../http/partial.js';
import type { UpstreamResponse } from '../upstream/request.js';
import { sizeRefusal } from './body-length.js';
import type { Services } from './services.js';

const heldBytesMax = 1024 * 1024;
/** Aggregation buffers of one device. */
const diskBufferBytes = 8 * 1024 * 1024;

/**
 * Of what is beside the memory tier, half: the rest is for bytes on their way to the disk and to clients, and
 * for reads.
 */
export function fillMemoryOf(config: Config): number {
  const { memoryLimitBytes, l1CacheSizeBytes, rawDiskCache } = config;
  const buffers = rawDiskCache.length * diskBufferBytes;
  return (memoryLimitBytes - l1CacheSizeBytes - buffers) / 2;
}

export class FillMemory {
  readonly #limit: number;
  readonly #held = new Map<object, number>();
  #heldBytes = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * False: what runs already may come to need all of it. `length` is what the fill is to bring, null where
   * nobody knows. What `isNeeded` no answer can do without: it counts, and is not refused.
   */
  reserve(fill: object, length: number | null, isNeeded: boolean): boolean {
    const bytes = Math.min(length ?? heldBytesMax, heldBytesMax);
    if (!isNeeded && this.#heldBytes + bytes > this.#limit) return false;
    this.release(fill);
    this.#held.set(fill, bytes);
    this.#heldBytes += bytes;
    return true;
  }

  release(fill: object): void {
    this.#heldBytes -= this.#held.get(fill) ?? 0;
    this.#held.delete(fill);
  }
}

/**
 * Why the store does not take an answer; '': it does. Of a body whose other parts are stored no answer can do
 * without the fill: it is never refused for want of memory.
 */
export function storeRefusal(
  { fills, counters, store }: Services,
  fill: object,
  response: UpstreamResponse,
  brings: number | Part | null,
  isNeeded = false,
): string {
  const isPart = typeof brings === 'object' && brings !== null;
  const length = isPart ? brings.end - brings.start : brings;
  const isTooLarge = (isPart ? brings.length : (brings ?? 0)) > store!.largestBody;
  const refusal = isTooLarge ? 'too-large' : sizeRefusal(response, store!.largestBody);
  if (refusal !== '' || fills.memory.reserve(fill, length, isNeeded)) return refusal;
  counters.fillsUnstored += 1;
  return 'memory';
}
