// The option io_backend: reads and writes of the device by threads or by io_uring, as clients see them. The
// ways alone, at several depths, are in suite micro-device.

import { mib } from '../support/bench.js';
import { optionSuite } from '../support/option.js';
import { freshPath } from '../support/origin.js';

export const ioBackendSuite = optionSuite(
  {
    name: 'io-backend',
    title: 'Threads or io_uring',
    about:
      'io_backend threads and io_uring: objects of 64 KiB and of 1 MiB, stored, and read back from the ' +
      'disk by a process that was started anew, 16 or 8 at a time.',
  },
  {
    option: 'io_backend',
    values: ['threads', 'io_uring'],
    bounds: { memoryBytes: 16 * mib, diskBytes: 2048 * mib },
    objects: ({ quick }) => [
      {
        name: '64 KiB',
        paths: Array.from({ length: quick ? 100 : 2000 }, () => freshPath(64 * 1024)),
        concurrency: 16,
      },
      {
        name: '1 MiB',
        paths: Array.from({ length: quick ? 16 : 256 }, () => freshPath(mib)),
        concurrency: 8,
      },
    ],
  },
);
