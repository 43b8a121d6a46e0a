// The store as the proxy sees it: memory tier, disk tier and running fills behind one shape. The bytes of
// record stay in native memory; what JavaScript holds are leases. Implemented by ts/store/store.ts over
// the addon. Everything here is called on one JavaScript thread.

import type { RawFields } from '../http/fields.js';
import type { Head } from './entry.js';
import type { Variants } from './variants.js';

/**
 * Bytes on loan from a native page. `bytes` is valid until `release()`, which detaches it: its length is
 * 0 afterwards. Release in the callback of the write that sends it, or when that socket closes.
 */
export interface Lease {
  readonly bytes: Uint8Array;
  /** Idempotent. */
  release(): void;
}

/** Where the bytes of a stored object came from. */
export type Tier = 'memory' | 'disk';

/** One stored version of an object, pinned against purge races by its birth. Close it when done. */
export interface StoredObject {
  /** Key of the stored record: the primary key, or the variant's. */
  readonly key: string;
  readonly head: Head;
  readonly tier: Tier;
  /** What purges since it was found, and before, make of it. Ask last before a head is sent from it. */
  purgeState(): 'kept' | 'stale' | 'gone';
  /**
   * Leases that cover body bytes [offset, offset + n), 1 <= n <= length, in order, at most one chunk:
   * at once where they are in memory, else when the device has given them. Rejects with StoreError
   * `STORE_NOT_FOUND` where the part is not stored (any more), `STORE_CORRUPT_RECORD` where it does not
   * match its checksum (the record is dropped), `STORE_IO`.
   */
  read(offset: number, length: number): Lease[] | Promise<Lease[]>;
  /** Fills `target` with body bytes from `offset` on, where one record in memory has them all. */
  copyTo(target: Uint8Array, offset: number): boolean;
  /**
   * Of an incomplete object (headFlags.incomplete): the end of the stored bytes that begin at `offset`, at
   * most `end`; `offset` itself where that byte is missing.
   */
  storedEnd(offset: number, end: number): number | Promise<number>;
  /**
   * The next stored byte from `offset` on, at most `end`, as far as is known without reading; or, of a very
   * long body, how far was looked.
   */
  missingEnd(offset: number, end: number): number;
  /** False where a part of these body bytes is known to be gone. Asks no device. */
  covers(offset: number, length: number): boolean;
  /**
   * The chunk at `offset` will be wanted soon: where memory and device have room, it is read now, and `read`
   * finds it or waits for that. Null where it is not. What is returned must be called once, when the chunk
   * was read or is not wanted any more.
   */
  prefetch(offset: number): (() => void) | null;
  /** One more holder, who closes it as well. */
  retain(): void;
  /** Once for each holder. */
  close(): void;
}

export type FollowerRead =
  | { readonly kind: 'data'; readonly offset: number; readonly leases: Lease[] }
  /** Every byte was read and the fill is complete. */
  | { readonly kind: 'end' }
  /** The fill broke; the reason is its `failure`. */
  | { readonly kind: 'failed' }
  /** The fill's window has moved past this follower: read from `Fill.readStored` or the origin. */
  | { readonly kind: 'behind'; readonly offset: number };

/** A reader of a running fill with a cursor of its own. */
export interface Follower {
  /** Next body byte this follower will get. */
  readonly cursor: number;
  /** Bytes from the cursor on, at once or as soon as some exist. One call at a time. */
  next(maximumBytes: number): FollowerRead | Promise<FollowerRead>;
  /** Moves the cursor forward after bytes were had from elsewhere (store or origin). */
  skipTo(offset: number): void;
  close(): void;
}

export interface FillHead {
  /** Encoded by encodeHead (ts/store/entry.ts). */
  readonly head: Uint8Array;
  /** Body length if the origin's framing tells it. */
  readonly bodyLength: number | null;
  /** False: nothing of it is kept; its one reader paces the producer. */
  readonly store: boolean;
  /** The disk tier may try to compress the body (ts/http/compressible.ts); absent: it may not. */
  readonly mayCompress?: boolean;
  /** The head's Vary names; with `requestFields` they make the key of the variant. */
  readonly varyNames: readonly string[];
  readonly requestFields: RawFields;
  /** Bytes [start, end) of the body are fetched; the head has headFlags.incomplete then. */
  readonly part?: {
    readonly start: number;
    readonly end: number;
    /** The incomplete object that they belong to; null: a new version. */
    readonly known: StoredObject | null;
  };
  /** The head's, for the list of the URI's variants. */
  readonly etag?: string;
}

/**
 * A running fill: one producer, any number of followers. States: waiting (no head yet), running,
 * complete, failed. Its birth is taken when it is made, so that a purge during the fill wins.
 */
export interface Fill {
  readonly primaryKey: string;
  /** End of what the producer has appended, counted from the body's begin. */
  readonly produced: number;
  /** Leaves the state waiting. */
  begin(head: FillHead): void;
  /**
   * Copies bytes into native pages and wakes followers. Returns false when the producer should pause;
   * `onResume` is called when it may go on (bytes already given are kept either way). The producer is
   * paused only when pages run out, when the one reader of an unstored body is a window behind, or when
   * the disk is behind while every follower has bytes in hand.
   */
  append(bytes: Uint8Array): boolean;
  onResume: () => void;
  /** The body is whole. Publishes the last records; from now on lookup() finds the object. */
  finish(): void;
  /**
   * The body broke off. What came is found as an incomplete object where its head has a strong validator and
   * ranges, else nothing is. Followers get 'failed' after what exists.
   */
  fail(reason: Error): void;
  readonly failure: Error | null;
  /** A purge since it began concerns what it fetches: nobody joins it, no head is sent from it. */
  isPurged(): boolean;
  follow(offset: number): Follower;
  readonly followers: number;
  /** Bytes of this very version from memory tier or disk; null where they are not stored. */
  readStored(offset: number, length: number): Promise<Lease[] | null>;
  /** True while a laggard could not be served from the store and only the window has its bytes. */
  close(): void;
}

/** What is to be purged. A key is a canonical primary key and takes its variants along. */
export type PurgeTarget =
  | { readonly kind: 'key'; readonly key: string }
  /** The beginning of canonical URLs, up to 2048 bytes. */
  | { readonly kind: 'prefix'; readonly prefix: string }
  /** As named in Surrogate-Key or Cache-Tag. */
  | { readonly kind: 'tag'; readonly tag: string }
  | { readonly kind: 'all' };

/** Of one device. */
export interface VolumeStats {
  readonly device: string;
  readonly directIo: boolean;
  /** Why direct I/O is off although it was asked for; empty where it is on or was not. */
  readonly directIoRefusal: string;
  readonly ioBackend: 'threads' | 'io_uring';
  /** Why not io_uring; empty where it is used or was not wanted. */
  readonly ioUringRefusal: string;
  readonly writesOff: boolean;
  /** What earlier lives stored is being looked up: segmentsLoaded of segmentsToLoad are done. */
  readonly warming: boolean;
  readonly [counter: string]: number | string | boolean;
}

/** How much of what a segment holds is used. */
export interface SegmentUse {
  /** Records that the store would find. */
  readonly records: number;
  /** Of these, asked for on the disk, or given up by memory after that, since they were written or found. */
  readonly hit: number;
}

export interface VolumeUse {
  readonly device: string;
  /** Of this process: a start knows no hits of earlier ones. */
  readonly segments: readonly SegmentUse[];
}

export interface StoreStats {
  /** With l2_backend raw_disk: the devices in use, and those that the start went on without. */
  readonly volumes?: readonly VolumeStats[];
  readonly leftOut?: readonly { readonly device: string; readonly reason: string }[];
  /** With l2_backend raw_disk: true until every device is loaded. */
  readonly warming?: boolean;
  /** Of the whole store; what volumes count is summed up here. */
  readonly [counter: string]: number | string | boolean | readonly object[] | undefined;
}

export type Found =
  /** `variants`: those of the URI, where its responses vary. */
  | { readonly kind: 'object'; readonly object: StoredObject; readonly variants: Variants | null }
  | { readonly kind: 'uri-miss' }
  /** The key is known, but no stored variant fits these request fields. */
  | { readonly kind: 'vary-miss'; readonly variants: Variants };

export interface CacheStore {
  /**
   * Resolves once everything that earlier lives stored is found again: with true; with false where the store
   * is closed before. Until then it is a miss, and may be fetched and stored anew.
   */
  readonly warmed: Promise<boolean>;
  /** A body of more bytes than this would push out its own beginning: it is not worth storing. */
  readonly largestBody: number;
  /**
   * What is stored for this key and these request fields: at once where memory can tell. A store that
   * fails answers like an empty one.
   */
  lookup(key: string, fields: RawFields): Found | Promise<Found>;
  /**
   * The variant key that these request fields select under these Vary names (lower case, sorted). Null where
   * their values are longer than any key may be: nothing is ever stored for such a request.
   */
  variantKey(key: string, varyNames: readonly string[], fields: RawFields): string | null;
  /** As a stored head holds them. */
  tagHashes(tags: readonly string[]): Uint8Array;
  /** `variants` of the URI that a look-up has found: they stay reachable beside the one that is fetched. */
  beginFill(primaryKey: string, variants?: Variants | null): Fill;
  /**
   * Stored variants of a URI, whatever they are chosen by: those at these places (variants.ts) that are there
   * still, the most recent first. The caller closes them.
   */
  variantsAt(
    primaryKey: string,
    variants: Variants,
    places: readonly string[],
  ): Promise<StoredObject[]>;
  /** A request that makes this choice finds the variant `object` as well from now on. */
  addChoice(
    primaryKey: string,
    variants: Variants,
    choice: string,
    object: StoredObject,
    fill: Fill,
  ): void;
  /** Replaces the head of a stored object after a 304 to `fill`; body and version stay. */
  refresh(object: StoredObject, head: Uint8Array, fill: Fill): void;
  /**
   * What was stored, or asked for at an origin, before this call is gone for every later request, or stale
   * where `soft` is true: in memory, on disk, in running fills. Resolves when that is durable. Rejects
   * with StoreError where it cannot be made so, naming the device: then it holds until the process ends.
   */
  purge(target: PurgeTarget, soft: boolean): Promise<void>;
  /**
   * The same for what nobody asked to purge: after an unsafe method, or where what is stored turned out to
   * be unusable. Costs nothing where nothing of the key is stored.
   */
  purgeKey(primaryKey: string): void;
  /** This version lacks a part: it is not found any more. Nothing is purged, nothing is written. */
  forget(object: StoredObject): void;
  stats(): StoreStats;
  /** Of each device; empty without. Takes a while, in which others go on. */
  segmentUse(): Promise<readonly VolumeUse[]>;
  /** Flushes what is buffered, seals, marks the device clean, joins the threads. */
  close(): Promise<void>;
}
