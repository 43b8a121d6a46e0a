// `millrace format`: makes a file or block device a store, and says what came of it together with the
// lines for the configuration. What is ours and in the way is emptied only after a yes; what is not
// ours is never touched, whatever is answered.

import { isAbsolute, resolve } from 'node:path';
import { StoreError } from '../../errors.js';
import { type Formatted, formatDevice, storeInTheWay } from '../../store/format.js';
import { openStore } from '../../store/store.js';
import { formatSize } from '../../units.js';
import { type Progress, startProgress } from '../progress.js';
import type { CommandOutput } from './check.js';

export interface FormatCommandOptions {
  readonly path: string;
  /** Bytes of the file to make. */
  readonly size?: number;
  readonly blockSize: number;
  readonly zeroFill: boolean;
  /** Empty a store of ours without asking. */
  readonly yes: boolean;
  readonly directIo: boolean;
}

export interface FormatIo extends CommandOutput {
  readonly progress: NodeJS.WriteStream;
  /** Null where nobody is there to be asked. */
  readonly confirm: ((question: string) => Promise<boolean>) | null;
}

// Enough to open any store with; it is closed again at once.
const memoryToVerify = 32 * 2 ** 20;
const indexMemoryToVerify = 2 ** 20;

/** Exit status: 0, or 1 if the person said no. Rejects with a StoreError. */
export async function formatCommand(options: FormatCommandOptions, io: FormatIo): Promise<number> {
  let formatted: Formatted;
  try {
    formatted = await formatShown(options, io, options.yes);
  } catch (error) {
    const found = storeInTheWay(error);
    if (found === null) throw error;
    if (!(await mayEmpty(options.path, found, io))) {
      io.stderr('nothing was changed');
      return 1;
    }
    formatted = await formatShown(options, io, true);
  }
  for (const line of await describe(options, formatted)) io.stdout(line);
  return 0;
}

async function mayEmpty(path: string, found: string, io: FormatIo): Promise<boolean> {
  if (io.confirm !== null) {
    return io.confirm(`${path} holds ${found}. Empty it and format it anew?`);
  }
  throw new StoreError(
    'STORE_BUSY',
    `${path} holds ${found}; to empty it and format it anew, add --yes`,
  );
}

async function formatShown(
  options: FormatCommandOptions,
  io: FormatIo,
  overwriteStore: boolean,
): Promise<Formatted> {
  let progress: Progress | undefined;
  try {
    return await formatDevice(
      {
        path: options.path,
        createSize: options.size ?? null,
        blockSize: options.blockSize,
        useDirectIo: options.directIo,
        zeroFill: options.zeroFill,
        overwriteStore,
      },
      (done, total) => {
        // A refusal leaves nothing done: no bar for work that does not begin.
        if (done === 0) return;
        progress ??= startProgress('format', total, formatSize, io.progress);
        progress.update(done);
      },
    );
  } finally {
    progress?.stop();
  }
}

/** Opens what was made, which proves it, and tells what the engine found. */
async function describe(options: FormatCommandOptions, formatted: Formatted): Promise<string[]> {
  const { path, blockSize, directIo } = options;
  const store = await openStore({
    memoryLimit: memoryToVerify,
    l1Budget: 0,
    indexMemoryLimit: indexMemoryToVerify,
    disk: { kind: 'raw', devices: [{ path, useDirectIo: directIo }] },
    followerGraceMs: 0,
  });
  const [volume] = store.stats().volumes!;
  const { segments, segmentSize, directIoRefusal } = volume!;
  await store.close();
  const refusal = directIo ? `no: ${directIoRefusal}` : 'no: --no-direct-io was given';
  return [
    `${path} is a millrace store now`,
    `  size        ${formatted.size} bytes (${formatSize(formatted.size)})`,
    `  segments    ${String(segments)} of ${formatSize(Number(segmentSize))}`,
    `  direct I/O  ${formatted.direct ? 'yes' : refusal}`,
    '',
    'Put this into the configuration:',
    '',
    'l2_backend: "raw_disk"',
    'raw_disk_cache:',
    `  device_path: ${JSON.stringify(isAbsolute(path) ? path : resolve(path))}`,
    `  total_size: ${formatted.size}`,
    `  block_size: ${blockSize}`,
    `  use_direct_io: ${directIo}`,
  ];
}
