// The option enable_zero_copy: whether bodies go from the disk to the socket without a copy in user space.

import { mib } from '../support/bench.js';
import { optionSuite } from '../support/option.js';
import { freshPath } from '../support/origin.js';

export const zeroCopySuite = optionSuite(
  {
    name: 'zero-copy',
    title: 'Zero copy',
    about:
      'enable_zero_copy true and false: objects of 64 KiB and of 1 MiB, stored, read back from the disk by ' +
      'a process that was started anew, and read once more. What counts is the CPU time for each ' +
      'gigabyte; over the loopback interface the kernel copies once more than a network card has to.',
  },
  {
    option: 'enable_zero_copy',
    bounds: { memoryBytes: 16 * mib, diskBytes: 2048 * mib },
    objects: ({ quick }) => [
      {
        name: '64 KiB',
        paths: Array.from({ length: quick ? 100 : 1000 }, () => freshPath(64 * 1024)),
        concurrency: 16,
      },
      {
        name: '1 MiB',
        paths: Array.from({ length: quick ? 16 : 128 }, () => freshPath(mib)),
        concurrency: 8,
      },
    ],
    step: { again: true },
  },
);
