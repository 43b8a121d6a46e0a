// What a program that embeds millrace imports: the proxy, the store under it, the errors of both, and
// their types. Nothing is started by importing it, and nothing is written to the standard output.

import { loadConfig } from './config/load.js';
import type { ConfigInput } from './config/schema.js';
import { type Log, silentLog } from './observe/log.js';
import { type System, startSystem } from './system.js';

export type { ConfigInput } from './config/schema.js';
export {
  ClientError,
  ConfigError,
  type ErrorCode,
  type ErrorSource,
  InternalError,
  MillraceError,
  StoreError,
  UpstreamError,
} from './errors.js';
export type { Log } from './observe/log.js';
export type { PurgeReport, PurgeRequest } from './proxy/purge-request.js';
export type {
  CacheStore,
  Fill,
  FillHead,
  Follower,
  FollowerRead,
  Found,
  Lease,
  PurgeTarget,
  StoredObject,
  StoreStats,
  Tier,
  VolumeStats,
} from './store/contract.js';
export { type DeviceOptions, openStore, type StoreOptions } from './store/store.js';
export type { System, SystemStats } from './system.js';
export type { OriginStats, UpstreamStats } from './upstream/upstream.js';

export interface ProxyExtras {
  /** Where events go; nowhere if not given. */
  readonly log?: Log;
}

/**
 * Starts a proxy in this process; resolves when it listens. Takes the keys of the YAML file. Rejects
 * with a MillraceError whose message says what is wrong and what to do.
 */
export async function createProxy(options: ConfigInput, extras: ProxyExtras = {}): Promise<System> {
  return startSystem(loadConfig({ input: options }), extras.log ?? silentLog);
}
