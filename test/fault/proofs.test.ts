// The proofs of bench/proofs at sizes that a busy machine manages, with the real program, a throttled origin
// and an origin that dies: counts, bytes and bounds, no times.

import test, { type ExecutionContext } from 'ava';
import { crowdProof } from '../../bench/proofs/crowd.js';
import { lapsProof } from '../../bench/proofs/laps.js';
import { mortalOriginProof } from '../../bench/proofs/mortal-origin.js';
import type { Proof } from '../../bench/proofs/proof.js';
import { slowReadersProof } from '../../bench/proofs/slow-readers.js';
import { onStage } from '../support/performance.js';

const mib = 2 ** 20;

function isShown<Sizes extends Readonly<Record<string, number>>>(
  t: ExecutionContext,
  { full, run }: Proof<Sizes>,
  smaller: Partial<Sizes>,
): Promise<void> {
  return onStage(t, async (stage) => {
    const wrong = await run(stage, { ...full, ...smaller }, (line) => t.log(line));
    t.deepEqual(wrong, []);
  });
}

test.serial('proof: a crowd on one cold object is one body, whatever its first client does', (t) =>
  isShown(t, crowdProof, { clients: 25, size: 6 * mib, rate: 10e6, spreadMs: 300, slowRate: 2e6 }),
);

test.serial('proof: slow readers of a large object stay within the memory bound', (t) =>
  isShown(t, slowReadersProof, {
    readers: 40,
    size: 384 * mib,
    memoryLimit: 112 * mib,
    rate: 1e6,
    forMs: 6000,
  }),
);

test.serial('proof: an origin that dies in mid-body is gone on from where it broke off', (t) =>
  isShown(t, mortalOriginProof, { kills: 4, size: 12 * mib, rate: 10e6 }),
);

test.serial('proof: a device does not grow while the ring goes round', (t) =>
  isShown(t, lapsProof, { capacity: 256 * mib, laps: 1.2 }),
);
