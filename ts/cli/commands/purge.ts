// `millrace purge`: makes stored objects gone or stale in a running instance, asked through its admin
// listener. Done when the instance says that it is durable.

import { loadConfig } from '../../config/load.js';
import { ConfigError } from '../../errors.js';
import { adminOf, askAdmin } from '../admin-client.js';
import type { CommandOutput } from './check.js';

export interface PurgeOptions {
  readonly config: string;
  readonly set: readonly string[];
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
    throw new ConfigError(
      'CONFIG_INVALID',
      `${given.length === 0 ? 'nothing' : given.map((name) => `--${name}`).join(' and ')} was given; ` +
        'allowed: exactly one of --url, --key, --prefix, --tag and --all',
    );
  }
  return { [kind]: options[kind]!, soft: options.soft };
}

/** Exit status: 0, or 1 where the instance refused it or could not make it durable. */
export async function purgeCommand(options: PurgeOptions, io: CommandOutput): Promise<number> {
  const request = requestOf(options);
  const { config, source } = loadConfig({ path: options.config, set: options.set });
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
