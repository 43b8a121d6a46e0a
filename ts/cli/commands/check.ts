// `millrace check`: judges a configuration without opening a device or a socket, says what it
// amounts to and which of its keys change nothing yet. With a URL it also tells what a request for
// it would get; that answer comes from the flow itself, handed in by main.ts.

import type { LoadedConfig } from '../../config/load.js';
import type { Config, RouteConfig } from '../../config/schema.js';
import { formatListen } from '../../config/values.js';
import { ConfigError } from '../../errors.js';
import { formatSize } from '../../units.js';
import { type ConfigSource, loadSource } from '../named-config.js';

export interface CheckOptions extends ConfigSource {
  readonly url?: string;
  /** GET by default. */
  readonly method?: string;
}

export interface CommandOutput {
  readonly stdout: (line: string) => void;
  readonly stderr: (line: string) => void;
}

function describeStore(config: Config): string {
  if (!config.enableCache) return 'none: enable_cache is false';
  const memory = `${formatSize(config.l1CacheSizeBytes)} of memory`;
  if (!config.enableL2Cache) return memory;
  if (config.l2Backend === 'file') {
    return `${memory}, ${formatSize(config.l2TotalSizeBytes)} of files in ${config.l2CacheDir}`;
  }
  const disks = config.rawDiskCache.map(({ devicePath, totalSizeBytes, create }) => {
    const size = totalSizeBytes === null ? 'the whole of' : `${formatSize(totalSizeBytes)} of`;
    return `${size} raw disk ${devicePath}${create ? ', made at start if missing' : ''}`;
  });
  return [memory, ...disks].join(', ');
}

function describeRoute({ match, upstream, cache }: RouteConfig): string {
  const methods = match.methods === null ? '' : `${match.methods.join(',')} `;
  const patterns = match.patterns.length === 0 ? '' : ` (${match.patterns.join(', ')})`;
  const what = `${methods}${match.host ?? '*'}${match.path ?? '/'}${patterns}`;
  return `${what} -> ${upstream}${cache.pass ? ', never cached' : ''}`;
}

/** The lines that tell what a configuration amounts to. */
function summarise(config: Config): string[] {
  const admin = config.admin.listen === null ? [] : [`admin: ${formatListen(config.admin.listen)}`];
  const upstreams = [...config.upstreams].map(
    ([name, { origins }]) =>
      `upstream: ${name} = ${origins.map(({ url }) => url.origin).join(', ')}`,
  );
  return [
    `listen: ${config.listen.map(formatListen).join(', ')}`,
    ...admin,
    ...upstreams,
    ...config.routes.map((route, index) => `routes[${index}]: ${describeRoute(route)}`),
    `store: ${describeStore(config)}`,
  ];
}

function load(options: CheckOptions, io: CommandOutput): LoadedConfig | null {
  try {
    return loadSource(options);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const line of error.message.split('\n')) io.stderr(line);
    return null;
  }
}

const isHttpUrl = (url: string): boolean =>
  URL.canParse(url) && /^https?:$/.test(new URL(url).protocol);

/** Exit status: 0 if the configuration is right, 2 if it or an argument is not. */
export async function checkCommand(
  options: CheckOptions,
  io: CommandOutput,
  explainUrl: (config: Config, method: string, url: string) => string[],
): Promise<number> {
  const { url, method = 'GET' } = options;
  if (url !== undefined && !isHttpUrl(url)) {
    io.stderr(`--url: found ${JSON.stringify(url)}; allowed: a URL such as "http://example.com/a"`);
    return 2;
  }
  const loaded = load(options, io);
  if (loaded === null) return 2;
  const { config, notInEffect, source } = loaded;
  io.stdout(`${source}: ok`);
  for (const line of summarise(config)) io.stdout(line);
  for (const key of notInEffect) io.stdout(`not in effect in this version: ${key}`);
  if (url !== undefined) for (const line of explainUrl(config, method, url)) io.stdout(line);
  return 0;
}
