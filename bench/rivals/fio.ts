// fio: no proxy, but what the disk itself gives at a block size and a depth, past the page cache. Cold
// reads are held against it, measured in the same run on the same disk.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { InternalError } from '../../ts/errors.js';
import type { SuiteContext } from '../harness.js';
import { type Bench, mb } from '../support/bench.js';
import { versionOf } from '../support/programs.js';
import { higher } from '../support/rows.js';
import { type Scope, watch } from '../support/scope.js';

export const wantsFio = (context: SuiteContext): boolean => context.wantsRival('fio');

export interface FioRead {
  readonly directory: string;
  readonly sizeBytes: number;
  readonly blockBytes: number;
  readonly depth: number;
  readonly seconds: number;
  readonly scope: Scope;
}

export function missingFio(): string | null {
  return fioVersion() === null ? 'fio is not installed: apt-get install fio' : null;
}

function fioVersion(): string | null {
  return versionOf('fio', '--version', /fio-(\d+\.\d+)/);
}

export const fioName = (): string => `fio ${fioVersion()}`;

interface FioOutput {
  readonly jobs: readonly { readonly read: { readonly bw_bytes: number } }[];
}

/** Bytes per second of random reads. Makes its file on the first call in a directory. */
export async function fioRead(options: FioRead): Promise<number> {
  const { directory, sizeBytes, blockBytes, depth, seconds, scope } = options;
  const words = [
    ...['--name=read', `--directory=${directory}`, '--filename=fio.bin', `--size=${sizeBytes}`],
    ...['--rw=randread', `--bs=${blockBytes}`, `--iodepth=${depth}`, '--direct=1'],
    ...['--ioengine=libaio', '--time_based', `--runtime=${seconds}`, '--output-format=json'],
  ];
  const child = spawn('fio', words, { stdio: ['ignore', 'pipe', 'ignore'] });
  watch(child);
  const close = scope.defer(() => void child.kill('SIGKILL'));
  const onAbort = (): void => void child.kill('SIGKILL');
  scope.signal.addEventListener('abort', onAbort, { once: true });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  await once(child, 'close');
  scope.signal.removeEventListener('abort', onAbort);
  await close();
  scope.signal.throwIfAborted();
  const start = text.indexOf('{');
  if (start < 0) throw new InternalError('INTERNAL', 'fio failed on this file system');
  return (JSON.parse(text.slice(start)) as FioOutput).jobs[0]?.read.bw_bytes ?? 0;
}

const told = new WeakSet<SuiteContext>();

/** One round of what the disk gives to random direct reads, as a row beside those of the proxies. */
export async function diskRow(
  { context, directory, scope, rows }: Bench,
  title: string,
  read: Pick<FioRead, 'sizeBytes' | 'blockBytes' | 'depth'>,
): Promise<void> {
  if (context.quick || !wantsFio(context)) return;
  const why = missingFio();
  if (why !== null) {
    if (!told.has(context)) context.skip('fio', why);
    told.add(context);
    return;
  }
  const bytesPerSecond = await fioRead({ directory, scope, seconds: 2, ...read });
  const figures = [
    higher('throughput', 'MB/s', bytesPerSecond / mb),
    higher('requests', 'req/s', bytesPerSecond / read.blockBytes),
  ];
  rows.add(fioName(), title, figures, `no proxy: random direct reads, ${read.depth} at a time`);
}
