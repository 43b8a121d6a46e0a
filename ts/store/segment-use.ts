// How much of what each segment holds is used, counted from the index in parts that hold nobody up.

import type { NativeStore } from '../native/contract.js';
import type { VolumeUse } from './contract.js';

/** Words of the index at once: a few hundred microseconds. */
const wordsAtOnce = 256 * 1024;

/** Ends with what was counted so far where the store is closed meanwhile. */
export async function countSegmentUse(
  native: NativeStore,
  isOpen: () => boolean,
): Promise<VolumeUse[]> {
  const uses: VolumeUse[] = [];
  if (!isOpen()) return uses;
  for (const [volume, { device, segments }] of (native.stats().volumes ?? []).entries()) {
    const counts = new Uint32Array(2 * Number(segments));
    let place = 0;
    do {
      place = native.countUse(volume, place, wordsAtOnce, counts);
      await new Promise((resolve) => setImmediate(resolve));
    } while (place > 0 && isOpen());
    uses.push({
      device,
      segments: Array.from({ length: Number(segments) }, (_, segment) => ({
        records: counts[2 * segment]!,
        hit: counts[2 * segment + 1]!,
      })),
    });
    if (!isOpen()) break;
  }
  return uses;
}
