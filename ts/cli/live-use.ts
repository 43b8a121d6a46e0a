// What only the instance that uses a device knows about it: which of the records in each segment were hit.

import { existsSync, realpathSync } from 'node:fs';
import { socketBeside } from '../config/build.js';
import type { ServedAddress } from '../config/schema.js';
import { ConfigError } from '../errors.js';
import type { SegmentUse, VolumeUse } from '../store/contract.js';
import { askAdmin } from './admin-client.js';

/** The use of each segment, or why it is not known. */
export type LiveUse = readonly SegmentUse[] | string;

/** Where links lead; the path itself where that cannot be told. */
function placeOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** Asks the instance of `admin`, or the one that listens beside the device. */
export async function liveUseOf(device: string, admin: ServedAddress | null): Promise<LiveUse> {
  const sockets = [socketBeside(device), socketBeside(placeOf(device))];
  const beside = sockets.find((path) => existsSync(path));
  if (admin === null && beside === undefined) {
    return 'hits are in the memory of the instance; name its configuration with --config';
  }
  try {
    const { status, value } = await askAdmin(
      admin ?? { kind: 'unix', path: beside! },
      'GET',
      '/segments',
    );
    const { volumes = [] } = value as { volumes?: readonly VolumeUse[] };
    const own = volumes.find((volume) => placeOf(volume.device) === placeOf(device));
    if (status === 200 && own !== undefined) return own.segments;
    return 'the instance that answers there does not use this device';
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}
