// Numbers of native/base/status-codes.inc and the error that each becomes. A test compares the two lists.

import { type ErrorCode, StoreError } from '../errors.js';
import type { NativeFailure } from './contract.js';

export const statusCodes: readonly (ErrorCode | 'OK')[] = [
  'OK',
  'STORE_NOT_FOUND',
  'STORE_CORRUPT_RECORD',
  'STORE_IO',
  'STORE_OVERLOADED',
  'STORE_NO_SPACE',
  'STORE_CLOSED',
  'STORE_INVALID',
  'UNSUPPORTED_PLATFORM',
  'STORE_FOREIGN_DEVICE',
  'STORE_BUSY',
  'STORE_MISSING_DEVICE',
  'STORE_PERMISSION',
];

export const statusOk = 0;
export const statusNotFound = 1;
export const statusAgain = 4;

function codeOf(status: number): ErrorCode {
  const code = statusCodes[status];
  return code === undefined || code === 'OK' ? 'STORE_IO' : code;
}

/** A StoreError for a status number that came with a completion. */
export function storeErrorOf(status: number, message: string): StoreError {
  return new StoreError(codeOf(status), message, { retryable: status === statusAgain });
}

/** True for errors that the addon made from a Status. */
export function isNativeFailure(error: unknown): error is NativeFailure {
  return error instanceof Error && typeof (error as Partial<NativeFailure>).status === 'number';
}

/** The addon's error as a StoreError; anything else is returned as it is. */
export function translateFailure(error: unknown, message?: string): unknown {
  if (!isNativeFailure(error)) return error;
  return new StoreError(codeOf(error.status), message ?? error.message, {
    cause: error,
    retryable: error.status === statusAgain,
    ...(error.path === undefined || error.path === '' ? {} : { device: error.path }),
  });
}
