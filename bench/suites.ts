// All suites in reading order: what a user would see first, then what explains it. A suite that is not
// in this list does not run; its name is the name of its file.

import type { Suite } from './harness.js';
import { clientsSuite } from './suites/clients.bench.js';
import { coalesceSuite } from './suites/coalesce.bench.js';
import { coldDownloadSuite } from './suites/cold-download.bench.js';
import { compressionSuite } from './suites/compression.bench.js';
import { directIoSuite } from './suites/direct-io.bench.js';
import { hitSuite } from './suites/hit.bench.js';
import { ioBackendSuite } from './suites/io-backend.bench.js';
import { latencySuite } from './suites/latency.bench.js';
import { memorySuite } from './suites/memory.bench.js';
import { microDeviceSuite } from './suites/micro-device.bench.js';
import { microHashSuite } from './suites/micro-hash.bench.js';
import { microHttpSuite } from './suites/micro-http.bench.js';
import { microIndexSuite } from './suites/micro-index.bench.js';
import { microRecoverySuite } from './suites/micro-recovery.bench.js';
import { microStoreSuite } from './suites/micro-store.bench.js';
import { missSuite } from './suites/miss.bench.js';
import { policySuite } from './suites/policy.bench.js';
import { prefetchSuite } from './suites/prefetch.bench.js';
import { rangeCrowdSuite } from './suites/range-crowd.bench.js';
import { rangesSuite } from './suites/ranges.bench.js';
import { restartSuite } from './suites/restart.bench.js';
import { seedSuite } from './suites/seed.bench.js';
import { writeSuite } from './suites/write.bench.js';
import { zeroCopySuite } from './suites/zero-copy.bench.js';

export const allSuites: readonly Suite[] = [
  seedSuite,
  memorySuite,
  clientsSuite,
  hitSuite,
  missSuite,
  writeSuite,
  rangesSuite,
  rangeCrowdSuite,
  coalesceSuite,
  restartSuite,
  latencySuite,
  coldDownloadSuite,
  directIoSuite,
  ioBackendSuite,
  compressionSuite,
  prefetchSuite,
  zeroCopySuite,
  microDeviceSuite,
  microIndexSuite,
  microRecoverySuite,
  policySuite,
  microHashSuite,
  microHttpSuite,
  microStoreSuite,
];
