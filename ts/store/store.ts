// CacheStore over the addon: finds (Vary included), reads, fills, purges; joined with the L1 policy and, for
// l2_backend "file", with the file tier. Everything that can be decided without bytes is decided here.

import { Buffer } from 'node:buffer';
import { StoreError } from '../errors.js';
import type { RawFields } from '../http/fields.js';
import { type Completions, completions } from '../native/completions.js';
import {
  type IoBackend,
  ioBackends,
  type NativeStore,
  nativePending,
  purgeKinds,
} from '../native/contract.js';
import { statusOk, storeErrorOf, translateFailure } from '../native/status.js';
import type {
  CacheStore,
  Fill,
  FillHead,
  Found,
  Lease,
  PurgeTarget,
  StoredObject,
  StoreStats,
  Tier,
} from './contract.js';
import { decodeHead, type Head, headFlags } from './entry.js';
import { FileCompressor } from './file-compressor.js';
import { FileTier } from './file-tier.js';
import { FileWriter } from './file-writer.js';
import { NativeFill, readRange } from './fill.js';
import { HeadCache } from './head-cache.js';
import { takeLeases } from './leases.js';
import { attachMemoryPressure, type MemoryPressure } from './memory-pressure.js';
import { purgeFailure, purgeText } from './purge-target.js';
import { type DiskSide, NativeObject } from './stored-object.js';

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
  /** Objects heed `prefetch`; with devices only. Absent: they do not. */
  readonly prefetch?: boolean;
}

const chunkSize = 1024 * 1024;
const noHandle = 0;
const uriMiss: Found = { kind: 'uri-miss' };

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
  return new NativeCacheStore(reports, native, files, options);
}

interface Files {
  readonly tier: FileTier;
  readonly compressor: FileCompressor | null;
  /** Why there is none although it was asked for. */
  readonly refusal: string;
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
      );
    } catch (error) {
      reports.remove(token);
      throw error;
    }
  });
}

class NativeCacheStore implements CacheStore {
  readonly largestBody: number;
  readonly #completions: Completions;
  readonly #native: NativeStore;
  readonly #files: FileTier | null;
  readonly #writer: FileWriter | null;
  readonly #compressor: FileCompressor | null;
  readonly #lz4Refusal: string;
  readonly #pressure: MemoryPressure | null;
  readonly #followerGraceMs: number;
  readonly #heads = new HeadCache();
  readonly #disk: DiskSide;
  #closing: Promise<void> | null = null;

  constructor(
    reports: Completions,
    native: NativeStore,
    files: Files | null,
    options: StoreOptions,
  ) {
    this.#completions = reports;
    this.#native = native;
    this.#files = files?.tier ?? null;
    this.#compressor = files?.compressor ?? null;
    this.#lz4Refusal = files?.refusal ?? '';
    this.#disk = {
      read: (object, offset, length) => this.#readObject(object, offset, length),
      covers: (object, offset, length) => this.#covers(object, offset, length),
      prefetches: (options.prefetch ?? false) && options.disk.kind === 'raw',
    };
    this.#followerGraceMs = options.followerGraceMs;
    this.#writer =
      files === null ? null : new FileWriter(native, reports, files.tier, files.compressor);
    this.#pressure = attachMemoryPressure(native, reports, options.l1Budget);
    this.largestBody = Math.floor(capacityOf(native, options) / 2);
  }

  lookup(key: string, fields: RawFields): Found | Promise<Found> {
    const object = this.#find(key, noHandle);
    if (object instanceof Promise) return object.then((late) => this.#select(late, key, fields));
    return this.#select(object, key, fields);
  }

  /** What was found under the primary key: the object itself, or the marker of its variants. */
  #select(object: NativeObject | null, key: string, fields: RawFields): Found | Promise<Found> {
    if (object === null) return uriMiss;
    if ((object.head.flags & headFlags.varyMarker) === 0) return { kind: 'object', object };
    let variant: NativeObject | null | Promise<NativeObject | null>;
    try {
      const name = this.variantKey(key, object.head.varyNames, fields);
      variant = this.#find(name, object.handle);
    } catch (error) {
      object.close();
      throw error;
    }
    if (variant instanceof Promise) return variant.then(variantFound).finally(() => object.close());
    object.close();
    return variantFound(variant);
  }

  /** By primary key, or by the variant's under the marker that was found before. */
  #find(key: string, marker: number): NativeObject | null | Promise<NativeObject | null> {
    if (this.#closing !== null) return null;
    const native = this.#native;
    let handle: number;
    try {
      handle = marker === noHandle ? native.findNow(key) : native.findVariantNow(marker, key);
    } catch (error) {
      throw translateFailure(error);
    }
    if (handle === nativePending || (handle === noHandle && this.#files !== null)) {
      return this.#findOnDisk(key, marker, handle === noHandle);
    }
    return handle === noHandle ? null : this.#objectOf(handle, key, 'memory');
  }

  async #findOnDisk(key: string, marker: number, isOutside: boolean): Promise<NativeObject | null> {
    const native = this.#native;
    const start = (token: number) =>
      marker === noHandle ? native.find(token, key) : native.findVariant(token, marker, key);
    const handle = isOutside ? noHandle : await this.#findNative(start);
    if (handle !== noHandle) return this.#objectOf(handle, key, 'disk');
    const adopted = this.#files === null ? noHandle : await this.#adopt(this.#files, key);
    if (adopted === noHandle) return null;
    // Again through the front: only there the floor that a marker sets for its variants is kept.
    const again = await this.#findNative(start);
    this.#native.closeObject(adopted);
    return again === noHandle ? null : this.#objectOf(again, key, 'disk');
  }

  #findNative(start: (token: number) => number): Promise<number> {
    return new Promise((resolve, reject) => {
      // A read that fails for whatever reason is a miss: a store failure is never a client failure.
      const token = this.#completions.once((code, value) => resolve(code === 0 ? value : noHandle));
      try {
        const handle = start(token);
        if (handle === nativePending) return;
        this.#completions.remove(token);
        resolve(handle);
      } catch (error) {
        this.#completions.remove(token);
        reject(translateFailure(error));
      }
    });
  }

  async #adopt(files: FileTier, key: string): Promise<number> {
    const name = this.#native.recordName(key);
    const bytes = await files.read(name);
    if (bytes === null || this.#closing !== null) return noHandle;
    try {
      return this.#native.adopt(key, bytes);
    } catch {
      await files.remove(name);
      return noHandle;
    }
  }

  #objectOf(handle: number, key: string, tier: Tier): NativeObject {
    return new NativeObject(
      this.#native,
      this.#disk,
      handle,
      key,
      this.#headOf(handle, tier),
      tier,
    );
  }

  #headOf(handle: number, tier: Tier): Head {
    // The serial is that of the last record which was found at once: not one that came from the disk.
    if (tier !== 'memory') return decodeHead(this.#native.head(handle));
    const serial = this.#native.found[0]!;
    let head = this.#heads.get(serial);
    if (head === undefined) {
      head = decodeHead(this.#native.head(handle));
      this.#heads.add(serial, head);
    }
    return head;
  }

  async #readObject(handle: number, offset: number, length: number): Promise<Lease[]> {
    const native = this.#native;
    const leases = await readRange(native, this.#completions, (token) =>
      native.read(token, handle, offset, length),
    );
    if (leases !== null) return leases;
    const outside = await this.#readOutside(handle, noHandle, offset, length);
    if (outside !== null) return outside;
    throw storeErrorOf(1, `byte ${offset} of a stored object is not in the store any more`);
  }

  #covers(object: number, offset: number, length: number): boolean {
    const end = offset + length;
    for (let from = offset; from < end; ) {
      const chunk = this.#native.firstMissing(object, from, end - from);
      if (chunk < 0) return true;
      const name = this.#native.chunkName(object, noHandle, chunk);
      if (this.#files === null || name === undefined || !this.#files.has(name)) return false;
      from = (chunk + 1) * chunkSize;
    }
    return true;
  }

  async #readOutside(
    object: number,
    fill: number,
    offset: number,
    length: number,
  ): Promise<Lease[] | null> {
    if (this.#files === null) return null;
    const chunk = Math.floor(offset / chunkSize);
    const name = this.#native.chunkName(object, fill, chunk);
    const bytes = name === undefined ? null : await this.#files.read(name);
    if (name === undefined || bytes === null || this.#closing !== null) return null;
    try {
      const skip = offset % chunkSize;
      const result = this.#native.adoptChunk(object, fill, chunk, bytes, skip, length);
      return result === 0 ? null : takeLeases(this.#native, result);
    } catch {
      await this.#files.remove(name);
      return null;
    }
  }

  variantKey(key: string, varyNames: readonly string[], fields: RawFields): string {
    const names = varyNames.map((name) => `${name}\0`).join('');
    return this.#completions.addon.variantKey(key, names, fields);
  }

  tagHashes(tags: readonly string[]): Uint8Array {
    return this.#completions.addon.tagHashes(tags);
  }

  beginFill(primaryKey: string): Fill {
    if (this.#closing !== null) throw new StoreError('STORE_CLOSED', 'the store is closed');
    return new NativeFill({
      native: this.#native,
      completions: this.#completions,
      primaryKey,
      keyOf: (head: FillHead) => {
        const { varyNames } = head;
        return varyNames.length === 0
          ? primaryKey
          : this.variantKey(primaryKey, varyNames, head.requestFields);
      },
      followerGraceMs: this.#followerGraceMs,
      readOutside:
        this.#files === null
          ? null
          : (fill, offset, length) => this.#readOutside(noHandle, fill, offset, length),
    });
  }

  refresh(object: StoredObject, head: Uint8Array, fill: Fill): void {
    if (!(object instanceof NativeObject) || !(fill instanceof NativeFill)) {
      throw new TypeError('an object or a fill of another store');
    }
    try {
      this.#native.refresh(object.handle, head, fill.handle);
    } catch (error) {
      throw translateFailure(error);
    }
  }

  forget(object: StoredObject): void {
    if (!(object instanceof NativeObject)) throw new TypeError('an object of another store');
    this.#native.forget(object.handle);
    void this.#files?.remove(this.#native.recordName(object.key));
  }

  async purge(target: PurgeTarget, soft: boolean): Promise<void> {
    if (this.#closing !== null) throw new StoreError('STORE_CLOSED', 'the store is closed');
    const text = purgeText(target);
    let bound = 0;
    const { code, value } = await new Promise<{ code: number; value: number }>(
      (resolve, reject) => {
        const token = this.#completions.once((code, value) => resolve({ code, value }));
        try {
          bound = this.#native.purge(token, purgeKinds[target.kind], text, soft);
        } catch (error) {
          this.#completions.remove(token);
          const { message } = error as Error;
          reject(new StoreError('STORE_INVALID', message, { cause: error }));
        }
      },
    );
    if (code !== statusOk) throw purgeFailure(this.#native, code, value);
    const name = target.kind === 'key' ? this.#native.recordName(text) : null;
    await this.#files?.purge({ kind: target.kind, text, soft, bound }, name);
  }

  purgeKey(primaryKey: string): void {
    this.#native.purgeKey(primaryKey);
    void this.#files?.remove(this.#native.recordName(primaryKey));
  }

  stats(): StoreStats {
    if (this.#closing !== null) return {};
    const native = this.#native.stats();
    if (this.#files === null) return native;
    const files = this.#files.stats();
    return {
      ...native,
      ...this.#compressor?.stats(),
      lz4Refusal: this.#lz4Refusal,
      device: this.#files.directory,
      files: files.files,
      fileBytes: files.bytes,
      filesEvicted: files.evicted,
      filePurges: files.purgesKept,
      writeErrors: files.writeErrors,
      recordsFlushed: this.#writer?.recordsWritten ?? 0,
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#writer?.close();
    await this.#files?.close();
    this.#pressure?.close();
    await new Promise<void>((resolve) => {
      const token = this.#completions.once(() => resolve());
      this.#completions.addon.closeStore(token, this.#native.session);
    });
  }
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

function variantFound(variant: NativeObject | null): Found {
  return variant === null ? { kind: 'vary-miss' } : { kind: 'object', object: variant };
}
