// From settings that passed every check to the Config the program reads: camelCase,
// upstream_address as an upstream and a last route of its own, keys that are not in effect left
// behind.

import { defaultUpstream } from './rules.js';
import type {
  Config,
  PurgeConfig,
  RouteConfig,
  ServedAddress,
  Settings,
  UpstreamConfig,
} from './schema.js';

const isServed = (address: Settings['listen'][number]): address is ServedAddress =>
  address.kind !== 'https';

function buildRoute(route: Settings['routes'][number]): RouteConfig {
  const { match, cache } = route;
  return {
    match: {
      host: match.host ?? null,
      path: match.path ?? null,
      methods: match.method ?? null,
    },
    upstream: route.upstream ?? defaultUpstream,
    cache: {
      pass: cache.pass,
      ttlMs: new Map(Object.entries(cache.ttl).map(([status, ttl]) => [Number(status), ttl])),
      overrideOrigin: cache.override_origin,
      key: {
        query: cache.key.query,
        sortQuery: cache.key.sort_query,
        host: cache.key.host ?? null,
      },
    },
  };
}

const catchAll: RouteConfig = {
  match: { host: null, path: null, methods: null },
  upstream: defaultUpstream,
  cache: {
    pass: false,
    ttlMs: new Map(),
    overrideOrigin: false,
    key: { query: { kind: 'keep' }, sortQuery: false, host: null },
  },
};

function buildPurge(purge: Settings['purge']): PurgeConfig {
  return {
    enabled: purge.enabled,
    authToken: purge.auth_token ?? null,
    allow: purge.allow ?? [],
    exposeTags: purge.expose_tags,
    enableMetrics: purge.enable_metrics,
  };
}

export function buildConfig(settings: Settings): Config {
  const { upstream_address: address, admin, timeouts } = settings;
  const upstreams = new Map<string, UpstreamConfig>(
    Object.entries(settings.upstreams).map(([name, { origins }]) => [
      name,
      { origin: origins[0]! },
    ]),
  );
  const routes = settings.routes.map(buildRoute);
  if (address !== undefined) {
    upstreams.set(defaultUpstream, { origin: address });
    routes.push(catchAll);
  }
  return {
    upstreams,
    routes,
    listen: settings.listen.filter(isServed),
    admin: { listen: admin.listen !== undefined && isServed(admin.listen) ? admin.listen : null },
    purge: buildPurge(settings.purge),
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
      create: disk.create,
      ioBackend: disk.io_backend,
    })),
    timeouts: {
      connectMs: timeouts.connect,
      headMs: timeouts.head,
      idleMs: timeouts.idle,
      clientIdleMs: timeouts.client_idle,
      followerGraceMs: timeouts.follower_grace,
    },
    logLevel: settings.log_level,
  };
}
