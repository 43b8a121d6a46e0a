// The keys of one upstream, what they allow and their defaults, and what the rest of the program reads of
// them. `upstream_address` is an upstream with one origin and every default.

import { z } from 'zod';
import {
  duration,
  flag,
  oneOf,
  oneOrList,
  originPath,
  serverName,
  statusSet,
  text,
  tlsVersion,
  weightedOrigin,
  wholeNumber,
} from './values.js';

const day = 86_400_000;

export const upstreamSchema = z.strictObject({
  origins: oneOrList(weightedOrigin()),
  balance: oneOf('key', 'weight').prefault('key'),
  tls: z
    .strictObject({
      ca_file: text('the path of a PEM file').optional(),
      server_name: serverName().optional(),
      cert_file: text('the path of a PEM file').optional(),
      key_file: text('the path of a PEM file').optional(),
      min_version: tlsVersion().prefault('1.2'),
      verify: flag().prefault(true),
    })
    .prefault({}),
  health: z
    .strictObject({
      max_failures: wholeNumber(0, 1000).prefault(3),
      failure_status: statusSet().optional(),
      back_off: duration(1, day).prefault('1s'),
      back_off_max: duration(1, day).prefault('1m'),
      path: originPath().optional(),
      interval: duration(10, day).prefault('10s'),
      timeout: duration(1, day).prefault('2s'),
      unhealthy_after: wholeNumber(1, 1000).prefault(3),
      healthy_after: wholeNumber(1, 1000).prefault(2),
      expected_status: statusSet().prefault('2xx'),
    })
    .prefault({}),
  timeouts: z
    .strictObject({
      connect: duration(1, day).optional(),
      head: duration(1, day).optional(),
      idle: duration(1, day).optional(),
      total: duration(1, day).optional(),
    })
    .prefault({}),
  max_connections: wholeNumber(1, 65_535).prefault(256),
  max_waiting: wholeNumber(0, 1_000_000).prefault(10_000),
  max_connection_age: duration(1, day).prefault('5m'),
  circuit_breaker: flag().prefault(false),
  max_retries: wholeNumber(0, 100).optional(),
  retry: z
    .strictObject({
      budget_percent: wholeNumber(0, 100).prefault(20),
      back_off: duration(1, day).prefault('50ms'),
      back_off_max: duration(1, day).prefault('2s'),
      status: statusSet().prefault([502, 503, 504]),
    })
    .prefault({}),
});

export type UpstreamSettings = z.output<typeof upstreamSchema>;

export interface OriginConfig {
  readonly url: URL;
  /** Its share of the keys or requests is this in proportion to the others'. */
  readonly weight: number;
}

export interface UpstreamConfig {
  /** Never empty. */
  readonly origins: readonly OriginConfig[];
  readonly balance: 'key' | 'weight';
  readonly tls: {
    /** Who is trusted, in place of the well-known authorities; null: these. */
    readonly caFile: string | null;
    /** By SNI and in the certificate; null: the host of the origin. */
    readonly serverName: string | null;
    /** Our own certificate; both or neither. */
    readonly certFile: string | null;
    readonly keyFile: string | null;
    readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
    readonly verify: boolean;
  };
  readonly health: {
    /** So many failures in a row, and an origin is out; 0: never. */
    readonly maxFailures: number;
    /** Statuses that count as failures. */
    readonly failureStatus: ReadonlySet<number>;
    readonly backOffMs: number;
    readonly backOffMaxMs: number;
    /** Null: no checks of our own. */
    readonly path: string | null;
    readonly intervalMs: number;
    readonly timeoutMs: number;
    readonly unhealthyAfter: number;
    readonly healthyAfter: number;
    readonly expectedStatus: ReadonlySet<number>;
  };
  readonly timeouts: {
    readonly connectMs: number;
    readonly headMs: number;
    readonly idleMs: number;
    /** From the wish to the last byte of the body. */
    readonly totalMs: number;
  };
  /** Requests that one origin has at a time. */
  readonly maxConnections: number;
  /** Requests that wait for one of these. */
  readonly maxWaiting: number;
  /** Older connections get no new request. */
  readonly maxConnectionAgeMs: number;
  /** With all origins out nobody is asked but by the request that tries one. */
  readonly circuitBreaker: boolean;
  /** Attempts after the first. */
  readonly maxRetries: number;
  readonly retry: {
    /** Repetitions for every hundred requests. */
    readonly budgetPercent: number;
    readonly backOffMs: number;
    readonly backOffMaxMs: number;
    readonly status: ReadonlySet<number>;
  };
}

/** What an upstream takes from the top level where it says nothing itself. */
export interface UpstreamDefaults {
  readonly timeouts: {
    readonly connect: number;
    readonly head: number;
    readonly idle: number;
    readonly total: number;
  };
  readonly maxRetries: number;
}

export function buildUpstream(
  settings: UpstreamSettings,
  defaults: UpstreamDefaults,
): UpstreamConfig {
  const { tls, health, timeouts, retry } = settings;
  return {
    origins: settings.origins,
    balance: settings.balance,
    tls: {
      caFile: tls.ca_file ?? null,
      serverName: tls.server_name ?? null,
      certFile: tls.cert_file ?? null,
      keyFile: tls.key_file ?? null,
      minVersion: tls.min_version,
      verify: tls.verify,
    },
    health: {
      maxFailures: health.max_failures,
      failureStatus: health.failure_status ?? new Set(),
      backOffMs: health.back_off,
      backOffMaxMs: Math.max(health.back_off, health.back_off_max),
      path: health.path ?? null,
      intervalMs: health.interval,
      timeoutMs: health.timeout,
      unhealthyAfter: health.unhealthy_after,
      healthyAfter: health.healthy_after,
      expectedStatus: health.expected_status,
    },
    timeouts: {
      connectMs: timeouts.connect ?? defaults.timeouts.connect,
      headMs: timeouts.head ?? defaults.timeouts.head,
      idleMs: timeouts.idle ?? defaults.timeouts.idle,
      totalMs: timeouts.total ?? defaults.timeouts.total,
    },
    maxConnections: settings.max_connections,
    maxWaiting: settings.max_waiting,
    maxConnectionAgeMs: settings.max_connection_age,
    circuitBreaker: settings.circuit_breaker,
    maxRetries: settings.max_retries ?? defaults.maxRetries,
    retry: {
      budgetPercent: retry.budget_percent,
      backOffMs: retry.back_off,
      backOffMaxMs: Math.max(retry.back_off, retry.back_off_max),
      status: retry.status,
    },
  };
}

/** The upstream that upstream_address stands for. */
export function plainUpstream(address: URL, defaults: UpstreamDefaults): UpstreamConfig {
  return buildUpstream(upstreamSchema.parse({ origins: address.origin }), defaults);
}
