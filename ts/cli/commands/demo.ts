// `millrace demo`: shows a proxy at work on this machine, over real files and real sockets, and checks
// what it shows. Everything lives in a folder of the temp directory and in two processes of its own, and
// is gone at the end, also after a failure or Ctrl-C.

import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../clock.js';
import { ConfigError } from '../../errors.js';
import { formatDevice } from '../../store/format.js';
import { formatSize } from '../../units.js';
import { type DemoFile, largeFile, smallFiles } from '../demo/files.js';
import {
  type OriginProcess,
  type ProxyProcess,
  startOriginProcess,
  startProxyProcess,
} from '../demo/processes.js';
import { type Result, runSteps } from '../demo/steps.js';
import { formatTable } from '../demo/table.js';
import { type Progress, startProgress } from '../progress.js';
import type { CommandOutput } from './check.js';

export interface DemoOptions {
  /** Leave it running until Ctrl-C and print commands to try. */
  readonly keep: boolean;
  /** Of the raw file. */
  readonly size: number;
}

export interface DemoIo extends CommandOutput {
  readonly progress: NodeJS.WriteStream;
}

const mib = 2 ** 20;
/** What a good line to a mirror gives; slow enough to see streaming, fast enough to wait for. */
const originBytesPerSecondMax = 100e6;
/** What the origin gives may not be more than the disk takes, or the store rightly drops some of it. */
const shareOfDiskSpeed = 0.5;

/** Memory for all of it: the demo wants to show hits from memory, not evictions. */
function memoryFor(files: readonly DemoFile[]): { l1: number; limit: number } {
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  const l1 = Math.ceil((bytes * 1.25) / mib + 16) * mib;
  return { l1, limit: l1 + 96 * mib };
}

function checkSize(size: number, large: DemoFile): void {
  // The journals take 64 MiB, and two objects of this size must stay in the ring beside each other.
  const least = Math.max(256, Math.ceil((large.size * 5) / mib) + 64) * mib;
  if (size >= least) return;
  throw new ConfigError(
    'CONFIG_INVALID',
    `--size: found ${formatSize(size)}; allowed: at least ${formatSize(least)}, ` +
      `since the file to show is of ${formatSize(large.size)}`,
  );
}

/** Resolves to the bytes per second that the disk took. */
async function makeDevice(path: string, size: number, io: DemoIo): Promise<number> {
  const start = systemClock.monotonic();
  let progress: Progress | undefined;
  try {
    await formatDevice(
      {
        path,
        createSize: size,
        blockSize: 4096,
        useDirectIo: true,
        zeroFill: true,
        overwriteStore: false,
      },
      (done, total) => {
        progress ??= startProgress('format', total, formatSize, io.progress);
        progress.update(done);
      },
    );
  } finally {
    progress?.stop();
  }
  return (size * 1000) / Math.max(1, systemClock.monotonic() - start);
}

function writeConfig(
  folder: string,
  device: string,
  port: number,
  memory: { l1: number; limit: number },
): string {
  const path = join(folder, 'millrace.yaml');
  const lines = [
    `upstream_address: "127.0.0.1:${port}"`,
    'listen: "127.0.0.1:0"',
    'admin: { listen: "127.0.0.1:0" }',
    `memory_limit: ${memory.limit}`,
    `l1_cache_size_bytes: ${memory.l1}`,
    'l2_backend: "raw_disk"',
    'raw_disk_cache:',
    `  device_path: ${JSON.stringify(device)}`,
    '',
  ];
  writeFileSync(path, lines.join('\n'));
  return path;
}

async function stage(
  folder: string,
  options: DemoOptions,
  io: DemoIo,
  signal: AbortSignal,
  started: (origin: OriginProcess) => void,
): Promise<Result & { large: DemoFile }> {
  const [large, second, small] = await Promise.all([
    largeFile('/node'),
    largeFile('/node-again'),
    smallFiles(),
  ]);
  checkSize(options.size, large);
  const device = join(folder, 'millrace.disk');
  const diskSpeed = await makeDevice(device, options.size, io);
  signal.throwIfAborted();
  const all = [large, second, ...small];
  const bytesPerSecond = Math.min(originBytesPerSecondMax, diskSpeed * shareOfDiskSpeed);
  const origin = await startOriginProcess({
    files: Object.fromEntries(all.map(({ name, path }) => [name, path])),
    bytesPerSecond,
  });
  started(origin);
  const memory = memoryFor([large, ...small]);
  const config = writeConfig(folder, device, origin.port, memory);
  io.stdout(
    `origin: a process of its own, ${Math.ceil(bytesPerSecond / 1e6)} MB/s; ` +
      `file: ${large.path}, ${formatSize(large.size)}; memory_limit: ${formatSize(memory.limit)}`,
  );
  const result = await runSteps({
    clock: systemClock,
    signal,
    origin,
    startProxy: (address) => startProxyProcess(config, address),
    memoryLimit: memory.limit,
    large,
    second,
    small,
    onStep: (what) => io.stderr(`... ${what}`),
  });
  return { ...result, large };
}

function tell({ rows, problems }: Result, io: DemoIo): void {
  io.stdout('');
  for (const line of formatTable(rows)) io.stdout(line);
  io.stdout('');
  io.stdout('The client hashes what it reads, which is part of the times. Memory is the peak.');
  for (const problem of problems) io.stderr(`WRONG: ${problem}`);
  if (problems.length > 0) return;
  io.stdout('Every body matched its SHA-256, the origin was asked as often as expected, and the');
  io.stdout('memory stayed within its bound.');
}

function tellCommands(proxy: ProxyProcess, { name, size }: DemoFile, io: DemoIo): void {
  const url = proxy.address + name;
  io.stdout('');
  io.stdout('The proxy is running. In another terminal:');
  io.stdout(`  curl -sS -D - -o /dev/null ${url}`);
  io.stdout(`  curl -sS -D - -o /dev/null -r ${Math.floor(size / 2)}- ${url}`);
  io.stdout(`  curl -sS ${proxy.admin}/stats`);
  io.stdout('Ctrl-C stops it and removes its files.');
}

/** Exit status: 0, 1 if anything was not as it has to be, 130 after Ctrl-C. */
export async function demoCommand(options: DemoOptions, io: DemoIo): Promise<number> {
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  for (const name of ['SIGINT', 'SIGTERM']) process.on(name, onSignal);
  const folder = mkdtempSync(join(tmpdir(), 'millrace-demo-'));
  let origin: OriginProcess | undefined;
  let proxy: ProxyProcess | undefined;
  try {
    const result = await stage(folder, options, io, stop.signal, (process) => {
      origin = process;
    });
    proxy = result.proxy;
    tell(result, io);
    if (options.keep && !stop.signal.aborted) {
      tellCommands(proxy, result.large, io);
      await once(stop.signal, 'abort');
    }
    return result.problems.length > 0 ? 1 : 0;
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    io.stderr('stopped');
    return 130;
  } finally {
    await proxy?.stop();
    await origin?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
