// `millrace purge`: makes stored objects gone or stale in a running instance, asked through its admin
// listener. Done when the instance says that it is durable.

import { ConfigError } from '../../errors.js';
import { adminOf, askAdmin } from '../admin-client.js';
import { type ConfigSource, loadSource } from '../named-config.js';
import type { CommandOutput } from './check.js';

export interface PurgeOptions extends ConfigSource {
  readonly url?: string;
  readonly key?: string;
  readonly prefix?: string;
  readonly tag?: string;
  readonly all?: boolean;
  readonly soft: boolean;
  readonly json: boolean;
}

const kinds = ['url', 'key', 'prefix', 'tag', 'all'] as const;

function requestOf(options: PurgeOptions): Record<string, string | boolean> {
  const given = kinds.filter((kind) => options[kind] !== undefined);
  const [kind] = given;
  if (kind === undefined || given.length > 1) {
    const named = given.map((name) => `--${name}`).join(' and ');
    const found = given.length === 0 ? 'nothing was given' : `${named} were given`;
    const text = `${found}; allowed: exactly one of --url, --key, --prefix, --tag and --all`;
    throw new ConfigError('CONFIG_INVALID', text);
  }
  if (options[kind] === '') {
    const text = `--${kind} is empty, so nothing was purged; is a variable of a script not set?`;
    throw new ConfigError('CONFIG_INVALID', text);
  }
  return { [kind]: options[kind]!, soft: options.soft };
}

/** Exit status: 0, or 1 where the instance refused it or could not make it durable. */
export async function purgeCommand(options: PurgeOptions, io: CommandOutput): Promise<number> {
  const request = requestOf(options);
  const { config, source } = loadSource(options);
  const { status, value } = await askAdmin(adminOf(config, source), 'POST', '/purge', request);
  if (options.json) io.stdout(JSON.stringify(value, null, 2));
  if (status === 200) {
    const { purged } = value as { purged: { kind: string; target: string; soft: boolean } };
    const what = purged.kind === 'all' ? 'everything' : `${purged.kind} ${purged.target}`;
    if (!options.json) io.stdout(`purged ${what}${purged.soft ? ', softly' : ''}`);
    return 0;
  }
  if (!options.json) io.stderr((value as { error?: string }).error ?? `answered with ${status}`);
  return 1;
}
