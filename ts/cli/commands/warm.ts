// `millrace warm`: asks a running instance for a list of URLs, so that what they lead to is stored before
// anybody waits for it. Through the listener, like any client: routes, rules and coalescing hold.

import { readFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { text as readStream } from 'node:stream/consumers';
import type { Config, ServedAddress } from '../../config/schema.js';
import { formatListen } from '../../config/values.js';
import { ConfigError } from '../../errors.js';
import { formatSize } from '../../units.js';
import { type ConfigSource, loadSource } from '../named-config.js';
import { startProgress } from '../progress.js';
import { type WarmTarget, warmUrl } from '../warm-request.js';
import type { CommandOutput } from './check.js';

export interface WarmOptions extends ConfigSource {
  /** The list; "-" for the standard input. */
  readonly list: string;
  /** Requests at a time. */
  readonly concurrency: number;
  /** "Name: value" */
  readonly header: readonly string[];
  /** Port of the listener, where the configuration lets the system choose it. */
  readonly port?: number;
  readonly json: boolean;
}

interface WarmReport {
  readonly urls: number;
  stored: number;
  fetched: number;
  fetchedBytes: number;
  readonly failed: { readonly url: string; readonly reason: string }[];
}

/** One URL a line; empty lines and those that begin with # are skipped. */
export function urlsOf(list: string): string[] {
  const lines = list.split('\n').map((line) => line.trim());
  return lines.filter((line) => line !== '' && !line.startsWith('#'));
}

async function readList(path: string, input: NodeJS.ReadableStream): Promise<string[]> {
  if (path === '-') return urlsOf(await readStream(input));
  try {
    return urlsOf(readFileSync(path, 'utf8'));
  } catch (error) {
    const text = `cannot read ${path}: ${(error as Error).message}; name the file with the URLs`;
    throw new ConfigError('CONFIG_UNREADABLE', text, { cause: error });
  }
}

function addressOf(config: Config, port: number | undefined): ServedAddress {
  const address = config.listen[0]!;
  if (address.kind === 'unix') return address;
  // Where it listens on every address, this machine's own is the way.
  const isAny = address.host === '0.0.0.0' || address.host === '::';
  return {
    ...address,
    host: isAny ? '127.0.0.1' : address.host,
    port: port ?? address.port,
  };
}

function fieldsOf(headers: readonly string[]): string[] {
  return headers.flatMap((header) => {
    const match = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/.exec(header);
    if (match !== null) return [match[1]!, match[2]!];
    const text = `--header: found ${JSON.stringify(header)}; allowed: "Name: value"`;
    throw new ConfigError('CONFIG_INVALID', text);
  });
}

/** Exit status: 0, 1 where a URL failed, 3 where nobody listens. */
export async function warmCommand(
  options: WarmOptions,
  io: CommandOutput & {
    readonly progress: NodeJS.WriteStream;
    readonly input: NodeJS.ReadableStream;
  },
): Promise<number> {
  const { config } = loadSource(options);
  const address = addressOf(config, options.port);
  const fields = fieldsOf(options.header);
  const urls = await readList(options.list, io.input);
  const agent = new Agent({ keepAlive: true, maxSockets: options.concurrency });
  const target = { address, agent, fields, isTrusting: config.trustedProxies.length > 0 };
  const report: WarmReport = {
    urls: urls.length,
    stored: 0,
    fetched: 0,
    fetchedBytes: 0,
    failed: [],
  };
  try {
    const unreachable = await warmAll(urls, target, options.concurrency, report, io);
    if (unreachable !== null) {
      io.stderr(
        `cannot reach ${formatListen(address)}: ${unreachable}; is millrace running with this ` +
          'configuration? --port says where, if the configuration does not',
      );
      return 3;
    }
  } finally {
    agent.destroy();
  }
  if (options.json) io.stdout(JSON.stringify(report, null, 2));
  else io.stdout(summary(report));
  return report.failed.length === 0 ? 0 : 1;
}

function summary({ urls, stored, fetched, fetchedBytes, failed }: WarmReport): string {
  const counts = `${stored} stored already, ${fetched} fetched (${formatSize(fetchedBytes)})`;
  return `${urls} URLs: ${counts}, ${failed.length} failed`;
}

/** Null, or why nobody can be asked; then the rest of the list was not tried. */
async function warmAll(
  urls: readonly string[],
  target: WarmTarget,
  concurrency: number,
  report: WarmReport,
  io: CommandOutput & { readonly progress: NodeJS.WriteStream },
): Promise<string | null> {
  const progress = startProgress('warm', urls.length, (value) => `${value} URLs`, io.progress);
  const rest = urls.values();
  let unreachable: string | null = null;
  let done = 0;
  const work = async (): Promise<void> => {
    for (const url of rest) {
      if (unreachable !== null) return;
      const warmed = await warmUrl(url, target);
      done += 1;
      if (warmed.kind === 'unreachable') unreachable ??= warmed.reason;
      else if (warmed.kind === 'failed') report.failed.push({ url, reason: warmed.reason });
      else report[warmed.kind] += 1;
      if (warmed.kind === 'fetched') report.fetchedBytes += warmed.bytes;
      progress.update(done);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  progress.stop();
  // Behind the bar, which they would tear.
  for (const { url, reason } of report.failed) io.stderr(`${url}: ${reason}`);
  return unreachable;
}
