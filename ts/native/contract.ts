// The addon's exports as TypeScript sees them: the twin of native/addon. Numbers named handle, token and
// words are what the C++ headers say; nobody outside ts/native and ts/store uses this file.

export interface NativeRoutes {
  match(method: string, host: string, target: string): number;
  /** Throws RangeError with the reason. */
  key(route: number, scheme: string, host: string, target: string): string;
}

/** Results below zero are not handles. */
export const nativePending = -1 as const;
export const pollWait = -1;
export const pollEnd = -2;
export const pollFailed = -3;
export const pollBehind = -4;

/** purge: kinds of native/layout/purge-journal.h. */
export const purgeKinds = { key: 1, prefix: 2, tag: 3, all: 4 } as const;

/** fillAppend: why the producer should pause. */
export const pauseNone = 0;
export const pauseLaggard = 4;

/** [lease, buffer, lease, buffer, ...]; lease 0 is a copy that nobody need release. */
export type LeaseList = (number | Buffer)[];

export interface NativeStore {
  /** Place of this handle in the environment, for closeStore. */
  readonly session: number;
  /** [serial] of the record that findNow or findVariantNow gave last; whole, and never given twice. */
  readonly found: Float64Array;
  /** Without a token: what memory can tell, else nativePending. */
  findNow(key: string): number;
  findVariantNow(marker: number, key: string): number;
  find(token: number, key: string): number;
  findVariant(token: number, marker: number, key: string): number;
  head(object: number): Buffer;
  /** The head or single record that memory has of this key right now; 0: none. Not counted as a look-up. */
  peek(key: string): number;
  /** Of a Vary marker: the lowest birth of a variant that it vouches for. */
  floor(marker: number): number;
  read(token: number, object: number, offset: number, length: number): number;
  /** Leases on bytes in memory, else nativePending. */
  readNow(object: number, offset: number, length: number): LeaseList | typeof nativePending;
  /** Fills `out` with body bytes from `offset` on; false where one record in memory has not all of them. */
  copyBody(object: number, offset: number, out: Uint8Array): boolean;
  /** End of the stored bytes from `offset` on; -1 - n where a piece of chunk n must be read first. */
  storedEnd(object: number, offset: number, end: number): number;
  /** The next stored byte from `offset` on, as far as memory and index tell. */
  missingEnd(object: number, offset: number, end: number): number;
  firstMissing(object: number, offset: number, length: number): number;
  /** A handle on the chunk at this offset, which is being read before it is asked for; 0: it is not. */
  readAhead(object: number, offset: number): number;
  endReadAhead(ahead: number): void;
  takePages(result: number): LeaseList | undefined;
  release(lease: number, buffer: Uint8Array): void;
  closeObject(object: number): void;
  refresh(object: number, head: Uint8Array, fill: number): void;
  /** Returns the bound: what was born below it is purged. The token is posted when that is durable. */
  purge(token: number, kind: number, text: string, soft: boolean): number;
  purgeKey(key: string): void;
  restorePurge(kind: number, text: string, soft: boolean, bound: number): void;
  purgeState(object: number): number;
  isFillPurged(fill: number): boolean;
  forget(object: number): void;

  beginFill(token: number, primaryKey: string): number;
  fillBegin(
    fill: number,
    key: string,
    head: Uint8Array,
    bodyLength: number,
    keep: boolean,
    mayCompress: boolean,
    /** Bytes [partBegin, partEnd) of the body; equal: the whole. */
    partBegin: number,
    partEnd: number,
    /** The incomplete object that the part belongs to; 0: the first part of a new version. */
    known: number,
  ): void;
  fillAppend(fill: number, bytes: Uint8Array, from: number): number;
  fillFinish(fill: number): void;
  /** Publishes the marker of the fill's primary key; false after a purge. */
  fillMarker(fill: number, head: Uint8Array, floor: number): boolean;
  fillFail(fill: number): void;
  fillPause(fill: number): number;
  fillDropLaggards(fill: number): void;
  fillRead(token: number, fill: number, offset: number, length: number): number;
  closeFill(fill: number): void;
  follow(fill: number, token: number, offset: number): number;
  poll(follower: number, maximum: number): number;
  skipTo(follower: number, offset: number): void;
  unfollow(follower: number): void;

  attachPolicy(token: number, headroom: number): ArrayBuffer[] | null;
  takeEvents(out: Uint32Array): number;
  evict(pairs: Uint32Array, count: number): void;
  memoryUsed(): number;

  onStaged(token: number): void;
  /** The token is posted once, when every footer of an earlier life is loaded. */
  onWarmed(token: number): void;
  /** [handle, name, object, lease, buffer, ...]; `object` is 0 where the body may not be compressed. */
  takeStaged(): (number | string | Buffer)[] | null;
  /** Header of a staged record, whose body is stored as it is (null) or as these blocks. */
  stagedHeader(staged: number, blocks: readonly Uint8Array[] | null): Buffer;
  settleStaged(staged: number): boolean;
  recordName(key: string): string;
  chunkName(object: number, fill: number, chunk: number): string | undefined;
  adopt(key: string, bytes: Uint8Array): number;
  adoptChunk(
    object: number,
    fill: number,
    chunk: number,
    bytes: Uint8Array,
    skip: number,
    length: number,
  ): number;
  /**
   * Adds to `out`, for each segment of a volume, the records in a part of the index and how many of them were
   * hit. Returns where the next part begins; 0: that was the last.
   */
  countUse(volume: number, place: number, words: number, out: Uint32Array): number;
  stats(): NativeStats;
}

/** Numbers of the store, and of its volumes beside them. */
export interface NativeStats {
  readonly volumes?: readonly NativeVolumeStats[];
  readonly leftOut?: readonly { readonly device: string; readonly reason: string }[];
  /** Of any volume. */
  readonly warming?: boolean;
  readonly [counter: string]: number | boolean | readonly object[] | undefined;
}

export interface NativeVolumeStats {
  readonly device: string;
  readonly directIo: boolean;
  readonly directIoRefusal: string;
  readonly ioBackend: 'threads' | 'io_uring';
  /** Why not io_uring; empty where it is used or was not wanted. */
  readonly ioUringRefusal: string;
  readonly writesOff: boolean;
  /** Footers of an earlier life are being loaded: segmentsLoaded of segmentsToLoad are done. */
  readonly warming: boolean;
  readonly [counter: string]: number | string | boolean;
}

/** One of at most 16; none: a store of memory alone, or with an outside tier. */
export interface NativeDevice {
  readonly path: string;
  readonly direct: boolean;
  /** Its place in `ioBackends`. */
  readonly ioBackend: number;
}

/** The order is that of IoChoice in native/device/posix-device.h. */
export const ioBackends = ['auto', 'threads', 'io_uring'] as const;
export type IoBackend = (typeof ioBackends)[number];

/** What inspect() does, by its number. */
export const inspections = ['device', 'key', 'verify', 'probe'] as const;

export interface NativeDeviceReport {
  /** Who uses the device, in words; empty when nobody does. */
  readonly owner: string;
  readonly uuid: string;
  readonly format: string;
  readonly size: number;
  readonly blockSize: number;
  readonly segmentSize: number;
  readonly clean: boolean;
  /** Of each superblock copy: empty, or what is wrong with it. */
  readonly copies: readonly string[];
  readonly records: Readonly<Record<'single' | 'head' | 'chunk', number>>;
  readonly segments: readonly NativeSegmentReport[];
}

export interface NativeSegmentReport {
  readonly finding: 'empty' | 'sealed' | 'open' | 'unreadable';
  readonly sequence: number;
  /** Unix time; 0 where it is not known. */
  readonly openedMs: number;
  /** Bytes of records, header and footer. */
  readonly used: number;
  readonly records: number;
}

export interface NativeStoredRecord {
  readonly kind: 'single' | 'head' | 'chunk';
  readonly offset: number;
  readonly segment: number;
  readonly key: string;
  /** As ts/store/entry.ts decodes it; empty where there is none. */
  readonly head: Buffer;
  readonly birth: number;
  readonly incarnation: number;
  readonly bodyLength: number;
  readonly storedLength: number;
  readonly chunksFound: number;
  readonly chunksWanted: number;
}

export interface NativeRecordsReport {
  readonly owner: string;
  readonly records: readonly NativeStoredRecord[];
}

export interface NativeVerifyReport {
  readonly owner: string;
  readonly segments: number;
  readonly records: number;
  readonly bytes: number;
  readonly damaged: number;
  /** The first thousand of them. */
  readonly listed: readonly {
    readonly offset: number;
    /** Null for superblocks and the purge journal. */
    readonly segment: number | null;
    readonly reason: string;
    readonly key: string;
  }[];
}

export interface NativeProbeReport {
  readonly owner: string;
  readonly size: number;
  readonly isBlockDevice: boolean;
  readonly directIo: boolean;
  readonly directIoRefusal: string;
  readonly ioUring: boolean;
  readonly ioUringRefusal: string;
  readonly content: 'store' | 'damaged' | 'nothing' | 'foreign';
  /** Of something foreign what it is, of a damaged store what is wrong. */
  readonly found: string;
  readonly clean: boolean;
}

export interface Addon {
  /** Once per environment: the words that completions are delivered in. */
  start(onBatch: (count: number) => void): Uint32Array;
  /** Moves waiting completions into the words; returns how many. */
  take(): number;
  /** Keeps the event loop alive while operations are under way. */
  hold(held: boolean): void;
  openStore(
    token: number,
    devices: readonly NativeDevice[],
    memoryLimit: number,
    l1Budget: number,
    indexMemoryLimit: number,
    poison: boolean,
    compress: boolean,
    externalLife: number,
    hashKey: Uint8Array,
    scrubIntervalMs: number,
    scrubRate: number,
  ): number;
  takeStore(handle: number): NativeStore;
  closeStore(token: number, session: number): void;
  format(
    token: number,
    path: string,
    direct: boolean,
    blockSize: number,
    zeroFill: boolean,
    force: boolean,
    createSize: number,
  ): number;
  formatProgress(handle: number): [number, number] | undefined;
  takeFormat(handle: number): { size: number; direct: boolean };
  /** `what`: its place in `inspections`. */
  inspect(
    token: number,
    path: string,
    what: number,
    key: string,
    direct: boolean,
    ioBackend: number,
  ): number;
  inspectProgress(handle: number): [number, number] | undefined;
  takeInspect(
    handle: number,
  ): NativeDeviceReport | NativeRecordsReport | NativeVerifyReport | NativeProbeReport;
  readonly Routes: new (routes: string[][]) => NativeRoutes;
  variantKey(primary: string, varyNames: string, fields: readonly string[]): string;
  /** 8 bytes for each tag. */
  tagHashes(tags: readonly string[]): Buffer;
}

/** What error_of (native/addon/arguments.h) puts on an Error. */
export interface NativeFailure extends Error {
  readonly status: number;
  readonly errno: number;
  readonly found?: string;
  /** The device at fault; empty where none is. */
  readonly path?: string;
}
