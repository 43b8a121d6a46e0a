// `millrace stats`: every counter of a running instance, asked for through its admin listener.

import { formatSize } from '../../units.js';
import { adminOf, askAdmin } from '../admin-client.js';
import { columnLines } from '../columns.js';
import { type ConfigSource, loadSource } from '../named-config.js';
import type { CommandOutput } from './check.js';

export interface StatsOptions extends ConfigSource {
  /** The answer as it came, for programs. */
  readonly json: boolean;
}

/** Counters whose names end so are bytes. */
const isBytes = /(Bytes|Size|Limit|Used|Budget|Memory|size)$/;

function shown(name: string, value: unknown): string {
  if (typeof value === 'number' && isBytes.test(name) && value >= 1024) {
    return `${value} (${formatSize(value)})`;
  }
  return value === '' ? '-' : String(value);
}

/** Numbers and texts as pairs; what is nested becomes a part of its own below. */
export function statsLines(title: string, value: object): string[] {
  const entries = Object.entries(value);
  const flat = entries.filter(([, item]) => typeof item !== 'object' || item === null);
  const nested = entries.filter(([, item]) => typeof item === 'object' && item !== null);
  const lines =
    flat.length === 0
      ? []
      : [
          title,
          ...columnLines(
            flat.map(([name, item]) => [name, shown(name, item)] as const),
            '  ',
          ),
        ];
  for (const [name, item] of nested) {
    const parts: [string, object][] = Array.isArray(item)
      ? item.map((part: object, index) => [`${name} ${index}`, part])
      : [[name, item as object]];
    for (const [part, content] of parts) lines.push(...statsLines(`${title}, ${part}`, content));
  }
  return lines;
}

/** Exit status 0. Rejects with the ConfigError that says why nobody could be asked. */
export async function statsCommand(options: StatsOptions, io: CommandOutput): Promise<number> {
  const { config, source } = loadSource(options);
  const { value } = await askAdmin(adminOf(config, source), 'GET', '/stats');
  if (options.json) {
    io.stdout(JSON.stringify(value, null, 2));
    return 0;
  }
  for (const [name, part] of Object.entries(value as Record<string, object | null>)) {
    const lines = part === null ? [`${name}: none`] : statsLines(name, part);
    for (const line of lines) io.stdout(line);
  }
  return 0;
}
