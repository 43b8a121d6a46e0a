// The configuration that a command line names: a file, a preset under it, or a preset and --set alone. Knows
// nothing of what the commands do with it.

import { show, suggest } from '../config/explain.js';
import { type LoadedConfig, loadConfig } from '../config/load.js';
import { isPresetName, presetNames } from '../config/presets.js';
import { ConfigError } from '../errors.js';

/** As the command line has it. */
export interface Named {
  readonly config?: string;
  readonly preset?: string;
  readonly set: readonly string[];
}

/** Without the preset, which is a value to set. */
export interface ConfigSource {
  /** Path of the file; without one `set` is all of it. */
  readonly config?: string;
  /** KEY=VALUE, in the order given. */
  readonly set: readonly string[];
}

/** Throws ConfigError where nothing is named, or a preset that there is not. */
export function sourceNamed({ config, preset, set }: Named): ConfigSource {
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

/** Throws ConfigError, which tells everything that is wrong with it. */
export function loadSource({ config, set }: ConfigSource): LoadedConfig {
  return loadConfig({ ...(config === undefined ? {} : { path: config }), set });
}
