// A proxy between a scripted origin and the clients of a test: a store of the wanted kind in a directory of
// its own, a clock that only the test moves, ports that the system chooses. Everything is closed and
// removed when the test ends, however it ends.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { Clock } from '../../ts/clock.js';
import { loadConfig } from '../../ts/config/load.js';
import type { Config, ConfigInput } from '../../ts/config/schema.js';
import {
  type RunningProxy,
  type ProxyOptions as StartOptions,
  startProxy,
} from '../../ts/proxy/proxy.js';
import type { PurgeReport, PurgeRequest } from '../../ts/proxy/purge-request.js';
import type { CacheStore, StoreStats } from '../../ts/store/contract.js';
import { formatDevice } from '../../ts/store/format.js';
import { openStore, type StoreOptions } from '../../ts/store/store.js';
import type { Timers } from '../../ts/upstream/timers.js';
import type { UpstreamStats } from '../../ts/upstream/upstream.js';
import {
  type OpenResponse,
  openRequest,
  type RequestOptions,
  type Response,
  send,
} from './client.js';
import { type Script, type ScriptedOrigin, startOrigin } from './scripted-origin.js';
import { comes, until } from './until.js';

const mib = 1024 * 1024;
/** 2027-01-15T08:00:00Z: a whole second, and no time that a real clock would be caught at. */
const startMs = 1_800_000_000_000;

const stagedMsMax = 20_000;

export interface SteppingClock extends Clock {
  advance(ms: number): void;
}

export function steppingClock(): SteppingClock {
  let passedMs = 0;
  return {
    now: () => startMs + passedMs,
    monotonic: () => passedMs,
    advance(ms) {
      passedMs += ms;
    },
  };
}

export interface ProxyOptions {
  readonly origin: Script;
  /** none: memory alone (default). raw: a formatted file. file: the file tier. off: no store at all. */
  readonly store?: 'none' | 'raw' | 'file' | 'off';
  /** Bytes of the raw file (256 MiB) or of the file tier. */
  readonly size?: number;
  /** An empty block device for the raw store, instead of a file. */
  readonly device?: string;
  /** Laid over what the harness needs; may depend on the origin's "host:port". */
  readonly config?: (origin: string) => ConfigInput;
  /** Bounds on waiting for another client's fill. */
  readonly timers?: Timers;
  /** Timers, resolver and randomness towards origins. */
  readonly upstream?: StartOptions['upstream'];
}

export interface Scene {
  readonly origin: ScriptedOrigin;
  readonly clock: SteppingClock;
  readonly config: Config;
  /** "http://127.0.0.1:port"; another one after restart(). */
  readonly address: string;
  /** Where the store keeps its bytes. */
  readonly storePath: string;
  get(target: string, fields?: readonly string[]): Promise<Response>;
  send(target: string, options: RequestOptions): Promise<Response>;
  open(target: string, options?: RequestOptions): Promise<OpenResponse>;
  counters(): Record<string, number>;
  upstreams(): Record<string, UpstreamStats>;
  purge(request: PurgeRequest): Promise<PurgeReport>;
  storeStats(): StoreStats;
  /** No exchange and no fill is under way any more: what was fetched is stored or dropped. */
  settled(): Promise<void>;
  /** Closes proxy and store and starts both again over the same bytes; `meanwhile` runs in between. */
  restart(meanwhile?: () => Promise<void> | void): Promise<void>;
  /** The same while exchanges and fills are under way; they have `graceMs` to end. */
  interrupt(graceMs?: number): Promise<void>;
}

interface Running {
  readonly proxy: RunningProxy;
  readonly store: CacheStore | null;
}

export async function withProxy(
  t: ExecutionContext,
  options: ProxyOptions,
  run: (scene: Scene) => Promise<void>,
): Promise<void> {
  t.timeout(110_000);
  const directory = await mkdtemp(join(tmpdir(), 'millrace-flow-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  let store: CacheStore | null = null;
  // A slow disk is no reason for the store to drop what a test looks for on it.
  const origin = await startOrigin(t, options.origin, { pace: () => staged(store) });
  const clock = steppingClock();
  const disk = await prepareDisk(options, directory);
  const config = configFor(options, origin.address, disk);
  const start = async () => {
    const begun = await startOver(config, disk, clock, options);
    store = begun.store;
    return begun;
  };
  let running = await start();
  t.teardown(() => stop(running));
  await run({
    origin,
    clock,
    config,
    get address() {
      return running.proxy.addresses[0]!;
    },
    storePath: disk === null || disk.kind === 'none' ? '' : pathOf(disk),
    get: (target, fields = []) => send(running.proxy.addresses[0]!, target, { fields }),
    send: (target, request) => send(running.proxy.addresses[0]!, target, request),
    open: (target, request) => openRequest(running.proxy.addresses[0]!, target, request),
    counters: () => running.proxy.stats(),
    upstreams: () => running.proxy.upstreamStats(),
    purge: (request) => running.proxy.purge(request),
    storeStats: () => running.store?.stats() ?? {},
    settled: () => settled(running),
    async restart(meanwhile = () => {}) {
      await settled(running);
      await stop(running);
      await meanwhile();
      running = await start();
    },
    async interrupt(graceMs = 0) {
      await stop(running, graceMs);
      running = await start();
    },
  });
}

/** Until the disk has nearly all that it got; one that is stalled on purpose holds nobody up for long. */
async function staged(store: CacheStore | null): Promise<void> {
  await comes(() => Number(store?.stats().stagedBytes ?? 0) <= mib, stagedMsMax);
}

function settled({ proxy }: Running): Promise<void> {
  return until('the end of every exchange and fill', () => {
    const { exchangesOpen, fillsOpen } = proxy.stats();
    return exchangesOpen === 0 && fillsOpen === 0;
  });
}

async function stop({ proxy, store }: Running, graceMs = 0): Promise<void> {
  await proxy.close(graceMs);
  await store?.close();
}

type Disk = StoreOptions['disk'];

function pathOf(disk: Exclude<Disk, { kind: 'none' }>): string {
  return disk.kind === 'raw' ? disk.devices[0]!.path : disk.directory;
}

/** Null: no store at all. */
async function prepareDisk(options: ProxyOptions, directory: string): Promise<Disk | null> {
  const { store = 'none', size = 256 * mib } = options;
  const path = join(directory, 'store');
  if (store === 'off') return null;
  if (store === 'none') return { kind: 'none' };
  if (store === 'file') return { kind: 'file', directory: path, totalSize: size };
  const raw = options.device ?? path;
  await formatDevice({
    path: raw,
    createSize: options.device === undefined ? size : null,
    blockSize: 4096,
    useDirectIo: true,
    zeroFill: false,
    overwriteStore: false,
  });
  return { kind: 'raw', devices: [{ path: raw, useDirectIo: true }] };
}

function configFor(options: ProxyOptions, address: string, disk: Disk | null): Config {
  const base: ConfigInput = {
    listen: '127.0.0.1:0',
    upstream_address: address,
    enable_cache: disk !== null,
    // The store is opened here and not by the configuration, which would insist on large sizes.
    enable_l2_cache: false,
    memory_limit: 96 * mib,
    index_memory_limit: 4 * mib,
    l1_cache_size_bytes: 24 * mib,
  };
  return loadConfig({ input: { ...base, ...options.config?.(address) }, env: {} }).config;
}

async function startOver(
  config: Config,
  disk: Disk | null,
  clock: Clock,
  { timers, upstream = {} }: ProxyOptions,
): Promise<Running> {
  const store =
    disk === null
      ? null
      : await openStore({
          memoryLimit: config.memoryLimitBytes,
          l1Budget: config.l1CacheSizeBytes,
          indexMemoryLimit: config.indexMemoryLimitBytes,
          disk,
          followerGraceMs: config.timeouts.followerGraceMs,
          poisonPages: true,
          prefetch: config.rawDiskCache[0]!.enablePrefetch,
        });
  try {
    await store?.warmed;
    const options = { config, store, clock, upstream, ...(timers === undefined ? {} : { timers }) };
    return { proxy: await startProxy(options), store };
  } catch (error) {
    await store?.close();
    throw error;
  }
}
