// Looking at a device without changing it, as promises over the addon: what `inspect` and `verify` show.
// The device may be in use; `owner` then says by whom, and what is being overwritten may look damaged.

import { completions } from '../native/completions.js';
import {
  type IoBackend,
  inspections,
  ioBackends,
  type NativeDeviceReport,
  type NativeProbeReport,
  type NativeRecordsReport,
  type NativeStoredRecord,
  type NativeVerifyReport,
} from '../native/contract.js';
import { isNativeFailure, translateFailure } from '../native/status.js';

export type DeviceReport = NativeDeviceReport;
export type StoredRecord = NativeStoredRecord;
export type VerifyReport = NativeVerifyReport;
export type ProbeReport = NativeProbeReport;

export interface InspectOptions {
  readonly path: string;
  /** Called now and then with segments done and segments in all. */
  readonly onProgress?: (done: number, total: number) => void;
}

// As often as a person looks.
const lookEveryMs = 200;

/** Superblocks, segments and counts. Rejects with StoreError: not a store, damaged, unreadable. */
export const inspectDevice = (options: InspectOptions): Promise<DeviceReport> =>
  run(options, 'device', '');

/** Everything stored under a canonical key (or a variant's), oldest first. */
export const findOnDevice = (options: InspectOptions, key: string): Promise<NativeRecordsReport> =>
  run(options, 'key', key);

/** Reads and compares every record. */
export const verifyDevice = (options: InspectOptions): Promise<VerifyReport> =>
  run(options, 'verify', '');

/** What serving would find, as far as looking tells. Rejects with StoreError where it cannot be opened. */
export const probeDevice = (
  path: string,
  useDirectIo: boolean,
  ioBackend: IoBackend,
): Promise<ProbeReport> => run({ path }, 'probe', '', useDirectIo, ioBackend);

/** What the engine says of a device without knowing its name. */
const named = (path: string, message: string): string =>
  message.startsWith(path) ? message : `${path}: ${message}`;

function run<Report>(
  { path, onProgress }: InspectOptions,
  what: (typeof inspections)[number],
  key: string,
  useDirectIo = true,
  ioBackend: IoBackend = 'auto',
): Promise<Report> {
  const reports = completions();
  const { addon } = reports;
  return new Promise((resolve, reject) => {
    let handle = 0;
    let looking: NodeJS.Timeout | undefined;
    const report = (): void => {
      const [done, total] = addon.inspectProgress(handle) ?? [0, 0];
      if (total > 0) onProgress?.(done, total);
    };
    const token = reports.once(() => {
      clearInterval(looking);
      try {
        report();
        resolve(addon.takeInspect(handle) as Report);
      } catch (error) {
        reject(
          isNativeFailure(error) ? translateFailure(error, named(path, error.message)) : error,
        );
      }
    });
    try {
      const io = ioBackends.indexOf(ioBackend);
      handle = addon.inspect(token, path, inspections.indexOf(what), key, useDirectIo, io);
      if (onProgress !== undefined) looking = setInterval(report, lookEveryMs);
    } catch (error) {
      reports.remove(token);
      reject(error);
    }
  });
}
