// Suite micro-index: the index in memory, at a size that no CPU cache holds.

import type { Suite } from '../harness.js';
import { measureNative } from '../micro/native.js';

export const microIndexSuite: Suite = {
  name: 'micro-index',
  title: 'Index: insert, find, bytes per record',
  about:
    'One thread inserts 20 million records (quick: one million) until 90 % of the index are in use, and ' +
    'looks up what is there and what is not. Memory per record is that of the whole index divided by ' +
    'the records that it holds at that moment; overwritten are those that found both buckets full.',
  run: (context) => measureNative(context, 'index'),
};
