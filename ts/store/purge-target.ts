// What the addon is told about a purge, and what a person is told when it could not be made durable.

import type { StoreError } from '../errors.js';
import type { NativeStore } from '../native/contract.js';
import { statusAgain, storeErrorOf } from '../native/status.js';
import type { PurgeTarget } from './contract.js';

/** The key, prefix or tag; empty for everything. */
export function purgeText(target: PurgeTarget): string {
  switch (target.kind) {
    case 'key':
      return target.key;
    case 'prefix':
      return target.prefix;
    case 'tag':
      return target.tag;
    case 'all':
      return '';
  }
}

export function purgeFailure(native: NativeStore, code: number, volume: number): StoreError {
  const device = native.stats().volumes?.[volume]?.device ?? 'the device';
  const advice =
    code === statusAgain
      ? 'repeat it a moment later'
      : 'the volume is off: nothing is read from it or written to it any more; look at the ' +
        'kernel log, replace the device or format it anew, and restart';
  return storeErrorOf(
    code,
    `${device}: the purge holds in this process and is not durable; ${advice}`,
  );
}
