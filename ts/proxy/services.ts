// What every step may use: configuration values, the store, the upstreams, the clock, counters. Made once in
// proxy.ts; steps get it with their exchange and reach nothing else.

import type { BlockList } from 'node:net';
import type { Clock } from '../clock.js';
import type { Config } from '../config/schema.js';
import type { CacheStore } from '../store/contract.js';
import type { Timers } from '../upstream/timers.js';
import type { Upstream } from '../upstream/upstream.js';
import type { BackOff } from './back-off.js';
import type { FillTable } from './fill-table.js';
import type { Prefetcher } from './prefetch.js';
import type { Routes } from './routes.js';

/** Counts since start. */
export interface ProxyCounters {
  exchanges: number;
  exchangesOpen: number;
  hits: number;
  stale: number;
  misses: number;
  collapsed: number;
  /** Clients that waited for another one's fill for timeouts.join, and then no longer. */
  waitersReleased: number;
  passes: number;
  revalidated: number;
  originRequests: number;
  originErrors: number;
  clientAborts: number;
  brokenBodies: number;
  /** Fills that their last client left: those that went on for the store, and those that were given up. */
  fillsContinued: number;
  fillsStopped: number;
  /** Answers that could have been stored, for which running fills left no memory: each client got its own. */
  fillsUnstored: number;
  /** Rest of a body fetched by range because neither window nor store had it: promise 7's exception. */
  rangeResumes: number;
  bodyBytes: number;
  /** Purges that somebody asked for; those refused for want of a token; those that are not durable. */
  purges: number;
  purgesDenied: number;
  purgesFailed: number;
  /** Of these, copied out of pages because enable_zero_copy is false. */
  copiedBytes: number;
}

export function zeroCounters(): ProxyCounters {
  return {
    exchanges: 0,
    exchangesOpen: 0,
    hits: 0,
    stale: 0,
    misses: 0,
    collapsed: 0,
    waitersReleased: 0,
    passes: 0,
    revalidated: 0,
    originRequests: 0,
    originErrors: 0,
    clientAborts: 0,
    brokenBodies: 0,
    fillsContinued: 0,
    fillsStopped: 0,
    fillsUnstored: 0,
    rangeResumes: 0,
    bodyBytes: 0,
    purges: 0,
    purgesDenied: 0,
    purgesFailed: 0,
    copiedBytes: 0,
  };
}

export interface Services {
  readonly config: Config;
  /** Null: caching is off, everything passes. */
  readonly store: CacheStore | null;
  readonly routes: Routes;
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly fills: FillTable;
  readonly backOff: BackOff;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly counters: ProxyCounters;
  readonly prefetcher: Prefetcher;
  /** Our name in Via: of this process, so that two instances in a row are no loop. */
  readonly pseudonym: string;
  /** Proxies in front of us whose word counts; null: none. */
  readonly trusted: BlockList | null;
}
