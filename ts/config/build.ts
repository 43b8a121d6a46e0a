// From settings that passed every check to the Config the program reads: camelCase,
// upstream_address as an upstream and a last route of its own, keys that are not in effect left
// behind.

import { Buffer } from 'node:buffer';
import { basename } from 'node:path';
import { defaultUpstream } from './rules.js';
import {
  type Config,
  type PurgeConfig,
  plainRoute,
  type RouteCacheConfig,
  type RouteConfig,
  type ServedAddress,
  type Settings,
  type SlicesConfig,
  type UpstreamConfig,
} from './schema.js';
import { buildUpstream, plainUpstream } from './upstream-schema.js';

const isServed = (address: Settings['listen'][number]): address is ServedAddress =>
  address.kind !== 'https';

const lowerCase = (names: readonly string[]): string[] => names.map((name) => name.toLowerCase());

/** What a route does not say is as for all. */
type SliceDefaults = Pick<Settings, 'slice_size' | 'max_concurrent_subrequests'>;

const chunkBytes = 1024 * 1024;

function buildRoute(route: Settings['routes'][number], settings: SliceDefaults): RouteConfig {
  const { match } = route;
  return {
    match: {
      host: match.host ?? null,
      path: match.path ?? null,
      patterns: match.path_pattern ?? [],
      methods: match.method ?? null,
    },
    upstream: route.upstream ?? defaultUpstream,
    cache: { ...buildCache(route.cache), slices: buildSlices(route.cache, settings) },
    prefetch: { next: route.prefetch.next, maxRunning: route.prefetch.max_running },
    redirects: {
      hops: route.follow_redirects,
      hosts: route.redirect_hosts ?? [],
      fields: lowerCase(route.redirect_fields ?? []),
      targetedFields: lowerCase(route.cache.targeted_fields),
    },
  };
}

function buildSlices(
  cache: Settings['routes'][number]['cache'],
  settings: SliceDefaults,
): SlicesConfig {
  const size = cache.slice_size ?? settings.slice_size;
  return {
    sizeBytes: size === undefined ? null : Math.ceil(size / chunkBytes) * chunkBytes,
    concurrent: cache.max_concurrent_subrequests ?? settings.max_concurrent_subrequests,
    downloads: cache.parallel_download ?? null,
  };
}

function buildCache(cache: Settings['routes'][number]['cache']): Omit<RouteCacheConfig, 'slices'> {
  const { key, heuristic, stale } = cache;
  return {
    pass: cache.pass,
    ttlMs: new Map(Object.entries(cache.ttl).map(([status, ttl]) => [Number(status), ttl])),
    overrideOrigin: cache.override_origin,
    key: {
      query: key.query,
      sortQuery: key.sort_query,
      host: key.host ?? null,
      fields: lowerCase(key.fields),
    },
    heuristic: { fraction: heuristic.fraction, maxMs: heuristic.max },
    stale: {
      maxMs: stale.max,
      whileRevalidateMs: stale.while_revalidate,
      ifErrorMs: stale.if_error,
      on429: stale.on_429,
    },
    ignoreRequestDirectives: cache.ignore_request_directives,
    setCookie: cache.set_cookie,
    authorization: cache.authorization,
    targetedFields: cache.targeted_fields,
    consumedFields: cache.consume_targeted ? lowerCase(cache.targeted_fields) : [],
    exposeKey: cache.expose_key,
    clientAbort: {
      policy: cache.client_abort,
      bytesLeft: cache.abort_threshold.bytes_left,
      completed: cache.abort_threshold.completed,
    },
  };
}

function buildPurge(purge: Settings['purge']): PurgeConfig {
  return {
    enabled: purge.enabled,
    authToken: purge.auth_token ?? null,
    allow: purge.allow ?? [],
    exposeTags: purge.expose_tags,
    enableMetrics: purge.enable_metrics,
  };
}

// The longest path that fits sockaddr_un with its closing zero.
const socketPathMax = 107;

/**
 * Where nothing is said: a socket beside the store, which belongs to one instance as the store does. A
 * store in memory alone has no such place.
 */
function adminOf(settings: Settings): Config['admin'] {
  const { listen } = settings.admin;
  if (listen !== undefined && isServed(listen)) return { listen, isDefault: false };
  const path = defaultSocketOf(settings);
  if (path === null || !path.startsWith('/') || Buffer.byteLength(path) > socketPathMax) {
    return { listen: null, isDefault: true };
  }
  return { listen: { kind: 'unix', path }, isDefault: true };
}

function defaultSocketOf(settings: Settings): string | null {
  if (!settings.enable_cache || !settings.enable_l2_cache) return null;
  const { l2_cache_dir: directory, raw_disk_cache: disks } = settings;
  if (settings.l2_backend === 'file') return directory === undefined ? null : `${directory}.sock`;
  const device = disks[0]?.device_path;
  if (device === undefined) return null;
  return socketBeside(device);
}

/** Where an instance is asked that uses this device and was not told another place. */
export function socketBeside(device: string): string {
  // Nothing but devices belongs into /dev.
  return device.startsWith('/dev/') ? `/run/millrace-${basename(device)}.sock` : `${device}.sock`;
}

export function buildConfig(settings: Settings): Config {
  const { upstream_address: address, timeouts } = settings;
  const defaults = { timeouts, maxRetries: settings.max_retries };
  const upstreams = new Map<string, UpstreamConfig>(
    Object.entries(settings.upstreams).map(([name, upstream]) => [
      name,
      buildUpstream(upstream, defaults),
    ]),
  );
  const routes = settings.routes.map((route) => buildRoute(route, settings));
  if (address !== undefined) {
    upstreams.set(defaultUpstream, plainUpstream(address, defaults));
    routes.push(buildRoute(plainRoute, settings));
  }
  return {
    upstreams,
    routes,
    listen: settings.listen.filter(isServed),
    admin: adminOf(settings),
    purge: buildPurge(settings.purge),
    trustedProxies: settings.trusted_proxies ?? [],
    slicePatterns: settings.slice_patterns,
    enableCache: settings.enable_cache,
    cacheTtlMs: settings.cache_ttl,
    memoryLimitBytes: settings.memory_limit,
    indexMemoryLimitBytes: settings.index_memory_limit,
    l1CacheSizeBytes: settings.l1_cache_size_bytes,
    enableL2Cache: settings.enable_l2_cache,
    l2Backend: settings.l2_backend,
    l2CacheDir: settings.l2_cache_dir ?? null,
    l2TotalSizeBytes: settings.l2_total_size,
    rawDiskCache: settings.raw_disk_cache.map((disk) => ({
      devicePath: disk.device_path ?? null,
      totalSizeBytes: disk.total_size ?? null,
      blockSizeBytes: disk.block_size,
      useDirectIo: disk.use_direct_io,
      enableCompression: disk.enable_compression,
      enablePrefetch: disk.enable_prefetch,
      enableZeroCopy: disk.enable_zero_copy,
      scrubIntervalMs: disk.scrub_interval,
      scrubRateBytes: disk.scrub_rate,
      create: disk.create,
      ioBackend: disk.io_backend,
    })),
    timeouts: {
      clientIdleMs: timeouts.client_idle,
      followerGraceMs: timeouts.follower_grace,
      joinMs: timeouts.join,
    },
    logLevel: settings.log_level,
  };
}
