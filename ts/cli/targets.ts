// Which devices and which key a command is about: a path as its argument, or what a configuration names.

import { show, suggest } from '../config/explain.js';
import { loadConfig } from '../config/load.js';
import { isPresetName, presetNames } from '../config/presets.js';
import type { Config, ServedAddress } from '../config/schema.js';
import { ConfigError } from '../errors.js';
import { keyOfUrl } from '../proxy/explain.js';

interface Named {
  readonly config?: string;
  readonly set: readonly string[];
  readonly url?: string;
}

function configOf({ config, set }: Named): Config | null {
  return config === undefined ? null : loadConfig({ path: config, set }).config;
}

/**
 * What a configuration is read from: a file, a preset under it, or a preset and --set alone. Throws
 * ConfigError where none is named.
 */
export function sourceNamed(named: {
  readonly config?: string;
  readonly preset?: string;
  readonly set: string[];
}): { readonly config?: string; readonly set: string[] } {
  const { config, preset, set } = named;
  if (config === undefined && preset === undefined) {
    const text = 'no configuration is named; give its file with --config, or --preset and --set';
    throw new ConfigError('CONFIG_INVALID', text);
  }
  if (preset !== undefined && !isPresetName(preset)) {
    const near = suggest(preset, presetNames);
    const hint = near === null ? '' : `; did you mean ${near}?`;
    const text = `--preset: found ${show(preset)}; allowed: ${presetNames.join(', ')}${hint}`;
    throw new ConfigError('CONFIG_INVALID', text);
  }
  const layers = preset === undefined ? set : [`preset=${preset}`, ...set];
  return { ...(config === undefined ? {} : { config }), set: layers };
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
    `${named.config}: raw_disk_cache.device_path is missing, so there is no device to look at`,
  );
}

/** The canonical key of --url; null where none is asked for. */
export function keyNamed(named: Named): string | null {
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
