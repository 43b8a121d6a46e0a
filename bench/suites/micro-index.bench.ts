// Suite micro-index: the index in memory, at a size that no CPU cache holds.

import type { Suite } from '../harness.js';
import { measureNative } from '../micro/native.js';

export const microIndexSuite: Suite = {
  name: 'micro-index',
  title: 'Index: insert, find, bytes per record',
  about:
    'One thread inserts 20 million records (quick: one million), looks up what is there and what ' +
    'is not, and then fills the index until it overwrites records. Bytes per record is the memory ' +
    'of the whole index divided by the records that it holds at that moment.',
  run: (context) => measureNative(context, 'index'),
};
