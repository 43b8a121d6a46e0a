// Joins the native memory tier with its policy: takes the tier's events when it reports pressure, asks the
// policy for victims, and gives them back in batches. One per store and process; a second environment
// on the same store leaves the policy to the first.

import type { Completions } from '../native/completions.js';
import type { NativeStore } from '../native/contract.js';
import { L1Policy } from './l1.js';

const pairsPerBatch = 512;
/** Room that is made ahead of need, as a share of the budget: a batch of chunks, not one record. */
const headroomShare = 1 / 8;
/** Of the slots, likewise; the tier asks at 1/16 free. */
const slotShare = 7 / 8;

export interface MemoryPressure {
  close(): void;
}

/** Null where another environment's policy is attached, or memory cannot be shared with JavaScript. */
export function attachMemoryPressure(
  native: NativeStore,
  completions: Completions,
  budgetBytes: number,
): MemoryPressure | null {
  const headroom = Math.floor(budgetBytes * headroomShare);
  const token = completions.standing(() => relieve());
  const views = native.attachPolicy(token, headroom);
  if (views === null) {
    completions.remove(token);
    return null;
  }
  const [sizes, hits, hashes] = views as [ArrayBuffer, ArrayBuffer, ArrayBuffer];
  const policy = new L1Policy({
    sizes: new Uint32Array(sizes),
    hits: new Uint8Array(hits),
    hashes: new Uint32Array(hashes),
  });
  const pairs = new Uint32Array(2 * pairsPerBatch);
  const slots = sizes.byteLength / 4;
  const target = { bytes: budgetBytes - 2 * headroom, slots: Math.floor(slots * slotShare) };
  let closed = false;

  function relieve(): void {
    if (closed) return;
    takeEvents();
    for (;;) {
      const count = policy.selectVictims(target, pairs);
      if (count === 0) break;
      native.evict(pairs, count);
    }
    takeEvents();
  }

  function takeEvents(): void {
    let count = pairsPerBatch;
    while (count === pairsPerBatch) {
      count = native.takeEvents(pairs);
      policy.apply(pairs, count);
    }
  }

  return {
    close() {
      closed = true;
      completions.remove(token);
    },
  };
}
