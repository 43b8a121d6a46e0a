// A running proxy: upstreams, routes, fills and listeners put together over one store. Owns everything but
// the store, which its maker opens and closes.

import { randomBytes } from 'node:crypto';
import { type Clock, systemClock } from '../clock.js';
import type { Config } from '../config/schema.js';
import type { CacheStore } from '../store/contract.js';
import { systemTimers, type Timers } from '../upstream/timers.js';
import {
  openUpstream,
  type Upstream,
  type UpstreamContext,
  type UpstreamStats,
} from '../upstream/upstream.js';
import { BackOff } from './back-off.js';
import { newExchange, runExchange } from './exchange.js';
import { FillMemory, fillMemoryOf } from './fill-memory.js';
import { FillTable } from './fill-table.js';
import { type Listener, listen } from './listener.js';
import { Prefetcher } from './prefetch.js';
import { type PurgeReport, type PurgeRequest, purge } from './purge-request.js';
import { compileRoutes } from './routes.js';
import { type Services, zeroCounters } from './services.js';
import { trustedPeers } from './trusted-peer.js';

/** Of the memory tier: what was fetched ahead of clients has to be there still when they come. */
const aheadShare = 1 / 2;

export interface ProxyOptions {
  readonly config: Config;
  /** Null: caching is off. */
  readonly store: CacheStore | null;
  readonly clock?: Clock;
  readonly timers?: Timers;
  /** In place of the system's timers, resolver and randomness towards origins. */
  readonly upstream?: Omit<UpstreamContext, 'clock'>;
}

export interface RunningProxy {
  /** "http://host:port" or "unix:/path", in the order of the configuration. */
  readonly addresses: readonly string[];
  /** Counts since start, and what is open now. */
  stats(): Record<string, number>;
  /** By name: each origin's state and counts since start. */
  upstreamStats(): Record<string, UpstreamStats>;
  /** Resolves when the purge is durable; rejects with ClientError or StoreError. */
  purge(request: PurgeRequest): Promise<PurgeReport>;
  /** Takes no more requests, gives the running ones up to `graceMs`, then ends them. */
  close(graceMs: number): Promise<void>;
}

/** Rejects with ConfigError `LISTEN_FAILED`, naming the address and what to do. */
export async function startProxy(options: ProxyOptions): Promise<RunningProxy> {
  const services = servicesOf(options);
  const listeners: Listener[] = [];
  try {
    for (const address of options.config.listen) {
      listeners.push(
        await listen(address, {
          clientIdleMs: options.config.timeouts.clientIdleMs,
          onRequest: (request, response, isExpecting) => {
            services.counters.exchanges += 1;
            services.counters.exchangesOpen += 1;
            runExchange(newExchange(services, request, response, isExpecting));
          },
        }),
      );
    }
  } catch (error) {
    for (const listener of listeners) listener.destroy();
    await Promise.all(listeners.map((listener) => listener.close()));
    await closeUpstreams(services);
    throw error;
  }
  return {
    addresses: listeners.map((listener) => listener.address),
    stats: () => statsOf(services),
    upstreamStats: () =>
      Object.fromEntries(
        [...services.upstreams].map(([name, upstream]) => [name, upstream.stats()]),
      ),
    purge: (request) => purge(services, request),
    close: (graceMs) => closeProxy(services, listeners, graceMs),
  };
}

function statsOf(services: Services): Record<string, number> {
  const { purges, purgesDenied, purgesFailed, ...others } = services.counters;
  const all = { ...others, ...services.prefetcher.counters, fillsOpen: services.fills.size };
  return services.config.purge.enableMetrics ? { ...all, purges, purgesDenied, purgesFailed } : all;
}

function servicesOf(options: ProxyOptions): Services {
  const { config, store, clock = systemClock, timers = systemTimers } = options;
  const upstreams = openUpstreams(options, clock);
  return {
    config,
    store,
    routes: compileRoutes(config),
    upstreams,
    fills: new FillTable(
      clock,
      config.l1CacheSizeBytes * aheadShare,
      new FillMemory(fillMemoryOf(config)),
    ),
    backOff: new BackOff(clock),
    clock,
    timers,
    counters: zeroCounters(),
    prefetcher: new Prefetcher(config.routes),
    pseudonym: `millrace-${randomBytes(4).toString('hex')}`,
    trusted: trustedPeers(config.trustedProxies),
  };
}

/** All or, where the files of one are not right, none. */
function openUpstreams({ config, upstream }: ProxyOptions, clock: Clock): Map<string, Upstream> {
  const opened = new Map<string, Upstream>();
  try {
    for (const [name, settings] of config.upstreams) {
      opened.set(name, openUpstream(name, settings, { ...upstream, clock }));
    }
  } catch (error) {
    for (const each of opened.values()) void each.close();
    throw error;
  }
  return opened;
}

async function closeProxy(
  services: Services,
  listeners: readonly Listener[],
  graceMs: number,
): Promise<void> {
  const drained = Promise.all(listeners.map((listener) => listener.close()));
  let timer: NodeJS.Timeout | undefined;
  const grace = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, graceMs);
  });
  await Promise.race([drained, grace]);
  clearTimeout(timer);
  services.fills.abandonAll();
  for (const listener of listeners) listener.destroy();
  await drained;
  await closeUpstreams(services);
}

async function closeUpstreams(services: Services): Promise<void> {
  await Promise.all([...services.upstreams.values()].map((upstream) => upstream.close()));
}
