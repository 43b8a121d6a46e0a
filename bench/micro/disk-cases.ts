// Reads of stored bodies from the disk as JavaScript makes them, one after the other: the call into the
// addon, the aligned read by a device thread past the page cache, and the batch of results back. The same
// reads without JavaScript are in suite micro-device.

import { join } from 'node:path';
import { setTimeout as sleepMs } from 'node:timers/promises';
import { StoreError } from '../../ts/errors.js';
import type { CacheStore } from '../../ts/store/contract.js';
import { formatDevice } from '../../ts/store/format.js';
import { openStore } from '../../ts/store/store.js';
import type { AsyncCase } from './benny.js';
import { fillHeadOf, noise, requestFields } from './samples.js';

const kib = 1024;
const mib = 1024 * kib;
const page = 64 * kib;
const key = 'http://packages.example.com/large';
/** Of many chunks: a part of a chunk that is read from the disk is not kept in memory. */
const objectChunks = 64;

export interface DiskCases {
  readonly cases: readonly AsyncCase[];
  /** Throws where the reads came from memory. */
  close(): Promise<void>;
}

/** `directory` is on the disk that is measured. */
export async function openDiskCases(directory: string, isQuick: boolean): Promise<DiskCases> {
  const path = join(directory, 'micro-store.disk');
  const device = { path, useDirectIo: true };
  await formatDevice({
    ...device,
    createSize: 256 * mib,
    blockSize: 4096,
    zeroFill: !isQuick,
    overwriteStore: false,
  });
  const open = (): Promise<CacheStore> =>
    openStore({
      memoryLimit: 96 * mib,
      l1Budget: mib,
      indexMemoryLimit: mib,
      disk: { kind: 'raw', devices: [device] },
      followerGraceMs: 1000,
    });
  const first = await open();
  await putLarge(first);
  // Closed and opened again: then all of it is on the disk and nothing in memory.
  await first.close();
  const store = await open();
  const found = await store.lookup(key, requestFields);
  if (found.kind !== 'object') throw new StoreError('STORE_NOT_FOUND', `${key}: ${found.kind}`);
  const { object } = found;
  let calls = 0;
  const cases = [4, 64].map((size) => ({
    name: `disk: ${size} KiB of a stored body, one read at a time`,
    unit: 'us' as const,
    note: 'direct I/O; the check of each part at its first read included',
    runAsync: async () => {
      // In each chunk once, then in each at another place.
      const place = Math.floor(calls / objectChunks) % (mib / page);
      const offset = (calls % objectChunks) * mib + place * page;
      calls += 1;
      for (const lease of await object.read(offset, size * kib)) lease.release();
    },
  }));
  const close = async (): Promise<void> => {
    const { deviceReads } = store.stats() as { readonly deviceReads?: number };
    object.close();
    await store.close();
    if ((deviceReads ?? 0) >= calls) return;
    throw new StoreError(
      'STORE_IO',
      `${calls} reads of the disk were ${deviceReads} of the device`,
    );
  };
  return { cases, close };
}

async function putLarge(store: CacheStore): Promise<void> {
  const part = noise(mib);
  const fill = store.beginFill(key);
  fill.begin(fillHeadOf(objectChunks * mib));
  const follower = fill.follow(0);
  try {
    for (let chunk = 0; chunk < objectChunks; chunk += 1) {
      fill.append(part);
      if (chunk === objectChunks - 1) fill.finish();
      await untilWritten(store);
      for (let bytes = 0; bytes < part.length; ) {
        const read = await follower.next(256 * kib);
        if (read.kind !== 'data') throw new StoreError('STORE_IO', `a fill gave ${read.kind}`);
        for (const lease of read.leases) {
          bytes += lease.bytes.length;
          lease.release();
        }
      }
    }
  } finally {
    follower.close();
    fill.close();
  }
}

const looks = 10_000;

/** The store gives up writes that come faster than its disk is; here none may be given up. */
async function untilWritten(store: CacheStore): Promise<void> {
  for (let look = 0; look < looks; look += 1) {
    const { stagedBytes } = store.stats() as { readonly stagedBytes?: number };
    if ((stagedBytes ?? 0) < 4 * mib) return;
    await sleepMs(1);
  }
  throw new StoreError('STORE_IO', 'the disk does not get on with writing');
}
