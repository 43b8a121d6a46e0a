// CacheStore over the addon: finds (Vary included), reads, fills, purges; joined with the L1 policy and, for
// l2_backend "file", with the file tier. What can be decided without bytes is decided here.

import { StoreError } from '../errors.js';
import type { RawFields } from '../http/fields.js';
import type { Completions } from '../native/completions.js';
import { type NativeStore, nativePending, purgeKinds } from '../native/contract.js';
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
  VolumeUse,
} from './contract.js';
import { decodeHead, encodeHead, type Head, headFlags } from './entry.js';
import type { FileCompressor } from './file-compressor.js';
import { fileStats } from './file-stats.js';
import type { FileTier } from './file-tier.js';
import { FileWriter } from './file-writer.js';
import { NativeFill, readRange } from './fill.js';
import { HeadCache } from './head-cache.js';
import { leasesOf } from './leases.js';
import { attachMemoryPressure, type MemoryPressure } from './memory-pressure.js';
import { OutsideRecords } from './outside.js';
import { purgeFailure, purgeText } from './purge-target.js';
import { countSegmentUse } from './segment-use.js';
import { type DiskSide, NativeObject } from './stored-object.js';
import {
  byRecency,
  choiceOf,
  markerHead,
  placesFor,
  type Variant,
  type Variants,
  variantKeyOf,
  variantsIn,
  withVariant,
} from './variants.js';
import { Warming } from './warming.js';

export interface NativeStoreOptions {
  readonly l1Budget: number;
  readonly followerGraceMs: number;
  /** Objects heed `prefetch`. */
  readonly prefetches: boolean;
  /** Bytes that one object may be stored in. */
  readonly capacity: number;
}

export interface Files {
  readonly tier: FileTier;
  readonly compressor: FileCompressor | null;
  /** Why there is none although it was asked for. */
  readonly refusal: string;
}

const chunkSize = 1024 * 1024;
const noHandle = 0;
const uriMiss: Found = { kind: 'uri-miss' };

export class NativeCacheStore implements CacheStore {
  readonly largestBody: number;
  readonly warmed: Promise<boolean>;
  readonly #completions: Completions;
  readonly #native: NativeStore;
  readonly #files: FileTier | null;
  readonly #outside: OutsideRecords | null;
  readonly #writer: FileWriter | null;
  readonly #compressor: FileCompressor | null;
  readonly #lz4Refusal: string;
  readonly #pressure: MemoryPressure | null;
  readonly #followerGraceMs: number;
  readonly #heads = new HeadCache();
  readonly #disk: DiskSide;
  readonly #warming: Warming;
  #closing: Promise<void> | null = null;

  constructor(
    reports: Completions,
    native: NativeStore,
    files: Files | null,
    options: NativeStoreOptions,
  ) {
    this.#completions = reports;
    this.#native = native;
    this.#files = files?.tier ?? null;
    this.#outside =
      files === null ? null : new OutsideRecords(native, files.tier, () => this.#closing !== null);
    this.#compressor = files?.compressor ?? null;
    this.#lz4Refusal = files?.refusal ?? '';
    this.#disk = {
      read: (object, offset, length) => this.#readObject(object, offset, length),
      covers: (object, offset, length) => this.#covers(object, offset, length),
      storedEnd: (object, offset, end) => this.#storedEnd(object, offset, end),
      missingEnd: (object, offset, end) => {
        const known = native.missingEnd(object, offset, end);
        return this.#outside?.firstOf(object, offset, known) ?? known;
      },
      prefetches: options.prefetches,
    };
    this.#followerGraceMs = options.followerGraceMs;
    this.#writer =
      files === null ? null : new FileWriter(native, reports, files.tier, files.compressor);
    this.#pressure = attachMemoryPressure(native, reports, options.l1Budget);
    this.#warming = new Warming(native, reports);
    this.warmed = this.#warming.ended;
    this.largestBody = Math.floor(options.capacity / 2);
  }

  lookup(key: string, fields: RawFields): Found | Promise<Found> {
    const object = this.#find(key, noHandle);
    if (object instanceof Promise) return object.then((late) => this.#select(late, key, fields));
    return this.#select(object, key, fields);
  }

  /** What was found under the primary key: the object itself, or the marker of its variants. */
  #select(object: NativeObject | null, key: string, fields: RawFields): Found | Promise<Found> {
    if (object === null) return uriMiss;
    if ((object.head.flags & headFlags.varyMarker) === 0) {
      return { kind: 'object', object, variants: null };
    }
    const variants = this.#variantsOf(object);
    let found: NativeObject | null | Promise<NativeObject | null>;
    try {
      const places = placesFor(object.head, (names) =>
        choiceOf(this.variantKey(key, names, fields), key),
      );
      found =
        places.length < 2
          ? places.length === 0
            ? null
            : this.#find(key + places[0]!, object.handle)
          : this.#newestOf(
              places.map((place) => key + place),
              object.handle,
            );
    } catch (error) {
      object.close();
      throw error;
    }
    if (found instanceof Promise) {
      return found.then((late) => foundVariant(late, variants)).finally(() => object.close());
    }
    object.close();
    return foundVariant(found, variants);
  }

  #variantsOf(marker: NativeObject): Variants {
    return { list: variantsIn(marker.head), floor: this.#native.floor(marker.handle) };
  }

  /** The most recent one of several, and the others closed. */
  async #newestOf(keys: readonly string[], marker: number): Promise<NativeObject | null> {
    const [newest = null, ...others] = await this.#allOf(keys, marker);
    for (const other of others) other.close();
    return newest;
  }

  async #allOf(keys: readonly string[], marker: number): Promise<NativeObject[]> {
    const found = await Promise.all(keys.map((key) => this.#find(key, marker)));
    return found.filter((object) => object !== null).sort((a, b) => byRecency(a.head, b.head));
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
    const adopted = (await this.#outside?.adopt(key)) ?? noHandle;
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
    const outside = (await this.#outside?.read(handle, noHandle, offset, length)) ?? null;
    if (outside !== null) return outside;
    if (await this.#outside?.adoptPiece(handle, Math.floor(offset / chunkSize))) {
      const list = native.readNow(handle, offset, length);
      if (list !== nativePending) return leasesOf(native, list, 0);
    }
    throw storeErrorOf(1, `byte ${offset} of a stored object is not in the store any more`);
  }

  /** Reads what tells the bounds of a piece, on whatever disk it is, before it answers. */
  async #storedEnd(object: number, offset: number, end: number): Promise<number> {
    let from = offset;
    for (let tried = -1; from < end; ) {
      const found = this.#native.storedEnd(object, from, end);
      if (found >= end) return end;
      const chunk = found < 0 ? -1 - found : Math.floor(found / chunkSize);
      if (found >= 0) from = found;
      if (found >= 0 && this.#outside?.has(object, chunk) === true) {
        from = Math.min((chunk + 1) * chunkSize, end);
        continue;
      }
      // Once for each: a piece that memory has no room for counts as missing.
      if (chunk === tried) break;
      tried = chunk;
      if (found < 0) await this.#readPiece(object, chunk);
      else if (!(await this.#outside?.adoptPiece(object, chunk))) break;
    }
    return from;
  }

  /** Into memory, as a side effect of reading any byte of its chunk. */
  async #readPiece(object: number, chunk: number): Promise<void> {
    const leases = await readRange(this.#native, this.#completions, (token) =>
      this.#native.read(token, object, chunk * chunkSize, 1),
    ).catch(() => null);
    for (const lease of leases ?? []) lease.release();
  }

  #covers(object: number, offset: number, length: number): boolean {
    const end = offset + length;
    for (let from = offset; from < end; ) {
      const chunk = this.#native.firstMissing(object, from, end - from);
      if (chunk < 0) return true;
      if (this.#outside?.has(object, chunk) !== true) return false;
      from = (chunk + 1) * chunkSize;
    }
    return true;
  }

  variantKey(key: string, varyNames: readonly string[], fields: RawFields): string | null {
    return variantKeyOf(this.#completions.addon, key, varyNames, fields);
  }

  tagHashes(tags: readonly string[]): Uint8Array {
    return this.#completions.addon.tagHashes(tags);
  }

  async variantsAt(
    primaryKey: string,
    { floor }: Variants,
    places: readonly string[],
  ): Promise<StoredObject[]> {
    const marker = await this.#find(primaryKey, noHandle);
    if (marker === null) return [];
    try {
      // One that was written since may vouch for more; it must not vouch for what was purged.
      if (this.#native.floor(marker.handle) < floor) return [];
      const keys = places.map((place) => primaryKey + place);
      return await this.#allOf(keys, marker.handle);
    } finally {
      marker.close();
    }
  }

  addChoice(
    primaryKey: string,
    variants: Variants,
    choice: string,
    object: StoredObject,
    fill: Fill,
  ): void {
    if (!(fill instanceof NativeFill)) throw new TypeError('a fill of another store');
    const place = object.key.slice(primaryKey.length);
    this.#vouch(primaryKey, variants, { choice, place, etag: object.head.etag }, fill);
  }

  /** Writes the marker that lists this variant beside those that are known. */
  #vouch(primaryKey: string, known: Variants | null, added: Variant, fill: NativeFill): void {
    let variants = known;
    // Another fill of the URI may have listed more meanwhile.
    const current = this.#native.peek(primaryKey);
    if (current !== noHandle) {
      const head = decodeHead(this.#native.head(current));
      if ((head.flags & headFlags.varyMarker) !== 0) {
        variants = { list: variantsIn(head), floor: this.#native.floor(current) };
      }
      this.#native.closeObject(current);
    }
    const list = withVariant(variants?.list ?? [], added);
    this.#native.fillMarker(fill.handle, encodeHead(markerHead(list)), variants?.floor ?? 0);
  }

  beginFill(primaryKey: string, variants: Variants | null = null): Fill {
    if (this.#closing !== null) throw new StoreError('STORE_CLOSED', 'the store is closed');
    const outside = this.#outside;
    return new NativeFill({
      native: this.#native,
      completions: this.#completions,
      primaryKey,
      keyOf: (head: FillHead) => {
        const { varyNames, requestFields } = head;
        if (varyNames.length === 0) return primaryKey;
        const key = this.variantKey(primaryKey, varyNames, requestFields);
        if (key === null) throw new RangeError('the request has no key that could be stored');
        return key;
      },
      onPublished: (fill, { varyNames, requestFields, etag = '' }) => {
        if (varyNames.length === 0) return;
        const choice = choiceOf(this.variantKey(primaryKey, varyNames, requestFields), primaryKey);
        if (choice === null) return;
        this.#vouch(primaryKey, variants, { choice, place: choice, etag }, fill);
      },
      followerGraceMs: this.#followerGraceMs,
      readOutside:
        outside === null
          ? null
          : (fill, offset, length) => outside.read(noHandle, fill, offset, length),
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
    const lz4 = { ...this.#compressor?.stats(), lz4Refusal: this.#lz4Refusal };
    return { ...native, ...lz4, ...fileStats(this.#files, this.#writer) };
  }

  segmentUse(): Promise<readonly VolumeUse[]> {
    return countSegmentUse(this.#native, () => this.#closing === null);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#writer?.close();
    await this.#files?.close();
    this.#pressure?.close();
    this.#warming.close();
    await new Promise<void>((resolve) => {
      const token = this.#completions.once(() => resolve());
      this.#completions.addon.closeStore(token, this.#native.session);
    });
  }
}

function foundVariant(object: NativeObject | null, variants: Variants): Found {
  return object === null ? { kind: 'vary-miss', variants } : { kind: 'object', object, variants };
}
