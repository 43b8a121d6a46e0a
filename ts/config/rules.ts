// What no key can be judged for alone: keys that need each other, sizes that must fit each other,
// names that must exist, addresses that must differ. A rule is left out where a key it reads was
// found wrong already, so that one slip is told once.

import { formatSize } from '../units.js';
import type { Problem } from './explain.js';
import { show, suggest } from './explain.js';
import type { KeyPath } from './keys.js';
import { memoryBesideL1, memoryPerRawDisk, rawDisksMax, type Settings } from './schema.js';
import { formatListen, type ListenAddress } from './values.js';

/** The upstream that upstream_address stands for. */
export const defaultUpstream = 'upstream_address';

type TopLevelKey = keyof Settings;

interface Rule {
  readonly reads: readonly TopLevelKey[];
  readonly check: (settings: Settings) => Problem[];
}

const exactSize = (bytes: number): string => `${bytes} (${formatSize(bytes)})`;

function someUpstream({ upstream_address: address, routes, upstreams }: Settings): Problem[] {
  if (address !== undefined) return [];
  if (routes.length > 0 && Object.keys(upstreams).length > 0) return [];
  const text = 'missing; allowed: "host:port" or a URL, or routes and upstreams in its place';
  return [{ path: ['upstream_address'], text }];
}

function knownUpstreams({ upstream_address: address, routes, upstreams }: Settings): Problem[] {
  const names = Object.keys(upstreams);
  return routes.flatMap(({ upstream }, index): Problem[] => {
    const path = ['routes', index, 'upstream'];
    const allowed = names.length === 0 ? 'a name defined in upstreams' : names.join(', ');
    if (upstream === undefined) {
      // That there is no upstream at all was said already.
      if (names.length === 0) return [];
      return address === undefined ? [{ path, text: `missing; allowed: ${allowed}` }] : [];
    }
    if (names.includes(upstream)) return [];
    const meant = suggest(upstream, names);
    const hint = meant === null ? '' : `; did you mean ${meant}?`;
    return [{ path, text: `found ${show(upstream)}; allowed: ${allowed}${hint}` }];
  });
}

function ownUpstreamName({ upstreams }: Settings): Problem[] {
  if (!Object.hasOwn(upstreams, defaultUpstream)) return [];
  const text = 'this name stands for the key upstream_address; allowed: any other name';
  return [{ path: ['upstreams', defaultUpstream], text }];
}

function distinctOrigins({ upstreams }: Settings): Problem[] {
  return Object.entries(upstreams).flatMap(([name, { origins }]) =>
    origins.flatMap(({ url }, index): Problem[] => {
      const first = origins.findIndex((other) => other.url.origin === url.origin);
      if (first === index) return [];
      const text = `found ${show(url.origin)} twice; allowed: once, with a weight`;
      return [{ path: ['upstreams', name, 'origins', index], text }];
    }),
  );
}

function certificateWithKey({ upstreams }: Settings): Problem[] {
  return Object.entries(upstreams).flatMap(([name, { tls }]): Problem[] => {
    const missing = tls.cert_file === undefined ? 'cert_file' : 'key_file';
    if ((tls.cert_file === undefined) === (tls.key_file === undefined)) return [];
    const given = missing === 'cert_file' ? 'key_file' : 'cert_file';
    const path = ['upstreams', name, 'tls'];
    const text = `missing; ${given} needs it`;
    return [{ path: [...path, missing], near: [...path, given], text }];
  });
}

/** What is said about redirects that nobody follows can only be a slip. */
function redirectsAreFollowed({ routes }: Settings): Problem[] {
  return routes.flatMap((route, index): Problem[] => {
    if (route.follow_redirects > 0) return [];
    const given = (['redirect_hosts', 'redirect_fields'] as const).filter((key) => route[key]);
    const text = 'needs follow_redirects beside it, or no redirect is followed';
    return given.map((key) => ({ path: ['routes', index, key], text }));
  });
}

/** Enabled for nobody, or for everybody: neither can be meant. */
function purgeIsGuarded({ purge }: Settings): Problem[] {
  if (!purge.enabled || purge.auth_token !== undefined || purge.allow !== undefined) return [];
  const text = 'true needs purge.auth_token or purge.allow beside it, or nobody may purge';
  return [{ path: ['purge', 'enabled'], text }];
}

function memoryFits({ l1_cache_size_bytes: l1, memory_limit: limit }: Settings): Problem[] {
  if (l1 <= limit - memoryBesideL1) return [];
  const text =
    `found ${exactSize(l1)}; allowed: at most ${exactSize(limit - memoryBesideL1)}, which is ` +
    `memory_limit ${exactSize(limit)} less ${formatSize(memoryBesideL1)} for fills and disk I/O; ` +
    'lower l1_cache_size_bytes or raise memory_limit';
  return [{ path: ['l1_cache_size_bytes'], near: ['memory_limit'], text }];
}

const needsStore = (settings: Settings, backend: Settings['l2_backend']): boolean =>
  settings.enable_cache && settings.enable_l2_cache && settings.l2_backend === backend;

function deviceNamed(settings: Settings): Problem[] {
  if (!needsStore(settings, 'raw_disk')) return [];
  const disks = settings.raw_disk_cache;
  return disks.flatMap(({ device_path: path, create, total_size: size }, index): Problem[] => {
    // The one device of a map without a list has no number for its owner.
    const at: KeyPath = disks.length === 1 ? ['raw_disk_cache'] : ['raw_disk_cache', index];
    const problems: Problem[] = [];
    if (path === undefined) {
      const text =
        'missing; allowed: the path of a file or block device, or l2_backend: file, ' +
        'or enable_l2_cache: false to keep everything in memory';
      problems.push({ path: [...at, 'device_path'], text });
    } else if (disks.findIndex((disk) => disk.device_path === path) < index) {
      const text = `found ${show(path)} twice; allowed: once`;
      problems.push({ path: [...at, 'device_path'], text });
    }
    if (create && size === undefined) {
      const text = 'missing; create: true needs the size of the file to make, for example "100GiB"';
      problems.push({ path: [...at, 'total_size'], text });
    }
    return problems;
  });
}

function devicesFit(settings: Settings): Problem[] {
  if (!needsStore(settings, 'raw_disk')) return [];
  const { raw_disk_cache: disks, memory_limit: limit } = settings;
  const allowed = Math.min(rawDisksMax, Math.floor(limit / memoryPerRawDisk));
  if (disks.length <= allowed) return [];
  const text =
    `found ${disks.length} devices; allowed: at most ${allowed} with memory_limit ` +
    `${exactSize(limit)}, because each takes ${formatSize(memoryPerRawDisk)} of it; ` +
    `no more than ${rawDisksMax} in any case`;
  return [{ path: ['raw_disk_cache'], near: ['memory_limit'], text }];
}

const sharedKeys = [
  'enable_compression',
  'enable_prefetch',
  'enable_zero_copy',
  'scrub_interval',
  'scrub_rate',
] as const;

function sameForAllDevices({ raw_disk_cache: disks }: Settings): Problem[] {
  return sharedKeys.flatMap((key): Problem[] => {
    const first = disks[0]![key];
    const index = disks.findIndex((disk) => disk[key] !== first);
    if (index < 0) return [];
    const found = disks[index]![key];
    const text = `found ${found}, and ${first} for the first device; allowed: the same for all`;
    return [{ path: ['raw_disk_cache', index, key], near: ['raw_disk_cache'], text }];
  });
}

function directoryNamed(settings: Settings): Problem[] {
  if (!needsStore(settings, 'file') || settings.l2_cache_dir !== undefined) return [];
  const text = 'missing; l2_backend: file needs the path of a directory';
  return [{ path: ['l2_cache_dir'], near: ['l2_backend'], text }];
}

function someListener({ listen }: Settings): Problem[] {
  if (listen.some(({ kind }) => kind !== 'https')) return [];
  const text =
    'found only https, which is not in effect in this version; ' +
    'allowed: at least one "host:port" or "unix:/path"';
  return [{ path: ['listen'], text }];
}

function distinctListeners({ listen, admin }: Settings): Problem[] {
  const problems: Problem[] = [];
  const seen = new Set<string>();
  for (const [index, address] of listen.entries()) {
    const name = formatListen(address);
    const isAnyPort = address.kind !== 'unix' && address.port === 0;
    if (seen.has(name) && !isAnyPort) {
      problems.push({ path: ['listen', index], text: `found ${show(name)} twice; allowed: once` });
    }
    if (!isAnyPort) seen.add(name);
  }
  if (admin.listen !== undefined && seen.has(formatListen(admin.listen))) {
    const found = show(formatListen(admin.listen));
    const text = `found ${found}; allowed: an address that listen does not hold`;
    problems.push({ path: ['admin', 'listen'], text });
  }
  return problems;
}

const loopbackNames: readonly string[] = ['localhost', '127.0.0.1', '::1'];

/** Whether a connection to `origin` would arrive at `address`, as far as names alone can tell. */
function arrivesAt(origin: URL, address: ListenAddress): boolean {
  if (address.kind === 'unix') return false;
  const port = origin.port === '' ? (origin.protocol === 'https:' ? 443 : 80) : Number(origin.port);
  if (port !== address.port) return false;
  const host = origin.hostname.replace(/^\[|\]$/g, '');
  const isAny = address.host === '0.0.0.0' || address.host === '::';
  const isHere = loopbackNames.includes(host) || host === '0.0.0.0' || host === '::';
  return host === address.host || (isHere && (isAny || loopbackNames.includes(address.host)));
}

function noLoop({ upstream_address: address, upstreams, listen, admin }: Settings): Problem[] {
  const own = admin.listen === undefined ? listen : [...listen, admin.listen];
  const origins: { path: KeyPath; origin: URL }[] = Object.entries(upstreams).flatMap(
    ([name, { origins: urls }]) =>
      urls.map(({ url }, index) => ({ path: ['upstreams', name, 'origins', index], origin: url })),
  );
  if (address !== undefined) origins.unshift({ path: ['upstream_address'], origin: address });
  return origins.flatMap(({ path, origin }): Problem[] => {
    const loop = own.find((listener) => arrivesAt(origin, listener));
    if (loop === undefined) return [];
    const text =
      `found ${show(origin.host)}, which is millrace itself ` +
      `(it listens on ${formatListen(loop)}); ` +
      'allowed: the address of another server';
    return [{ path, text }];
  });
}

const rules: readonly Rule[] = [
  { reads: ['upstream_address', 'routes', 'upstreams'], check: someUpstream },
  { reads: ['upstream_address', 'routes', 'upstreams'], check: knownUpstreams },
  { reads: ['upstreams'], check: ownUpstreamName },
  { reads: ['upstreams'], check: distinctOrigins },
  { reads: ['routes'], check: redirectsAreFollowed },
  { reads: ['upstreams'], check: certificateWithKey },
  { reads: ['memory_limit', 'l1_cache_size_bytes'], check: memoryFits },
  {
    reads: ['raw_disk_cache', 'enable_cache', 'enable_l2_cache', 'l2_backend'],
    check: deviceNamed,
  },
  { reads: ['raw_disk_cache'], check: sameForAllDevices },
  {
    reads: ['raw_disk_cache', 'memory_limit', 'enable_cache', 'enable_l2_cache', 'l2_backend'],
    check: devicesFit,
  },
  {
    reads: ['l2_cache_dir', 'enable_cache', 'enable_l2_cache', 'l2_backend'],
    check: directoryNamed,
  },
  { reads: ['listen'], check: someListener },
  { reads: ['purge'], check: purgeIsGuarded },
  { reads: ['listen', 'admin'], check: distinctListeners },
  { reads: ['upstream_address', 'upstreams', 'listen', 'admin'], check: noLoop },
];

/** `wrong`: top level keys with a problem of their own; their settings are the defaults. */
export function checkRules(settings: Settings, wrong: ReadonlySet<string>): Problem[] {
  return rules
    .filter(({ reads }) => !reads.some((key) => wrong.has(key)))
    .flatMap(({ check }) => check(settings));
}
