// Makes a file or block device a store, as a promise over the addon. What is said here is said to the
// person at the keyboard or in front of the log: which device, what stands in the way, what to do.
// Promise 10 is kept below, in native/engine/format.cc: foreign content is never written over.

import { rmSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { StoreError } from '../errors.js';
import { completions } from '../native/completions.js';
import { isNativeFailure, statusCodes, translateFailure } from '../native/status.js';
import { formatSize } from '../units.js';

export interface FormatOptions {
  readonly path: string;
  /** Bytes of the regular file to make; null: the path exists already. */
  readonly createSize: number | null;
  /** Power of two from 512 to 65536. */
  readonly blockSize: number;
  readonly useDirectIo: boolean;
  /** False: quick, and segments are zeroed ahead of the write head instead. */
  readonly zeroFill: boolean;
  /** True: a store of ours that is there may be emptied. Foreign content never is. */
  readonly overwriteStore: boolean;
}

export interface Formatted {
  readonly size: number;
  /** Whether direct I/O was used. */
  readonly direct: boolean;
}

const storeSizeMin = 256 * 2 ** 20;
const storeSizeMax = 32 * 2 ** 40;
// Five looks a second: as often as a person sees, and nothing beside the writing itself.
const lookEveryMs = 200;

/**
 * Rejects with StoreError: STORE_FOREIGN_DEVICE where something is that millrace did not write,
 * STORE_BUSY where a store of ours is (`storeInTheWay` tells) or somebody uses the device.
 */
export async function formatDevice(
  options: FormatOptions,
  onProgress: (done: number, total: number) => void = () => {},
): Promise<Formatted> {
  const createSize = sizeToCreate(options);
  try {
    return await runFormat(options, createSize, onProgress);
  } catch (error) {
    const failure = explainFailure(options, createSize, error);
    // The addon reserves the space before it formats. What it made and could not finish is no store
    // and nothing of anybody's; EEXIST alone means that the file was not made by us.
    if (createSize > 0 && !isBusy(error)) removeQuietly(options.path);
    throw failure;
  }
}

/** What the error of formatDevice found of ours on the device; null where that is not what failed. */
export function storeInTheWay(error: unknown): string | null {
  if (!(error instanceof StoreError) || !isNativeFailure(error.cause)) return null;
  const { cause } = error;
  return isBusy(cause) && cause.found !== undefined && cause.found !== '' ? cause.found : null;
}

function isBusy(error: unknown): boolean {
  return isNativeFailure(error) && statusCodes[error.status] === 'STORE_BUSY';
}

/** Null also where the path cannot be looked at: the addon then says why it cannot be opened. */
function look(path: string): Stats | null {
  try {
    return statSync(path);
  } catch {
    return null;
  }
}

function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // Where it cannot be removed it could not be made either; that error is the one to tell.
  }
}

/** Bytes to make a file of, 0 where the path is to be used as it is. */
function sizeToCreate({ path, createSize }: FormatOptions): number {
  if (createSize === null) return 0;
  if (createSize < storeSizeMin || createSize > storeSizeMax) {
    throw new StoreError(
      'STORE_INVALID',
      `${path}: a store of ${formatSize(createSize)} cannot be made; ` +
        `ask for ${formatSize(storeSizeMin)} to ${formatSize(storeSizeMax)}`,
    );
  }
  const found = look(path);
  if (found === null) return createSize;
  if (found.isFile() && found.size === createSize) return 0;
  const what = found.isFile() ? `a file of ${found.size} bytes` : 'no regular file';
  throw new StoreError(
    'STORE_INVALID',
    `${path} exists already and is ${what}, not one of ${createSize} bytes; ` +
      'leave the size out to format what is there, or delete it first',
  );
}

function runFormat(
  options: FormatOptions,
  createSize: number,
  onProgress: (done: number, total: number) => void,
): Promise<Formatted> {
  const reports = completions();
  const { addon } = reports;
  return new Promise((resolve, reject) => {
    let handle = 0;
    let looking: NodeJS.Timeout | undefined;
    const report = (): void => {
      const [done, total] = addon.formatProgress(handle) ?? [0, 0];
      if (total > 0) onProgress(done, total);
    };
    const token = reports.once(() => {
      clearInterval(looking);
      try {
        report();
        resolve(addon.takeFormat(handle));
      } catch (error) {
        reject(error);
      }
    });
    try {
      const { path, useDirectIo, blockSize, zeroFill, overwriteStore } = options;
      handle = addon.format(
        token,
        path,
        useDirectIo,
        blockSize,
        zeroFill,
        overwriteStore,
        createSize,
      );
      looking = setInterval(report, lookEveryMs);
    } catch (error) {
      reports.remove(token);
      reject(error);
    }
  });
}

function explainFailure(options: FormatOptions, createSize: number, error: unknown): unknown {
  if (!isNativeFailure(error)) return error;
  const { path } = options;
  // A Status without detail does not know the device; its sentence then says only what is wrong.
  const said = error.message.startsWith(path) ? error.message : `${path}: ${error.message}`;
  const more = (advice: string): unknown => translateFailure(error, `${said}; ${advice}`);
  switch (statusCodes[error.status]) {
    case 'STORE_FOREIGN_DEVICE':
      return translateFailure(error, foreignContent(path, error.found ?? 'something unknown'));
    case 'STORE_BUSY':
      if (error.found === undefined || error.found === '') return translateFailure(error, said);
      return translateFailure(error, `${path} holds ${error.found} already`);
    case 'STORE_MISSING_DEVICE':
      return more(adviceForMissing(path, createSize));
    case 'STORE_PERMISSION':
      if (createSize === 0) return translateFailure(error, said);
      return more(`the user with id ${process.geteuid?.() ?? '?'} must be able to write there`);
    case 'STORE_NO_SPACE':
      return more('ask for less or free some space');
    case 'STORE_INVALID':
      return more(`choose one of ${formatSize(storeSizeMin)} to ${formatSize(storeSizeMax)}`);
    default:
      return translateFailure(error, said);
  }
}

function adviceForMissing(path: string, createSize: number): string {
  if (look(dirname(path)) === null) return `make the directory ${dirname(path)} first`;
  // A file in /dev would fill memory, not a disk: whoever names one has mistyped a device.
  if (createSize > 0 || path.startsWith('/dev/')) return 'check the path';
  return 'to make a file there, add its size: --size 100GiB';
}

function foreignContent(path: string, found: string): string {
  const isDisk = look(path)?.isBlockDevice() ?? false;
  const wipe = isDisk
    ? `wipe it yourself (wipefs --all ${path}, then blkdiscard --zeroout ${path})`
    : 'delete the file yourself and format with --size, or choose another path';
  return (
    `${path} holds ${found}, which millrace did not write and never overwrites; ` +
    `if that may go, ${wipe}`
  );
}
