// Suite micro-store: pages, memory tier and fills in C++, then the same steps as JavaScript takes them: a key
// to a decoded head, leases read and given back, a whole fill, and the policy of the memory tier.

import type { Buffer } from 'node:buffer';
import { StoreError } from '../../ts/errors.js';
import type { CacheStore, Lease, StoredObject } from '../../ts/store/contract.js';
import { L1Policy } from '../../ts/store/l1.js';
import { openStore } from '../../ts/store/store.js';
import type { Suite } from '../harness.js';
import { type AsyncCase, type MicroCase, measureCases } from '../micro/benny.js';
import { openDiskCases } from '../micro/disk-cases.js';
import { hitCases } from '../micro/hit-cases.js';
import { measureNative } from '../micro/native.js';
import { fillHeadOf, keyOf, noise, requestFields } from '../micro/samples.js';

const kib = 1024;
const mib = 1024 * kib;

export const microStoreSuite: Suite = {
  name: 'micro-store',
  title: 'Store in memory: lookup, leases, fills, policy',
  about:
    'A store without a disk, so that only processors count. In C++: page pool, memory tier, bytes ' +
    'through a fill. In JavaScript, with all crossings into the addon: from a key to a decoded ' +
    'head, a whole exchange of a hit up to the header list that Node is given, body bytes read ' +
    'and given back as leases, a whole fill with one follower, and the S3-FIFO policy over ' +
    '10,000 slots; last, one read of the disk after the other.',
  async run(context) {
    await measureNative(context, 'store');
    const store = await openStore({
      memoryLimit: 256 * mib,
      l1Budget: 128 * mib,
      indexMemoryLimit: mib,
      disk: { kind: 'none' },
      followerGraceMs: 1000,
    });
    const held: StoredObject[] = [];
    const disk = await openDiskCases(context.directory, context.quick);
    try {
      const cases = [...(await lookupCases(store)), ...(await readCases(store, held))];
      const hits = hitCases(
        store,
        Array.from({ length: keyCount }, (_, at) => keyFor('plain', at)),
      );
      const others = [...fillCases(store), ...policyCases(), ...disk.cases];
      await measureCases(context, [...cases, ...hits, ...others]);
    } finally {
      for (const object of held) object.close();
      await store.close();
      await disk.close();
    }
  },
};

/** Every size has keys of its own; so few that nothing is ever evicted. */
const keyCount = 16;

function keyFor(kind: string, number: number): string {
  return `${keyOf(number % keyCount)}?${kind}`;
}

async function put(
  store: CacheStore,
  key: string,
  body: Buffer,
  varyNames: readonly string[] = [],
): Promise<void> {
  const fill = store.beginFill(key);
  fill.begin(fillHeadOf(body.length, varyNames));
  const follower = fill.follow(0);
  try {
    fill.append(body);
    fill.finish();
    for (let at = 0; at < body.length; ) {
      const read = await follower.next(256 * kib);
      if (read.kind !== 'data') throw new StoreError('STORE_IO', `a fill gave ${read.kind}`);
      at += releaseAll(read.leases);
    }
  } finally {
    follower.close();
    fill.close();
  }
}

function releaseAll(leases: readonly Lease[]): number {
  let bytes = 0;
  for (const lease of leases) {
    bytes += lease.bytes.length;
    lease.release();
  }
  return bytes;
}

async function find(store: CacheStore, key: string): Promise<StoredObject> {
  const found = await store.lookup(key, requestFields);
  if (found.kind !== 'object') throw new StoreError('STORE_NOT_FOUND', `${key}: ${found.kind}`);
  return found.object;
}

async function lookupCases(store: CacheStore): Promise<AsyncCase[]> {
  const body = noise(kib);
  for (let number = 0; number < keyCount; number += 1) {
    await put(store, keyFor('plain', number), body);
    await put(store, keyFor('varied', number), body, ['accept-encoding']);
  }
  let call = 0;
  return [
    {
      name: 'lookup: key to decoded head',
      unit: 'us',
      runAsync: async () => {
        const object = await find(store, keyFor('plain', call++));
        object.close();
      },
    },
    {
      name: 'lookup: the same through a Vary marker',
      unit: 'us',
      runAsync: async () => {
        const object = await find(store, keyFor('varied', call++));
        object.close();
      },
    },
    {
      name: 'lookup: miss',
      unit: 'us',
      runAsync: async () => {
        const found = await store.lookup(keyFor('absent', call++), requestFields);
        if (found.kind !== 'uri-miss') throw new StoreError('STORE_IO', 'found what is not there');
      },
    },
    {
      name: 'hit: lookup, 1 KiB read and released',
      unit: 'us',
      runAsync: async () => {
        const object = await find(store, keyFor('plain', call++));
        releaseAll(await object.read(0, kib));
        object.close();
      },
    },
  ];
}

async function readCases(store: CacheStore, held: StoredObject[]): Promise<AsyncCase[]> {
  const key = keyFor('large', 0);
  await put(store, key, noise(mib));
  const object = await find(store, key);
  held.push(object);
  return [1, 64, 256].map((size) => ({
    name: `lease: ${size} KiB read and released`,
    unit: 'us',
    note: `${Math.ceil(size / 64)} external buffer${size > 64 ? 's' : ''}`,
    runAsync: async () => {
      releaseAll(await object.read(0, size * kib));
    },
  }));
}

function fillCases(store: CacheStore): AsyncCase[] {
  let call = 0;
  return [1, 64, 1024].map((size) => {
    const body = noise(size * kib);
    return {
      name: `fill: object of ${size} KiB, one follower`,
      unit: 'us',
      note: 'head encoded, bytes copied into pages, followed, published in memory, closed',
      runAsync: () => put(store, keyFor(`fill${size}`, call++), body),
    };
  });
}

const slotCount = 10_000;
const recordBytes = 4 * kib;
const batch = 64;

function policyCases(): MicroCase[] {
  const views = {
    sizes: new Uint32Array(slotCount).fill(recordBytes),
    hits: new Uint8Array(slotCount),
    hashes: new Uint32Array(slotCount),
  };
  const policy = new L1Policy(views);
  const pairs = new Uint32Array(2 * batch);
  const target = { bytes: (slotCount - batch) * recordBytes, slots: slotCount };
  for (let slot = 0; slot < slotCount; slot += 1) {
    pairs.set([slot, 1]);
    policy.apply(pairs, 1);
  }
  let hash = 0;
  return [
    {
      name: `policy: ${batch} victims chosen, ${batch} new records taken in`,
      unit: 'us',
      note: 'half of the records were hit twice since they came',
      run: () => {
        const count = policy.selectVictims(target, pairs);
        // A victim's slot takes a new record under a new hash, as the native tier would report it.
        for (let at = 0; at < count; at += 1) {
          const slot = pairs[2 * at]!;
          views.hashes[slot] = ++hash;
          views.hits[slot] = hash & 1 ? 2 : 0;
        }
        policy.apply(pairs, count);
        return count;
      },
    },
  ];
}
