// Opening a store: options, the addon's devices or the file tier's directory, and what compresses for the
// latter. The store itself is in native-store.ts.

import { Buffer } from 'node:buffer';
import { type Completions, completions } from '../native/completions.js';
import { type IoBackend, ioBackends, type NativeStore, purgeKinds } from '../native/contract.js';
import { translateFailure } from '../native/status.js';
import type { CacheStore } from './contract.js';
import { FileCompressor } from './file-compressor.js';
import { FileTier } from './file-tier.js';
import { type Files, NativeCacheStore } from './native-store.js';

/** A block device or a file that `millrace format` has made a store. */
export interface DeviceOptions {
  readonly path: string;
  readonly useDirectIo: boolean;
  /** `auto` where nothing is said; the volume's `ioBackend` in stats() tells what came of it. */
  readonly ioBackend?: IoBackend;
}

export interface StoreOptions {
  /** Native memory in bytes: L1, fills, I/O. At least 32 MiB. */
  readonly memoryLimit: number;
  /** Bytes of records kept in memory for hits; at most `memoryLimit`. */
  readonly l1Budget: number;
  readonly indexMemoryLimit: number;
  readonly disk:
    | { readonly kind: 'none' }
    | { readonly kind: 'raw'; readonly devices: readonly DeviceOptions[] }
    | { readonly kind: 'file'; readonly directory: string; readonly totalSize: number };
  /** How long a fill waits for a follower that nothing else can serve. */
  readonly followerGraceMs: number;
  /** Overwrites freed pages, so that a use after release shows. For tests. */
  readonly poisonPages?: boolean;
  /** Bodies that may be compressed and shrink are, on either kind of disk. Absent: none is. */
  readonly compress?: boolean;
  /** With devices: how often all of each is read and checked. Absent: only what is asked for. */
  readonly scrub?: { readonly intervalMs: number; readonly bytesPerSecond: number };
  /** Objects heed `prefetch`; with devices only. Absent: they do not. */
  readonly prefetch?: boolean;
}

const noHandle = 0;
const scrubRateDefault = 8 * 1024 * 1024;

/** Opens the store. Rejects with a StoreError whose message names the device and what to do. */
export async function openStore(options: StoreOptions): Promise<CacheStore> {
  const reports = completions();
  const tier =
    options.disk.kind === 'file'
      ? await FileTier.open(options.disk.directory, options.disk.totalSize)
      : null;
  const files = tier === null ? null : { tier, ...(await compressorOf(options)) };
  const native = await openNative(reports, options, tier);
  for (const { kind, text, soft, bound } of tier?.kept ?? []) {
    native.restorePurge(purgeKinds[kind], text, soft, bound);
  }
  return new NativeCacheStore(reports, native, files, {
    l1Budget: options.l1Budget,
    followerGraceMs: options.followerGraceMs,
    prefetches: (options.prefetch ?? false) && options.disk.kind === 'raw',
    capacity: capacityOf(native, options),
  });
}

async function compressorOf({ compress }: StoreOptions): Promise<Omit<Files, 'tier'>> {
  if (compress !== true) return { compressor: null, refusal: '' };
  const loaded = await FileCompressor.load();
  return typeof loaded === 'string'
    ? { compressor: null, refusal: loaded }
    : { compressor: loaded, refusal: '' };
}

function openNative(
  reports: Completions,
  options: StoreOptions,
  tier: FileTier | null,
): Promise<NativeStore> {
  const { disk } = options;
  return new Promise((resolve, reject) => {
    let opening = noHandle;
    const token = reports.once(() => {
      try {
        resolve(reports.addon.takeStore(opening));
      } catch (error) {
        reject(translateFailure(error));
      }
    });
    try {
      opening = reports.addon.openStore(
        token,
        disk.kind === 'raw'
          ? disk.devices.map(({ path, useDirectIo, ioBackend = 'auto' }) => ({
              path,
              direct: useDirectIo,
              ioBackend: ioBackends.indexOf(ioBackend),
            }))
          : [],
        options.memoryLimit,
        options.l1Budget,
        options.indexMemoryLimit,
        options.poisonPages ?? false,
        options.compress ?? false,
        tier?.life ?? 0,
        tier?.hashKey ?? Buffer.alloc(0),
        options.scrub?.intervalMs ?? 0,
        options.scrub?.bytesPerSecond ?? scrubRateDefault,
      );
    } catch (error) {
      reports.remove(token);
      throw error;
    }
  });
}

function capacityOf(native: NativeStore, options: StoreOptions): number {
  switch (options.disk.kind) {
    case 'none':
      return options.l1Budget;
    case 'file':
      return options.disk.totalSize;
    case 'raw': {
      // Every object belongs to one device: the smallest bounds them all.
      const sizes = (native.stats().volumes ?? []).map(
        ({ segments, segmentSize }) => Number(segments) * Number(segmentSize),
      );
      return Math.min(...sizes);
    }
  }
}
