// Suite micro-recovery: start, look-ups, purges and reclaim at a size that no disk here has.

import type { Suite } from '../harness.js';
import { measureNative } from '../micro/native.js';

export const microRecoverySuite: Suite = {
  name: 'micro-recovery',
  title: 'Recovery: millions of records',
  about:
    'The store starts on a disk that is full of records: 100 million small ones (quick: 5), then ' +
    '1 TB of chunks (quick: 0.1). It takes 1.2 GB of memory. The disk is procedural: headers, ' +
    'footers and records are made when they are read, with their true checksums, and everything ' +
    'above it is what ships. What making the bytes costs is shown apart from what the engine ' +
    'costs.',
  run: (context) => measureNative(context, 'recovery'),
};
