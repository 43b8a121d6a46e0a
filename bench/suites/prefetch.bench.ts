// The option enable_prefetch: whether the disk is read ahead of a client that reads a body in order.

import { mib } from '../support/bench.js';
import { optionSuite } from '../support/option.js';
import { freshPath } from '../support/origin.js';

export const prefetchSuite = optionSuite(
  {
    name: 'prefetch',
    title: 'Reading ahead',
    about:
      'enable_prefetch true and false: one client that reads one large object from the disk, where each ' +
      'wait for the disk is a wait of the client, and eight clients at a time, where others fill the ' +
      'pauses. The process was started anew and the page cache dropped.',
  },
  {
    option: 'enable_prefetch',
    bounds: { memoryBytes: 16 * mib, diskBytes: 3072 * mib },
    objects: ({ quick }) => [
      {
        name: 'one reader',
        paths: [freshPath((quick ? 16 : 256) * mib)],
        concurrency: 1,
      },
      {
        name: '8 readers',
        paths: Array.from({ length: 8 }, () => freshPath((quick ? 2 : 32) * mib)),
        concurrency: 8,
      },
    ],
  },
);
