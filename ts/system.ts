// From a configuration to a running system and back: the store, then the proxy over it, then the
// operator's listener, closed in the opposite order. The command line and createProxy both start here.
// What the engine says about a device is turned here into what the operator has to do.

import { existsSync, statSync } from 'node:fs';
import { type AdminOptions, type RunningAdmin, startAdmin } from './admin/server.js';
import type { LoadedConfig } from './config/load.js';
import type { Config, RawDiskConfig } from './config/schema.js';
import { type ErrorCode, StoreError } from './errors.js';
import type { Log } from './observe/log.js';
import { background } from './proxy/background.js';
import type { RunningProxy } from './proxy/proxy.js';
import { type PurgeReport, type PurgeRequest, readPurgeRequest } from './proxy/purge-request.js';
import type { CacheStore, StoreStats, VolumeStats } from './store/contract.js';
import { formatDevice } from './store/format.js';
import { openStore, type StoreOptions } from './store/store.js';
import { formatSize } from './units.js';
import type { UpstreamStats } from './upstream/upstream.js';

export interface SystemStats {
  readonly proxy: Readonly<Record<string, number>>;
  /** By name: what was repeated, and how each origin does. */
  readonly upstreams: Readonly<Record<string, UpstreamStats>>;
  /** Null where enable_cache is false. */
  readonly store: StoreStats | null;
}

export interface System {
  /** "http://127.0.0.1:8080" or "unix:/path"; the real port where 0 was asked for. */
  readonly addresses: readonly string[];
  /** Null where none is configured. */
  readonly adminAddress: string | null;
  stats(): SystemStats;
  /**
   * Purges by URL, key, prefix, tag or altogether. Resolves when that is durable: what is then asked for
   * is fetched again. Rejects with ClientError for a request that names nothing, StoreError where the
   * purge cannot be made durable; then it holds in this process.
   */
  purge(request: PurgeRequest): Promise<PurgeReport>;
  /** Lets running exchanges finish for `graceMs` (10 s), then breaks them; then closes the store. */
  close(graceMs?: number): Promise<void>;
}

// Longer than most downloads' rest and shorter than what service managers wait before they kill.
const graceMsDefault = 10_000;

/** Rejects with ConfigError or StoreError; whatever was started until then is closed again. */
export async function startSystem(loaded: LoadedConfig, log: Log): Promise<System> {
  const { config, notInEffect } = loaded;
  for (const key of notInEffect) log.warn({ key }, `not in effect in this version: ${key}`);
  for (const [upstream, { tls }] of config.upstreams) {
    if (tls.verify) continue;
    log.warn(
      { upstream },
      `upstreams.${upstream}.tls.verify is false: whoever is between here and its origins can read and ` +
        'change what they send, and it is stored; name their authority in tls.ca_file instead',
    );
  }
  // The proxy's modules are loaded while the devices are read.
  const opening = config.enableCache ? openConfigured(config, log) : Promise.resolve(null);
  const [store, { startProxy }] = await Promise.all([opening, import('./proxy/proxy.js')]);
  let proxy: RunningProxy | null = null;
  let admin: RunningAdmin | null = null;
  try {
    proxy = await startProxy({ config, store });
    const running = proxy;
    const stats = (): SystemStats => ({
      proxy: running.stats(),
      upstreams: running.upstreamStats(),
      store: store?.stats() ?? null,
    });
    const purge = (request: unknown): Promise<PurgeReport> =>
      running.purge(readPurgeRequest(request));
    const segments = async () => ({ volumes: (await store?.segmentUse()) ?? [] });
    admin = await startConfiguredAdmin(config, { stats, segments, purge }, log);
    return makeSystem(running, admin, store, stats);
  } catch (error) {
    await proxy?.close(0);
    await store?.close();
    throw error;
  }
}

/** Null where there is none, and where the default one cannot be had. */
async function startConfiguredAdmin(
  { admin: { listen, isDefault } }: Config,
  answers: Omit<AdminOptions, 'listen'>,
  log: Log,
): Promise<RunningAdmin | null> {
  if (listen === null) return null;
  try {
    return await startAdmin({ listen, ...answers });
  } catch (error) {
    if (!isDefault) throw error;
    const { message } = error as Error;
    log.warn({ reason: message }, `${message}; stats and purge are not to be had without it`);
    return null;
  }
}

function makeSystem(
  proxy: RunningProxy,
  admin: RunningAdmin | null,
  store: CacheStore | null,
  stats: () => SystemStats,
): System {
  let closing: Promise<void> | null = null;
  const close = async (graceMs: number): Promise<void> => {
    // The counters stay readable while the exchanges drain.
    await proxy.close(graceMs);
    await admin?.close();
    await store?.close();
  };
  return {
    addresses: proxy.addresses,
    adminAddress: admin?.address ?? null,
    stats,
    purge: (request) => proxy.purge(readPurgeRequest(request)),
    close: (graceMs = graceMsDefault) => {
      closing ??= close(graceMs);
      return closing;
    },
  };
}

function diskOf(config: Config): StoreOptions['disk'] {
  if (!config.enableL2Cache) return { kind: 'none' };
  if (config.l2Backend === 'file') {
    // The rules of the configuration see to it that the directory or the device is named.
    return { kind: 'file', directory: config.l2CacheDir!, totalSize: config.l2TotalSizeBytes };
  }
  const devices = config.rawDiskCache.map(({ devicePath, useDirectIo, ioBackend }) => ({
    path: devicePath!,
    useDirectIo,
    ioBackend,
  }));
  return { kind: 'raw', devices };
}

async function openConfigured(config: Config, log: Log): Promise<CacheStore> {
  const disk = diskOf(config);
  const disks = disk.kind === 'raw' ? config.rawDiskCache : [];
  for (const device of disks) await createIfWanted(device, log);
  try {
    const store = await openStore({
      memoryLimit: config.memoryLimitBytes,
      l1Budget: config.l1CacheSizeBytes,
      indexMemoryLimit: config.indexMemoryLimitBytes,
      disk,
      // The rules of the configuration see to it that all devices agree.
      compress: config.rawDiskCache[0]!.enableCompression,
      prefetch: config.rawDiskCache[0]!.enablePrefetch,
      scrub: {
        intervalMs: config.rawDiskCache[0]!.scrubIntervalMs,
        bytesPerSecond: config.rawDiskCache[0]!.scrubRateBytes,
      },
      followerGraceMs: config.timeouts.followerGraceMs,
    });
    reportDevices(disks, store.stats(), log);
    if (disk.kind === 'raw') background(reportWarm(store, log), 'warming', '');
    const { lz4Refusal } = store.stats();
    if (typeof lz4Refusal === 'string' && lz4Refusal !== '') log.warn({}, lz4Refusal);
    return store;
  } catch (error) {
    throw disk.kind === 'raw' ? explainDevice(disks, error) : error;
  }
}

async function createIfWanted(disk: RawDiskConfig, log: Log): Promise<void> {
  const { create, totalSizeBytes, blockSizeBytes, useDirectIo } = disk;
  const path = disk.devicePath!;
  if (!create || existsSync(path)) return;
  await formatDevice({
    path,
    createSize: totalSizeBytes,
    blockSize: blockSizeBytes,
    useDirectIo,
    // Serving begins at once: the appender zeroes ahead of the write head.
    zeroFill: false,
    overwriteStore: false,
  });
  log.info({ path, size: totalSizeBytes }, 'made the store');
}

/** A line for each device, once what it holds is known. */
async function reportWarm(store: CacheStore, log: Log): Promise<void> {
  if (!(await store.warmed)) return;
  for (const { device, recoveredRecords, recoveryMs, warmingMs } of store.stats().volumes ?? []) {
    const ms = Number(recoveryMs) + Number(warmingMs);
    log.info(
      { path: device, records: recoveredRecords, ms },
      `found ${recoveredRecords} records in ${ms} ms`,
    );
  }
}

function reportDevices(disks: readonly RawDiskConfig[], stats: StoreStats, log: Log): void {
  for (const { device, reason } of stats.leftOut ?? []) {
    log.error(
      { device, reason },
      `${device} is left out: ${reason}; its share of the keys is spread over the other devices ` +
        'until it is back at a start, and what it holds counts as purged then',
    );
  }
  for (const volume of stats.volumes ?? []) {
    const disk = disks.find(({ devicePath }) => devicePath === volume.device);
    if (disk !== undefined) reportDevice(disk, volume, log);
  }
}

function reportDevice(disk: RawDiskConfig, stats: VolumeStats, log: Log): void {
  const { useDirectIo, totalSizeBytes, blockSizeBytes } = disk;
  const path = stats.device;
  const { ioBackend, ioUringRefusal } = stats;
  const reason = ioUringRefusal === '' ? {} : { noIoUring: ioUringRefusal };
  log.info({ path, ioBackend, ...reason }, 'opened the store');
  if (stats.blockSize !== blockSizeBytes) {
    log.warn(
      { path, found: stats.blockSize, blockSize: blockSizeBytes },
      'the store keeps the block_size it was formatted with; format it anew to change that',
    );
  }
  if (useDirectIo && stats.directIo === false) {
    log.warn(
      { path, reason: stats.directIoRefusal },
      'direct I/O was refused: the page cache will hold what the store holds already',
    );
  }
  const found = statSync(path);
  if (totalSizeBytes !== null && found.isFile() && found.size !== totalSizeBytes) {
    log.warn(
      { path, found: found.size, totalSize: totalSizeBytes },
      'the store keeps the size it was formatted with; format it anew to change that',
    );
  }
}

/** An argument that the shell takes as it is. */
function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** The command that makes a store as the configuration wants it. */
export function formatCommandFor(disk: RawDiskConfig, exists: boolean): string {
  const { totalSizeBytes, blockSizeBytes, useDirectIo } = disk;
  const words = ['npx millrace format', shellWord(disk.devicePath!)];
  if (!exists) words.push('--size', totalSizeBytes === null ? '100GiB' : exactSize(totalSizeBytes));
  if (blockSizeBytes !== 4096) words.push('--block-size', String(blockSizeBytes));
  if (!useDirectIo) words.push('--no-direct-io');
  return words.join(' ');
}

function exactSize(bytes: number): string {
  const short = formatSize(bytes);
  // One decimal is for people to read; a size to type has to be the very one.
  return short.includes('.') ? String(bytes) : short;
}

const isCode = (error: StoreError, code: ErrorCode): boolean =>
  error.code === `ERR_MILLRACE_${code}`;

function explainDevice(disks: readonly RawDiskConfig[], error: unknown): unknown {
  if (!(error instanceof StoreError)) return error;
  const named = disks.find(({ devicePath }) => devicePath === error.device);
  // Without a name it is that of the only one, or about all of them.
  const disk = named ?? (disks.length === 1 ? disks[0] : undefined);
  const details = { cause: error, retryable: error.retryable };
  if (disk === undefined) {
    const paths = disks.map(({ devicePath }) => devicePath).join(', ');
    const code = error.code.slice('ERR_MILLRACE_'.length) as ErrorCode;
    return error.message.startsWith('/') || disks.length === 0
      ? error
      : new StoreError(code, `raw_disk_cache (${paths}): ${error.message}`, details);
  }
  const path = disk.devicePath!;
  if (isCode(error, 'STORE_MISSING_DEVICE')) {
    const advice = path.startsWith('/dev/')
      ? 'lsblk lists the devices of this machine'
      : `to make it, run: ${formatCommandFor(disk, false)}\n` +
        'or set raw_disk_cache.create: true';
    return new StoreError(
      'STORE_MISSING_DEVICE',
      `${path} does not exist (raw_disk_cache.device_path); ${advice}`,
      details,
    );
  }
  const command = formatCommandFor(disk, true);
  if (isCode(error, 'STORE_FOREIGN_DEVICE') && error.message.includes('written over')) {
    const advice = `run npx millrace inspect ${path} to see what it holds; nothing was changed`;
    return new StoreError('STORE_FOREIGN_DEVICE', `${path}: ${error.message}; ${advice}`, details);
  }
  if (isCode(error, 'STORE_FOREIGN_DEVICE')) {
    return new StoreError(
      'STORE_FOREIGN_DEVICE',
      `${path} is not a millrace store; to make it one, run: ${command}\n` +
        '(that refuses to overwrite whatever else may be on it)',
      details,
    );
  }
  if (isCode(error, 'STORE_CORRUPT_RECORD')) {
    return new StoreError(
      'STORE_CORRUPT_RECORD',
      `${path}: ${error.message}; to start with an empty store, run: ${command} --yes`,
      details,
    );
  }
  if (error.message.startsWith(path)) return error;
  const code = error.code.slice('ERR_MILLRACE_'.length) as ErrorCode;
  return new StoreError(code, `${path}: ${error.message}`, details);
}
