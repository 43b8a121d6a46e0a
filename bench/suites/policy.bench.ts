// Suite policy: what the disk tier keeps and writes on a synthetic trace, beside FIFO, LRU and S3-FIFO.

import type { Suite } from '../harness.js';
import { measureNative } from '../micro/native.js';

export const policySuite: Suite = {
  name: 'policy',
  title: 'Admission and reclaim on a synthetic trace',
  about:
    'Three million requests (quick: 150,000), popularity by Zipf over objects that come and go, a ' +
    'fifth of them for what nobody asks for again, scans, small and large objects. Ours is the ' +
    'index, the ghost and the decisions that the engine ships, around a ring of segments; FIFO, ' +
    'LRU and S3-FIFO take in every miss. The trace is seeded: the figures are the same on every ' +
    'machine and in every round.',
  run: (context) => measureNative({ ...context, rounds: 1 }, 'policy'),
};
