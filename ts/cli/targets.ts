// Which devices and which key a command is about: a path as its argument, or what a configuration names.

import { loadConfig } from '../config/load.js';
import type { Config, ServedAddress } from '../config/schema.js';
import { ConfigError } from '../errors.js';
import { keyOfUrl } from '../proxy/explain.js';
import { loadSource, type Named, sourceNamed } from './named-config.js';

interface NamedTarget extends Named {
  readonly url?: string;
}

function configOf(named: Named): Config | null {
  const isNamed = named.config !== undefined || named.preset !== undefined;
  return isNamed ? loadSource(sourceNamed(named)).config : null;
}

/** Paths. Throws ConfigError where neither the argument nor a configuration names any. */
export function devicesNamed(path: string | undefined, named: Named): string[] {
  if (path !== undefined) return [path];
  const config = configOf(named);
  if (config === null) {
    throw new ConfigError(
      'CONFIG_INVALID',
      'no device is named; give its path, or the configuration with --config',
    );
  }
  const paths = config.rawDiskCache.flatMap(({ devicePath }) => devicePath ?? []);
  if (paths.length > 0) return paths;
  throw new ConfigError(
    'CONFIG_INVALID',
    `${named.config ?? '--preset'}: raw_disk_cache.device_path is missing, so there is no device to look at`,
  );
}

/** The canonical key of --url; null where none is asked for. */
export function keyNamed(named: NamedTarget): string | null {
  const { url } = named;
  if (url === undefined) return null;
  // Without a configuration the key is what no rule has changed.
  const config =
    configOf(named) ??
    loadConfig({ input: { upstream_address: '127.0.0.1:80', enable_l2_cache: false } }).config;
  return keyOfUrl(config, url);
}

/** Where the instance of --config is asked; null without one. */
export function adminNamed(named: Named): ServedAddress | null {
  return configOf(named)?.admin.listen ?? null;
}
