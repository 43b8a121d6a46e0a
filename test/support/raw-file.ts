// A formatted raw file in a directory of its own, and a few bytes of store traffic for tests that need a
// store without a proxy.

import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CacheStore, FillHead } from '../../ts/store/contract.js';
import { encodeHead, type Head } from '../../ts/store/entry.js';
import { formatDevice } from '../../ts/store/format.js';
import { openStore } from '../../ts/store/store.js';

const mib = 1024 * 1024;

export interface RawFile {
  readonly path: string;
  /** Opens the store on it with freed pages poisoned. */
  open(): Promise<CacheStore>;
  remove(): Promise<void>;
}

export async function makeRawFile(sizeBytes = 256 * mib): Promise<RawFile> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-test-'));
  const path = join(directory, 'store.disk');
  await formatDevice({
    path,
    createSize: sizeBytes,
    blockSize: 4096,
    zeroFill: false,
    useDirectIo: true,
    overwriteStore: false,
  });
  return {
    path,
    open: () => openRaw(path),
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

/** Everything that it holds is known. */
export async function openRaw(...paths: string[]): Promise<CacheStore> {
  const store = await openStore({
    memoryLimit: 64 * mib,
    l1Budget: 16 * mib,
    indexMemoryLimit: 8 * mib,
    disk: { kind: 'raw', devices: paths.map((path) => ({ path, useDirectIo: true })) },
    followerGraceMs: 1000,
    poisonPages: true,
  });
  await store.warmed;
  return store;
}

export function headFor(bodyLength: number): Head {
  return {
    status: 200,
    flags: 0,
    responseMs: 1_000_000,
    initialAgeMs: 0,
    freshUntilMs: 2_000_000,
    staleWhileRevalidateUntilMs: 0,
    staleIfErrorUntilMs: 0,
    bodyLength,
    lastModifiedS: null,
    dateS: 1000,
    etag: '"v1"',
    varyNames: [],
    tags: new Uint8Array(0),
    fields: ['Content-Type', 'application/octet-stream'],
    reason: 'OK',
  };
}

/** Stores one object, pausing whenever the store asks for it. */
export async function putObject(store: CacheStore, key: string, body: Buffer): Promise<void> {
  const fill = store.beginFill(key);
  const head: FillHead = {
    head: encodeHead(headFor(body.length)),
    bodyLength: body.length,
    store: true,
    varyNames: [],
    requestFields: [],
  };
  fill.begin(head);
  for (let at = 0; at < body.length; ) {
    const part = body.subarray(at, at + 64_000);
    at += part.length;
    let isPaused = !fill.append(part);
    fill.onResume = () => {
      isPaused = false;
    };
    while (isPaused) await new Promise((resolve) => setImmediate(resolve));
  }
  fill.finish();
  fill.close();
}

/** SHA-256 of what is stored, or null on a miss. */
export async function hashOfStored(store: CacheStore, key: string): Promise<string | null> {
  const found = await store.lookup(key, []);
  if (found.kind !== 'object') return null;
  const hash = createHash('sha256');
  const length = found.object.head.bodyLength ?? 0;
  try {
    for (let at = 0; at < length; ) {
      for (const lease of await found.object.read(at, length - at)) {
        hash.update(lease.bytes);
        at += lease.bytes.length;
        lease.release();
      }
    }
  } finally {
    found.object.close();
  }
  return hash.digest('hex');
}

export function hashOf(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('hex');
}
