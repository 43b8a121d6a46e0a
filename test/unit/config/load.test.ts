// Loading a configuration that is right: the block of the design, the defaults, --set, files,
// the programmatic form, and which keys are named as not in effect. What is wrong, and how that
// is told, is in problems.test.ts.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { loadConfig } from '../../../ts/config/load.js';
import type { UpstreamConfig } from '../../../ts/config/schema.js';
import { fullConfiguration } from './samples.js';

const minimal = 'upstream_address: "origin.example.com:8000"\nenable_l2_cache: false\n';
const mib = 1024 * 1024;
/** What a route does where it says nothing. */
const plainCache = {
  key: { query: { kind: 'keep' }, sortQuery: false, host: null, fields: [] },
  heuristic: { fraction: 0.1, maxMs: 86_400_000 },
  stale: { maxMs: 86_400_000, whileRevalidateMs: 0, ifErrorMs: 0, on429: false },
  ignoreRequestDirectives: false,
  setCookie: 'store',
  authorization: 'standard',
  targetedFields: ['CDN-Cache-Control'],
  consumedFields: [],
  exposeKey: false,
  clientAbort: { policy: 'continue', bytesLeft: 16 * mib, completed: 0.95 },
  slices: { sizeBytes: null, concurrent: 4, downloads: null },
} as const;

test('config: the block of the design loads with every key', (t) => {
  const { config, notInEffect, source } = loadConfig({
    path: 'millrace.yaml',
    text: fullConfiguration,
    env: { MILLRACE_PURGE_TOKEN: 'secret' },
  });
  t.is(source, 'millrace.yaml');
  t.deepEqual(
    [...config.upstreams].map(([name, { origins }]) => [name, origins[0]!.url.href]),
    [
      ['hub', 'https://origin.example.com/'],
      ['upstream_address', 'http://origin.example.com/'],
    ],
  );
  t.deepEqual(config.rawDiskCache, [
    {
      devicePath: '/var/cache/millrace.disk',
      enableCompression: true,
      enablePrefetch: true,
      enableZeroCopy: true,
      totalSizeBytes: 107374182400,
      blockSizeBytes: 4096,
      useDirectIo: true,
      create: false,
      ioBackend: 'auto',
      scrubIntervalMs: 604_800_000,
      scrubRateBytes: 8 * 1024 * 1024,
    },
  ]);
  t.deepEqual(config.admin.listen, { kind: 'unix', path: '/run/millrace/admin.sock' });
  t.is(config.cacheTtlMs, 3_600_000);
  t.deepEqual(config.routes[0], {
    match: { host: '*.example.com', path: '/models/', patterns: [], methods: ['GET', 'HEAD'] },
    upstream: 'hub',
    cache: {
      pass: false,
      ttlMs: new Map([
        [200, 3_600_000],
        [404, 10_000],
      ]),
      overrideOrigin: false,
      ...plainCache,
    },
    prefetch: { next: 0, maxRunning: 4 },
    redirects: plainRedirects,
  });
  t.deepEqual(notInEffect, ['routes[0].rewrite', 'routes[0].headers', 'metrics_endpoint', 'lanes']);
});

const plainRedirects = { hops: 0, hosts: [], fields: [], targetedFields: ['cdn-cache-control'] };

const plainUpstream: UpstreamConfig = {
  origins: [{ url: new URL('http://origin.example.com:8000'), weight: 1 }],
  balance: 'key',
  tls: {
    caFile: null,
    serverName: null,
    certFile: null,
    keyFile: null,
    minVersion: 'TLSv1.2',
    verify: true,
  },
  health: {
    maxFailures: 3,
    failureStatus: new Set(),
    backOffMs: 1000,
    backOffMaxMs: 60_000,
    path: null,
    intervalMs: 10_000,
    timeoutMs: 2000,
    unhealthyAfter: 3,
    healthyAfter: 2,
    expectedStatus: new Set(Array.from({ length: 100 }, (_, at) => 200 + at)),
  },
  timeouts: { connectMs: 5000, headMs: 30_000, idleMs: 30_000, totalMs: 86_400_000 },
  maxConnections: 256,
  maxWaiting: 10_000,
  maxConnectionAgeMs: 300_000,
  circuitBreaker: false,
  maxRetries: 1,
  retry: {
    budgetPercent: 20,
    backOffMs: 50,
    backOffMaxMs: 2000,
    status: new Set([502, 503, 504]),
  },
};

test('config: two lines are enough, and the rest has its defaults', (t) => {
  const { config, notInEffect } = loadConfig({ text: minimal });
  t.deepEqual(config, {
    upstreams: new Map([['upstream_address', plainUpstream]]),
    routes: [
      {
        match: { host: null, path: null, patterns: [], methods: null },
        upstream: 'upstream_address',
        cache: {
          pass: false,
          ttlMs: new Map(),
          overrideOrigin: false,
          ...plainCache,
        },
        prefetch: { next: 0, maxRunning: 4 },
        redirects: plainRedirects,
      },
    ],
    listen: [{ kind: 'tcp', host: '127.0.0.1', port: 8080 }],
    admin: { listen: null, isDefault: true },
    purge: {
      enabled: false,
      authToken: null,
      allow: [],
      exposeTags: false,
      enableMetrics: true,
    },
    trustedProxies: [],
    slicePatterns: [],
    enableCache: true,
    cacheTtlMs: 3_600_000,
    memoryLimitBytes: 256 * mib,
    indexMemoryLimitBytes: 64 * mib,
    l1CacheSizeBytes: 100 * mib,
    enableL2Cache: false,
    l2Backend: 'raw_disk',
    l2CacheDir: null,
    l2TotalSizeBytes: 10 * 1024 * mib,
    rawDiskCache: [
      {
        devicePath: null,
        totalSizeBytes: null,
        blockSizeBytes: 4096,
        useDirectIo: true,
        create: false,
        enableCompression: true,
        enablePrefetch: true,
        enableZeroCopy: true,
        ioBackend: 'auto',
        scrubIntervalMs: 604_800_000,
        scrubRateBytes: 8 * 1024 * 1024,
      },
    ],
    timeouts: {
      clientIdleMs: 60_000,
      followerGraceMs: 10_000,
      joinMs: 10_000,
    },
    logLevel: 'info',
  });
  t.deepEqual(notInEffect, []);
});

test('config: every key that changes something changes it', (t) => {
  const { config } = loadConfig({
    text: `
upstreams: { a: { origins: "http://[::1]:9000" } }
routes:
  - upstream: a
    match: { method: GET, path_pattern: '/**.bin' }
    follow_redirects: 3
    redirect_hosts: ["*.Blobs.example", other.example]
    redirect_fields: X-Commit
    prefetch: { next: 3, max_running: 2 }
    cache:
      pass: true
      override_origin: true
      key: { query: { without: [utm] }, sort_query: true, host: M.example, fields: [X-Tenant] }
      heuristic: { fraction: 0, max: 1h }
      stale: { max: 2h, while_revalidate: 10, if_error: 20, on_429: true }
      ignore_request_directives: true
      set_cookie: strip
      authorization: share
      targeted_fields: [Surrogate-Control]
      consume_targeted: true
      expose_key: true
      client_abort: threshold
      abort_threshold: { bytes_left: 0, completed: 0.5 }
listen: ["[::1]:8081", "unix:/run/m.sock"]
admin: { listen: "localhost:9001" }
purge:
  enabled: true
  auth_token: t
  allow: ["fd00::/8", 10.1.2.3]
  expose_tags: true
  enable_metrics: false
enable_cache: false
cache_ttl: 1d
memory_limit: 1GiB
index_memory_limit: 8MiB
l1_cache_size_bytes: 960MiB
l2_backend: file
l2_cache_dir: /var/cache/m
l2_total_size: 1TB
raw_disk_cache: { block_size: 64KiB, use_direct_io: false, create: true, io_backend: threads }
timeouts: { connect: 1, head: 2s, idle: 500ms, total: 1h, client_idle: 1m, follower_grace: "3", join: 4 }
max_retries: 4
trusted_proxies: 10.0.0.0/8
log_level: debug
`,
  });
  t.like(config.upstreams.get('a'), {
    timeouts: { connectMs: 1000, headMs: 2000, idleMs: 500, totalMs: 3_600_000 },
    maxRetries: 4,
  });
  t.is(config.upstreams.get('a')?.origins[0]?.url.host, '[::1]:9000');
  t.deepEqual(config.purge, {
    enabled: true,
    authToken: 't',
    allow: [
      { address: 'fd00::', prefix: 8, family: 'ipv6' },
      { address: '10.1.2.3', prefix: 32, family: 'ipv4' },
    ],
    exposeTags: true,
    enableMetrics: false,
  });
  t.deepEqual(config.routes, [
    {
      match: { host: null, path: null, patterns: ['/**.bin'], methods: ['GET'] },
      upstream: 'a',
      cache: {
        pass: true,
        ttlMs: new Map(),
        overrideOrigin: true,
        key: {
          query: { kind: 'without', names: ['utm'] },
          sortQuery: true,
          host: 'm.example',
          fields: ['x-tenant'],
        },
        heuristic: { fraction: 0, maxMs: 3_600_000 },
        stale: { maxMs: 7_200_000, whileRevalidateMs: 10_000, ifErrorMs: 20_000, on429: true },
        ignoreRequestDirectives: true,
        setCookie: 'strip',
        authorization: 'share',
        targetedFields: ['Surrogate-Control'],
        consumedFields: ['surrogate-control'],
        exposeKey: true,
        clientAbort: { policy: 'threshold', bytesLeft: 0, completed: 0.5 },
        slices: { sizeBytes: null, concurrent: 4, downloads: null },
      },
      prefetch: { next: 3, maxRunning: 2 },
      redirects: {
        hops: 3,
        hosts: ['*.blobs.example', 'other.example'],
        fields: ['x-commit'],
        targetedFields: ['surrogate-control'],
      },
    },
  ]);
  t.deepEqual(config.listen, [
    { kind: 'tcp', host: '::1', port: 8081 },
    { kind: 'unix', path: '/run/m.sock' },
  ]);
  t.deepEqual(config.admin.listen, { kind: 'tcp', host: 'localhost', port: 9001 });
  t.deepEqual(config.trustedProxies, [{ address: '10.0.0.0', prefix: 8, family: 'ipv4' }]);
  t.false(config.enableCache);
  t.is(config.cacheTtlMs, 86_400_000);
  t.is(config.memoryLimitBytes, 1024 * mib);
  t.is(config.indexMemoryLimitBytes, 8 * mib);
  t.is(config.l1CacheSizeBytes, 960 * mib);
  t.is(config.l2Backend, 'file');
  t.is(config.l2CacheDir, '/var/cache/m');
  t.is(config.l2TotalSizeBytes, 1e12);
  t.like(config.rawDiskCache[0], {
    blockSizeBytes: 65536,
    useDirectIo: false,
    create: true,
    ioBackend: 'threads',
  });
  t.deepEqual(config.timeouts, {
    clientIdleMs: 60_000,
    followerGraceMs: 3000,
    joinMs: 4000,
  });
  t.is(config.logLevel, 'debug');
});

test('config: a file on disk is read and named in the result', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-config-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'millrace.yaml');
  writeFileSync(path, minimal);
  const loaded = loadConfig({ path });
  t.is(loaded.source, path);
  t.is(loaded.config.upstreams.size, 1);
});

test('config: --set wins over the file, makes sections, and the last one of a key counts', (t) => {
  const { config } = loadConfig({
    text: `${minimal}log_level: debug\n`,
    set: [
      'raw_disk_cache.block_size=512',
      'raw_disk_cache.block_size=8KiB',
      'log_level=warn',
      'enable_cache=false',
      'listen=[::1]:8081',
    ],
  });
  t.is(config.rawDiskCache[0]?.blockSizeBytes, 8192);
  t.is(config.logLevel, 'warn');
  t.false(config.enableCache);
  t.deepEqual(config.listen, [{ kind: 'tcp', host: '::1', port: 8081 }]);
});

test('config: --set reaches into lists, and without a value takes a key away', (t) => {
  const text = `${minimal}log_level: debug\nroutes: [{ upstream: a }, { upstream: a }]\n`;
  const { config } = loadConfig({
    text: `${text}upstreams: { a: { origins: "a:1" }, b: { origins: "b:1" } }\n`,
    set: ['routes[0].upstream=b', 'routes.1.cache.ttl.404=1m', 'log_level='],
  });
  t.is(config.routes[0]?.upstream, 'b');
  t.deepEqual(config.routes[1]?.cache.ttlMs, new Map([[404, 60_000]]));
  t.is(config.logLevel, 'info');
});

test('config: --set alone is enough', (t) => {
  const { config } = loadConfig({ set: ['upstream_address=a:1', 'enable_l2_cache=false'] });
  t.is(config.routes.length, 1);
});

test('config: the programmatic form takes the same keys and is not changed', (t) => {
  const input = Object.freeze({
    upstream_address: 'a:1',
    enable_l2_cache: false,
    timeouts: Object.freeze({ connect: '2s' }),
  });
  const { config, source } = loadConfig({ input, set: ['timeouts.head=1'] });
  const { timeouts } = config.upstreams.get('upstream_address')!;
  t.is(timeouts.connectMs, 2000);
  t.is(timeouts.headMs, 1000);
  t.is(source, 'options');
  t.deepEqual(input.timeouts, { connect: '2s' });
});

test('config: anchors may share a section, and --set changes only one of its places', (t) => {
  const text = `${minimal}routes: [{ cache: &rules { pass: true } }, { cache: *rules }]\n`;
  const { config } = loadConfig({ text, set: ['routes[0].cache.pass=false'] });
  t.deepEqual(
    config.routes.map(({ cache }) => cache.pass),
    [false, true, false],
  );
});

test('config: only values without effect are named as such', (t) => {
  const named = (text: string) => loadConfig({ text: minimal + text }).notInEffect;
  t.deepEqual(named('lanes: 0\n'), []);
  t.deepEqual(named('lanes: 2\n'), ['lanes']);
  t.deepEqual(named('raw_disk_cache: { io_backend: threads }\n'), []);
  t.deepEqual(named('raw_disk_cache: { io_backend: io_uring }\n'), []);
  t.deepEqual(named('slice_size: null\nslice_patterns:\n'), []);
  t.deepEqual(named('upstreams: { a: { origins: ["a:1"] } }\n'), []);
  t.deepEqual(named('upstreams: { a: { origins: ["a:1", "b:1"] } }\n'), []);
  t.deepEqual(named('slice_size: 1MiB\nmax_concurrent_subrequests: 4\nmax_retries: 3\n'), []);
});

test('config: slices are whole chunks, and a route has the last word', (t) => {
  const text = (more: string) =>
    `upstreams: { a: { origins: ["a:1"] } }\nenable_l2_cache: false\n${more}`;
  const slices = (more: string) => loadConfig({ text: text(more) }).config.routes[0]!.cache.slices;
  const plain = { sizeBytes: null, concurrent: 4, downloads: null };
  t.deepEqual(slices('routes: [{ upstream: a }]\n'), plain);
  const all = 'slice_size: 1.5MiB\nmax_concurrent_subrequests: 9\nslice_patterns: ["/m/*.bin"]\n';
  const general = { sizeBytes: 2 * 1024 * 1024, concurrent: 9, downloads: null };
  t.deepEqual(slices(`${all}routes: [{ upstream: a }]\n`), general);
  t.deepEqual(
    loadConfig({ text: text(`${all}routes: [{ upstream: a }]\n`) }).config.slicePatterns,
    ['/m/*.bin'],
  );
  const own = 'slice_size: 64KiB, max_concurrent_subrequests: 2, parallel_download: true';
  t.deepEqual(slices(`${all}routes: [{ upstream: a, cache: { ${own} } }]\n`), {
    sizeBytes: 1024 * 1024,
    concurrent: 2,
    downloads: true,
  });
});

test('config: an https address is named and not listened on', (t) => {
  const text = `${minimal}listen: ["127.0.0.1:8080", "https://127.0.0.1:8443"]\n`;
  const { config, notInEffect } = loadConfig({ text });
  t.deepEqual(notInEffect, ['listen[1]']);
  t.deepEqual(config.listen, [{ kind: 'tcp', host: '127.0.0.1', port: 8080 }]);
});
