// Every configuration key, what it allows, and its default: the defaults live here and only here.
// The keys are those of the YAML file and of the programmatic options alike; Config is what the
// rest of the program reads, with sizes in bytes and durations in milliseconds.
// docs/reference/config.md describes each key for people, and a test compares the two.

import { z } from 'zod';
import { presetNames } from './presets.js';
import { type UpstreamConfig, upstreamSchema } from './upstream-schema.js';
import {
  type AddressBlock,
  addressBlock,
  adminAddress,
  checked,
  duration,
  fieldName,
  flag,
  fraction,
  hostPattern,
  keyHost,
  type ListenAddress,
  listenAddress,
  methodName,
  oneOf,
  oneOrList,
  originUrl,
  pathPattern,
  pathPrefix,
  powerOfTwo,
  size,
  text,
  wholeNumber,
} from './values.js';

const kib = 1024;
const mib = 1024 * kib;
const unlimited = Number.MAX_SAFE_INTEGER;
const day = 86_400_000;
/** Ten years: below the 2^31 seconds at which RFC 9111 section 1.2.2 lets a cache stop counting. */
const lifetimeMaxMs = 3650 * day;

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

/** Below this the pages of L1, fills and device I/O cannot all have their smallest share. */
export const memoryLimitMin = 96 * mib;
/** Part of memory_limit that running fills and device I/O need beside L1. */
export const memoryBesideL1 = 64 * mib;
/** Aggregation buffers of one device, and as much again twice over for fills that feed it. */
export const memoryPerRawDisk = 24 * mib;
/** More devices than this are better served by several processes. */
export const rawDisksMax = 16;
/** The purge journals take 64 MiB; the rest must still be a ring. */
export const storeSizeMin = 256 * mib;

/** A map whose keys are known; anything else in it is an issue of its own. */
const section = <Shape extends z.core.$ZodLooseShape>(shape: Shape) => z.strictObject(shape);

/** Accepted and named as not in effect; what is inside is for a later version to judge. */
const laterSection = () => z.looseObject({});

const rawDiskCache = section({
  device_path: text('the path of a file or block device').optional(),
  total_size: size(storeSizeMin, unlimited, 100 * 1024 * mib).optional(),
  block_size: powerOfTwo(512, 64 * kib).prefault(4096),
  use_direct_io: flag().prefault(true),
  create: flag().prefault(false),
  io_backend: oneOf('auto', 'threads', 'io_uring').prefault('auto'),
  enable_compression: flag().prefault(true),
  enable_prefetch: flag().prefault(true),
  enable_zero_copy: flag().prefault(true),
  scrub_interval: duration(0, 365 * day).prefault('7d'),
  scrub_rate: size(64 * kib, unlimited, mib).prefault('8MiB'),
});

const upstreamName = checked<string, string>('a name of letters, digits, "_" and "-"', (value) =>
  typeof value === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(value) ? value : null,
);

type QueryInput = 'keep' | 'drop' | { only: string[] } | { without: string[] };

export type QueryRule =
  | { readonly kind: 'keep' | 'drop' }
  | { readonly kind: 'only' | 'without'; readonly names: readonly string[] };

const queryRule = checked<QueryInput, QueryRule>(
  'keep, drop, {only: [name, ...]} or {without: [name, ...]}',
  readQueryRule,
);

function readQueryRule(value: unknown): QueryRule | null {
  if (value === 'keep' || value === 'drop') return { kind: value };
  if (typeof value !== 'object' || value === null || Object.keys(value).length !== 1) return null;
  const [kind, names] = Object.entries(value)[0]!;
  if (kind !== 'only' && kind !== 'without') return null;
  const isNames = Array.isArray(names) && names.length > 0;
  // The key compares raw bytes: a name that holds a delimiter could never match. A star ends a prefix.
  if (
    !isNames ||
    !names.every((name) => typeof name === 'string' && /^[^&=#\s*]+\*?$/.test(name))
  ) {
    return null;
  }
  return { kind, names };
}

const sliceSize = () => size(64 * kib, 10 * mib, mib);
const subrequests = () => wholeNumber(1, 1024);

const routeCache = section({
  pass: flag().prefault(false),
  ttl: z
    .record(
      checked<string, string>('a status from 200 to 599 in quotes, such as "200"', (value) =>
        typeof value === 'string' && /^[2-5]\d\d$/.test(value) ? value : null,
      ),
      duration(0, lifetimeMaxMs),
    )
    .prefault({}),
  override_origin: flag().prefault(false),
  key: section({
    query: queryRule.prefault('keep'),
    sort_query: flag().prefault(false),
    host: keyHost().optional(),
    fields: z.array(fieldName()).prefault([]),
  }).prefault({}),
  heuristic: section({
    fraction: fraction().prefault(0.1),
    max: duration(0, lifetimeMaxMs).prefault('1d'),
  }).prefault({}),
  stale: section({
    max: duration(0, lifetimeMaxMs).prefault('1d'),
    while_revalidate: duration(0, lifetimeMaxMs).prefault('0s'),
    if_error: duration(0, lifetimeMaxMs).prefault('0s'),
    on_429: flag().prefault(false),
  }).prefault({}),
  ignore_request_directives: flag().prefault(false),
  set_cookie: oneOf('store', 'refuse', 'strip').prefault('store'),
  authorization: oneOf('standard', 'refuse', 'share', 'confirm').prefault('standard'),
  targeted_fields: z.array(fieldName()).prefault(['CDN-Cache-Control']),
  consume_targeted: flag().prefault(false),
  expose_key: flag().prefault(false),
  slice_size: sliceSize().optional(),
  max_concurrent_subrequests: subrequests().optional(),
  parallel_download: flag().optional(),
  client_abort: oneOf('continue', 'stop', 'threshold').prefault('continue'),
  abort_threshold: section({
    bytes_left: size(0, unlimited, mib).prefault('16MiB'),
    completed: fraction().prefault(0.95),
  }).prefault({}),
});

const route = section({
  match: section({
    host: hostPattern().optional(),
    path: pathPrefix().optional(),
    path_pattern: oneOrList(pathPattern()).optional(),
    method: oneOrList(methodName()).optional(),
  }).prefault({}),
  upstream: text('the name of one of upstreams').optional(),
  cache: routeCache.prefault({}),
  follow_redirects: wholeNumber(0, 20).prefault(0),
  redirect_hosts: oneOrList(hostPattern()).optional(),
  redirect_fields: oneOrList(fieldName()).optional(),
  prefetch: section({
    next: wholeNumber(0, 16).prefault(0),
    max_running: wholeNumber(1, 256).prefault(4),
  }).prefault({}),
  rewrite: laterSection().optional(),
  headers: laterSection().optional(),
  limit_rate: size(1, unlimited, mib).optional(),
});

/** What a route is that says nothing: everything, by HTTP's own rules. */
export const plainRoute = route.parse({});

export const configSchema = section({
  preset: oneOf(...presetNames).optional(),
  upstream_address: originUrl().optional(),
  upstreams: z.record(upstreamName, upstreamSchema).prefault({}),
  routes: z.array(route).prefault([]),
  listen: oneOrList(listenAddress()).prefault('127.0.0.1:8080'),
  admin: section({ listen: adminAddress().optional() }).prefault({}),
  enable_cache: flag().prefault(true),
  cache_ttl: duration(1000, lifetimeMaxMs).prefault('1h'),
  memory_limit: size(memoryLimitMin, unlimited, 256 * mib).prefault('256MiB'),
  index_memory_limit: size(mib, unlimited, 64 * mib).prefault('64MiB'),
  l1_cache_size_bytes: size(mib, unlimited, 100 * mib).prefault('100MiB'),
  enable_l2_cache: flag().prefault(true),
  l2_backend: oneOf('raw_disk', 'file').prefault('raw_disk'),
  l2_cache_dir: text('the path of a directory').optional(),
  l2_total_size: size(storeSizeMin, unlimited, 100 * 1024 * mib).prefault('10GiB'),
  raw_disk_cache: oneOrList(rawDiskCache).prefault({}),
  timeouts: section({
    connect: duration(1, day).prefault('5s'),
    head: duration(1, day).prefault('30s'),
    idle: duration(1, day).prefault('30s'),
    total: duration(1, day).prefault('1d'),
    client_idle: duration(1, day).prefault('60s'),
    follower_grace: duration(1, day).prefault('10s'),
    join: duration(1, day).prefault('10s'),
  }).prefault({}),
  trusted_proxies: oneOrList(addressBlock()).optional(),
  log_level: oneOf(...logLevels).prefault('info'),
  lanes: checked<'auto' | number, 'auto' | number>(
    'auto or a whole number from 0 to 256',
    (value) => {
      if (value === 'auto') return 'auto';
      const count = typeof value === 'string' && /^\d{1,3}$/.test(value) ? Number(value) : value;
      const isCount = typeof count === 'number' && Number.isInteger(count);
      return isCount && count >= 0 && count <= 256 ? count : null;
    },
  ).optional(),
  metrics_endpoint: section({
    enabled: flag().optional(),
    address: listenAddress().optional(),
  }).optional(),
  purge: section({
    enabled: flag().prefault(false),
    auth_token: text().optional(),
    allow: oneOrList(addressBlock()).optional(),
    expose_tags: flag().prefault(false),
    enable_metrics: flag().prefault(true),
  }).prefault({}),
  slice_size: sliceSize().optional(),
  max_concurrent_subrequests: subrequests().prefault(4),
  max_retries: wholeNumber(0, 100).prefault(1),
  slice_patterns: z.array(pathPattern()).prefault([]),
});

/** Options of the programmatic API: the keys of the YAML file, snake_case and all. */
export type ConfigInput = z.input<typeof configSchema>;
/** Every key validated and defaulted, before the keys are seen together. */
export type Settings = z.output<typeof configSchema>;

export interface KeyPolicy {
  readonly query: QueryRule;
  readonly sortQuery: boolean;
  /** Replaces host and port in the key; null takes the request's. */
  readonly host: string | null;
  /** Request fields that choose the variant whatever Vary says; lower case. */
  readonly fields: readonly string[];
}

export interface StaleConfig {
  /** Longest staleness that stands in for an origin that cannot be reached. */
  readonly maxMs: number;
  /** At least so long past the lifetime, whatever the origin grants; 0: as the origin says. */
  readonly whileRevalidateMs: number;
  readonly ifErrorMs: number;
  /** A 429 counts as an error of the origin, and its Retry-After is kept. */
  readonly on429: boolean;
}

export interface RouteCacheConfig {
  /** Never looked up, never stored. */
  readonly pass: boolean;
  /** Status to lifetime. */
  readonly ttlMs: ReadonlyMap<number, number>;
  readonly overrideOrigin: boolean;
  readonly key: KeyPolicy;
  readonly heuristic: { readonly fraction: number; readonly maxMs: number };
  readonly stale: StaleConfig;
  /** Cache-Control and Pragma of requests have no say. */
  readonly ignoreRequestDirectives: boolean;
  readonly setCookie: 'store' | 'refuse' | 'strip';
  readonly authorization: 'standard' | 'refuse' | 'share' | 'confirm';
  /** In order of preference. */
  readonly targetedFields: readonly string[];
  /** Lower case: those of targetedFields where they do not go on to clients. */
  readonly consumedFields: readonly string[];
  /** The key is told in Cache-Status. */
  readonly exposeKey: boolean;
  readonly clientAbort: ClientAbortConfig;
  readonly slices: SlicesConfig;
}

/** How parts of a body are asked for. */
export interface SlicesConfig {
  /** Longest range request, whole chunks of 1 MiB; null: as long as what lacks. */
  readonly sizeBytes: number | null;
  /** Range requests that run for one answer at a time. */
  readonly concurrent: number;
  /** Whole bodies are fetched in parallel slices, too; null: as slicePatterns says. */
  readonly downloads: boolean | null;
}

/** What becomes of a fill whose last client has left. */
export interface ClientAbortConfig {
  readonly policy: 'continue' | 'stop' | 'threshold';
  /** With threshold, either is enough to go on: so many bytes or fewer lack, such a part is there. */
  readonly bytesLeft: number;
  readonly completed: number;
}

export interface RouteConfig {
  readonly match: {
    /** Lower case, without port; null matches any. */
    readonly host: string | null;
    readonly path: string | null;
    /** One of these; empty matches any. */
    readonly patterns: readonly string[];
    readonly methods: readonly string[] | null;
  };
  /** A name in Config.upstreams. */
  readonly upstream: string;
  readonly cache: RouteCacheConfig;
  readonly prefetch: {
    /** Segments behind one that was asked for; 0: none. */
    readonly next: number;
    /** At a time, for all clients of the route. */
    readonly maxRunning: number;
  };
  readonly redirects: {
    /** Followed for a GET or HEAD; 0: none, they go to the client. */
    readonly hops: number;
    /** Other hosts that they may lead to, like match.host; empty: any that is public. */
    readonly hosts: readonly string[];
    /** Lower case: kept of the redirects, where what they lead to does not have them. */
    readonly fields: readonly string[];
    /** Lower case: cache.targeted_fields, which redirects have as well. */
    readonly targetedFields: readonly string[];
  };
}

export type { UpstreamConfig } from './upstream-schema.js';

export interface PurgeConfig {
  /** The PURGE method on the public listeners. */
  readonly enabled: boolean;
  readonly authToken: string | null;
  /** Who needs no token. */
  readonly allow: readonly AddressBlock[];
  /** Surrogate-Key and Cache-Tag go on to clients. */
  readonly exposeTags: boolean;
  /** The proxy's counters of purges are part of its statistics. */
  readonly enableMetrics: boolean;
}

export type ServedAddress = Exclude<ListenAddress, { readonly kind: 'https' }>;

export interface RawDiskConfig {
  /** Not null where the raw disk is in use. */
  readonly devicePath: string | null;
  /** Not null with `create`. */
  readonly totalSizeBytes: number | null;
  readonly blockSizeBytes: number;
  readonly useDirectIo: boolean;
  /** Of either disk tier; the same for all devices. */
  readonly enableCompression: boolean;
  /** Chunks are read ahead of clients that read in order; the same for all devices. */
  readonly enablePrefetch: boolean;
  /** Pages are lent to sockets, rather than copied; of every answer, so the same for all devices. */
  readonly enableZeroCopy: boolean;
  /** Every so often all of a device is read and checked; 0: never. The same for all devices. */
  readonly scrubIntervalMs: number;
  /** Bytes a second, at least; the same for all devices. */
  readonly scrubRateBytes: number;
  readonly create: boolean;
  readonly ioBackend: 'auto' | 'threads' | 'io_uring';
}

export interface Config {
  readonly upstreams: ReadonlyMap<string, UpstreamConfig>;
  /** First match wins; never empty. */
  readonly routes: readonly RouteConfig[];
  readonly listen: readonly ServedAddress[];
  readonly admin: {
    readonly listen: ServedAddress | null;
    /** Nobody asked for it: where it cannot be had, the start goes on without. */
    readonly isDefault: boolean;
  };
  readonly purge: PurgeConfig;
  /** Whose X-Forwarded fields are believed. */
  readonly trustedProxies: readonly AddressBlock[];
  /** Patterns of paths whose whole bodies are fetched in parallel slices. */
  readonly slicePatterns: readonly string[];
  readonly enableCache: boolean;
  readonly cacheTtlMs: number;
  readonly memoryLimitBytes: number;
  readonly indexMemoryLimitBytes: number;
  readonly l1CacheSizeBytes: number;
  readonly enableL2Cache: boolean;
  readonly l2Backend: 'raw_disk' | 'file';
  /** Not null where the file backend is in use. */
  readonly l2CacheDir: string | null;
  readonly l2TotalSizeBytes: number;
  /** One or several devices; the keys are spread over them. */
  readonly rawDiskCache: readonly RawDiskConfig[];
  /** Those towards origins are in each upstream. */
  readonly timeouts: {
    readonly clientIdleMs: number;
    readonly followerGraceMs: number;
    readonly joinMs: number;
  };
  readonly logLevel: LogLevel;
}
