// millrace as a subject: `millrace serve` as anybody runs it, over a raw file or memory alone, with its
// counters read from the admin listener. Nothing of it is imported: what is measured is the program.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleepMs } from 'node:timers/promises';
import { repositoryRoot } from '../../test/support/root.js';
import { InternalError } from '../../ts/errors.js';
import type { StoreStats } from '../../ts/index.js';
import { freePort, type Program, startProgram, untilListening } from './programs.js';
import { watch } from './scope.js';
import type { RestartableSubject, Setup, Subject } from './subject.js';

export interface MillraceOptions {
  /** "millrace" without it; for suites that compare millrace with itself. */
  readonly name?: string;
  /** raw: a raw file. memory: no disk. off: no cache at all. */
  readonly store?: 'raw' | 'memory' | 'off';
  readonly useDirectIo?: boolean;
  /** More keys of the configuration, as YAML in one line each. */
  readonly top?: Readonly<Record<string, unknown>>;
  /** More lines of raw_disk_cache. */
  readonly disk?: DiskOptions;
  /** Write the whole file once before: a disk that is new to its file system writes at half speed. */
  readonly zeroFill?: boolean;
  /** For the process alone, such as a library to preload. */
  readonly environment?: (devicePath: string) => Readonly<Record<string, string>>;
}

export type DiskOptions = Readonly<Record<string, string | boolean>>;

export interface MillraceStats {
  readonly proxy: Readonly<Record<string, number>>;
  readonly store: StoreStats | null;
}

export interface RunningMillrace extends RestartableSubject {
  stats(): Promise<MillraceStats>;
  /** Every exchange, fill and write to the disk is over. */
  flushed(): Promise<void>;
  restart(how: 'kill' | 'stop'): Promise<RunningMillrace>;
}

const mib = 2 ** 20;
/** What the configuration asks for beside the memory tier: windows of fills, reads, staging. */
const pagesBesideL1 = 80 * mib;
const lookEveryMs = 20;
const flushLimitMs = 120_000;

function mainScript(): string {
  return join(repositoryRoot(), 'dist', 'cli', 'main.js');
}

interface Place {
  readonly port: number;
  readonly adminPort: number;
  readonly config: string;
  readonly device: string;
}

function writeConfig(setup: Setup, options: MillraceOptions, place: Place): void {
  const { store = 'raw', useDirectIo = true } = options;
  const l1 = Math.max(mib, setup.memoryBytes);
  const lines = [
    `upstream_address: "127.0.0.1:${setup.originPort}"`,
    `listen: "127.0.0.1:${place.port}"`,
    `admin: { listen: "127.0.0.1:${place.adminPort}" }`,
    `enable_cache: ${store !== 'off'}`,
    `enable_l2_cache: ${store === 'raw'}`,
    `memory_limit: ${l1 + pagesBesideL1}`,
    `l1_cache_size_bytes: ${l1}`,
    ...Object.entries(options.top ?? {}).map(([key, value]) => `${key}: ${JSON.stringify(value)}`),
  ];
  if (store === 'raw') {
    lines.push(
      'raw_disk_cache:',
      `  device_path: ${JSON.stringify(place.device)}`,
      `  total_size: ${Math.max(256 * mib, setup.diskBytes)}`,
      `  use_direct_io: ${useDirectIo}`,
      '  create: true',
      ...Object.entries(options.disk ?? {}).map(([key, value]) => `  ${key}: ${value}`),
    );
  }
  writeFileSync(place.config, `${lines.join('\n')}\n`);
}

async function formatFile(setup: Setup, device: string, useDirectIo: boolean): Promise<void> {
  const size = String(Math.max(256 * mib, setup.diskBytes));
  const words = [mainScript(), 'format', device, '--size', size];
  if (!useDirectIo) words.push('--no-direct-io');
  const said = openSync(join(setup.directory, 'format.out'), 'a');
  const child = spawn(process.execPath, words, { stdio: ['ignore', said, said] });
  closeSync(said);
  watch(child);
  const onAbort = (): void => void child.kill('SIGKILL');
  setup.scope.signal.addEventListener('abort', onAbort);
  try {
    const [status] = (await once(child, 'exit')) as [number | null];
    setup.scope.signal.throwIfAborted();
    if (status !== 0) throw new InternalError('INTERNAL', `millrace format ended with ${status}`);
  } finally {
    setup.scope.signal.removeEventListener('abort', onAbort);
  }
}

export function millrace(options: MillraceOptions = {}): Subject & {
  start(setup: Setup): Promise<RunningMillrace>;
} {
  const name = options.name ?? 'millrace';
  return {
    rival: null,
    name,
    missing: () => (existsSync(mainScript()) ? null : 'not built; run: npm run build'),
    start: async (setup) => {
      const place: Place = {
        port: await freePort(),
        adminPort: await freePort(),
        config: join(setup.directory, 'millrace.yaml'),
        device: join(setup.directory, 'millrace.disk'),
      };
      writeConfig(setup, options, place);
      const { store = 'raw', zeroFill = false, useDirectIo = true } = options;
      if (store === 'raw' && zeroFill) await formatFile(setup, place.device, useDirectIo);
      return running(name, setup, options, place);
    },
  };
}

async function running(
  name: string,
  setup: Setup,
  options: MillraceOptions,
  place: Place,
): Promise<RunningMillrace> {
  const program: Program = await startProgram({
    name,
    command: process.execPath,
    arguments: [mainScript(), 'serve', '-c', place.config],
    environment: options.environment?.(place.device) ?? {},
    output: join(setup.directory, 'millrace.log'),
    port: place.port,
    scope: setup.scope,
  });
  // It answers its clients first and its administrator then.
  const isThere = await untilListening(place.adminPort, setup.scope.signal, () => false);
  if (!isThere) throw new InternalError('INTERNAL', `${name}: its admin listener did not answer`);
  const stats = (): Promise<MillraceStats> => statsOf(place.adminPort, setup.scope.signal);
  return {
    name,
    port: place.port,
    pid: program.pid,
    stats,
    flushed: () => untilFlushed(stats, setup.scope.signal),
    readyMs: program.readyMs,
    stop: program.stop,
    restart: async (how) => {
      await program.stop(how === 'kill' ? 'SIGKILL' : 'SIGTERM');
      return running(name, setup, options, place);
    },
  };
}

async function statsOf(adminPort: number, signal: AbortSignal): Promise<MillraceStats> {
  const answer = await fetch(`http://127.0.0.1:${adminPort}/stats`, { signal });
  return (await answer.json()) as MillraceStats;
}

export function numberIn(stats: Readonly<Record<string, unknown>> | null, name: string): number {
  const value = stats?.[name];
  return typeof value === 'number' ? value : 0;
}

async function untilFlushed(
  stats: () => Promise<MillraceStats>,
  signal: AbortSignal,
): Promise<void> {
  for (let waitedMs = 0; waitedMs < flushLimitMs; waitedMs += lookEveryMs) {
    const { proxy, store } = await stats();
    const open = numberIn(proxy, 'exchangesOpen') + numberIn(proxy, 'fillsOpen');
    const isWritten = numberIn(store, 'recordsAppended') === numberIn(store, 'recordsFlushed');
    if (open === 0 && numberIn(store, 'stagedBytes') === 0 && isWritten) return;
    await sleepMs(lookEveryMs, undefined, { signal });
  }
  throw new InternalError('INTERNAL', 'millrace did not come to rest');
}
