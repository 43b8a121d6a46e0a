// An upstream: a group of origins that hold the same resources. Chooses one for each request, asks another
// where that is safe and of use, keeps book of who is well. What it hands on is one response, as if
// there were one origin.

import type { LookupFunction } from 'node:net';
import { errors } from 'undici';
import type { Clock } from '../clock.js';
import type { UpstreamConfig } from '../config/schema.js';
import { UpstreamError } from '../errors.js';
import { retryAfterMs } from '../http/retry-after.js';
import { type OriginReport, originChannel } from '../observe/channels.js';
import { chosenByKey, hashOf, SmoothTurns, type Weighted } from './choice.js';
import { drain } from './drain.js';
import { Gate } from './gate.js';
import { type HealthChange, OriginHealth } from './health.js';
import { startChecks } from './health-check.js';
import { Origin } from './pool.js';
import { type RedirectPolicy, Redirects } from './redirects.js';
import {
  type HeadReader,
  sendRequest,
  type UpstreamRequest,
  type UpstreamResponse,
} from './request.js';
import { backOffMs, isRepeatable, RetryBudget, type RetryReason, retryReasonOf } from './retry.js';
import { systemTimers, type Timers } from './timers.js';
import { readTls } from './tls.js';

export interface UpstreamContext {
  readonly clock: Clock;
  readonly timers?: Timers;
  /** From 0 to 1. */
  readonly random?: () => number;
  readonly lookup?: LookupFunction;
  /** Whether an address is out of bounds for redirects. */
  readonly isInside?: (address: string) => boolean;
}

/** Without Host, which is the chosen origin's. */
export interface KeyedRequest extends UpstreamRequest {
  /** What `balance: key` chooses by. */
  readonly key: string;
  /** The host that the client asked. */
  readonly publicHost?: string;
}

export interface OriginStats {
  readonly origin: string;
  readonly weight: number;
  readonly state: 'in' | 'out';
  readonly requests: number;
  readonly failures: number;
  /** Requests that hold a connection now, and those that wait for one. */
  readonly active: number;
  readonly waiting: number;
  /** Requests that found the queue full, or waited too long in it. */
  readonly turnedAway: number;
}

export interface UpstreamStats {
  /** Repetitions by what they were made for, and those that the budget did not allow. */
  readonly retries: Readonly<Record<RetryReason | 'denied', number>>;
  /** Requests that the circuit breaker answered. */
  readonly broken: number;
  /** Hops of redirects that were followed. */
  readonly redirects: number;
  readonly origins: readonly OriginStats[];
}

interface Server extends Weighted {
  readonly origin: Origin;
  readonly health: OriginHealth;
  readonly gate: Gate;
  requests: number;
  failures: number;
  turnedAway: number;
}

/** Another attempt: why, and after how long. */
interface Again {
  readonly reason: RetryReason;
  readonly waitMs: number;
}

export class Upstream {
  readonly name: string;
  readonly #config: UpstreamConfig;
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #random: () => number;
  readonly #servers: readonly Server[];
  readonly #turns = new SmoothTurns<Server>();
  readonly #budget: RetryBudget;
  readonly #retries = { connect: 0, reset: 0, timeout: 0, protocol: 0, status: 0, denied: 0 };
  readonly #stopChecks: () => void;
  readonly #redirects: Redirects;
  #broken = 0;

  constructor(name: string, config: UpstreamConfig, context: UpstreamContext) {
    const { clock, timers = systemTimers, random = Math.random, lookup } = context;
    this.name = name;
    this.#config = config;
    this.#clock = clock;
    this.#timers = timers;
    this.#random = random;
    this.#budget = new RetryBudget(config.retry.budgetPercent);
    const { connectMs, headMs, idleMs } = config.timeouts;
    // Reading the well-known authorities costs milliseconds: not for upstreams that have no use for them.
    const isSecure = config.origins.some(({ url }) => url.protocol === 'https:');
    const tls = isSecure ? { tls: readTls(name, config.tls) } : {};
    this.#servers = config.origins.map(({ url, weight }) => ({
      weight,
      seed: hashOf(url.origin),
      origin: new Origin(url, {
        connectTimeoutMs: connectMs,
        headTimeoutMs: headMs,
        idleTimeoutMs: idleMs,
        // One more for the checks, which are not to wait behind what they judge.
        connections: config.maxConnections + 1,
        connectionAgeMs: config.maxConnectionAgeMs,
        clock,
        ...tls,
        ...(lookup === undefined ? {} : { lookup }),
      }),
      health: new OriginHealth(config.health, clock, (change) => this.#tell(url, change)),
      gate: new Gate(config.maxConnections, config.maxWaiting, timers),
      requests: 0,
      failures: 0,
      turnedAway: 0,
    }));
    this.#redirects = new Redirects({
      ...context,
      name,
      config,
      send: (request, onHead) => this.send(request, onHead),
    });
    this.#stopChecks = startChecks(this.#servers, {
      config: config.health,
      clock,
      timers,
      random,
    });
  }

  #tell({ origin }: URL, change: HealthChange): void {
    const isLast = change.state === 'out' && !this.#servers.some(({ health }) => health.isWell);
    const report: OriginReport = {
      upstream: this.name,
      origin,
      ...change,
      ...(isLast ? { follows: `no origin of ${this.name} is left: requests still go there` } : {}),
    };
    originChannel.publish(report);
  }

  stats(): UpstreamStats {
    return {
      retries: { ...this.#retries },
      broken: this.#broken,
      redirects: this.#redirects.count,
      origins: this.#servers.map((server) => ({
        origin: server.origin.url.origin,
        weight: server.weight,
        state: server.health.isWell ? 'in' : 'out',
        requests: server.requests,
        failures: server.failures,
        active: server.gate.inside,
        waiting: server.gate.waiting,
        turnedAway: server.turnedAway,
      })),
    };
  }

  /** Some origin that is well could take a request without having anybody wait. */
  get hasRoom(): boolean {
    return this.#servers.some(({ health, gate }) => health.isUsable && !gate.isFull);
  }

  async close(): Promise<void> {
    this.#stopChecks();
    await Promise.all([
      this.#redirects.close(),
      ...this.#servers.map(({ origin }) => origin.close()),
    ]);
  }

  /** The same, and what it redirects to is asked in its place, as far as the policy allows. */
  sendFollowing(
    request: KeyedRequest,
    policy: RedirectPolicy,
    onHead: HeadReader = () => {},
  ): Promise<UpstreamResponse> {
    const isFetch = request.method === 'GET' || request.method === 'HEAD';
    const mayFollow = policy.hops > 0 && isFetch && request.body === null;
    return mayFollow ? this.#redirects.send(request, policy, onHead) : this.send(request, onHead);
  }

  /** Rejects with an UpstreamError when no response head comes from any origin that was asked. */
  async send(request: KeyedRequest, onHead: HeadReader = () => {}): Promise<UpstreamResponse> {
    this.#budget.deposit();
    const asked = new Set<Server>();
    let server = this.#choose(request.key, this.#servers) ?? this.#leastBad();
    if (this.#config.circuitBreaker && !server.health.isUsable) throw this.#brokenError();
    for (let count = 1; ; count += 1) {
      asked.add(server);
      const attempt = await this.#attempt(server, request, count, asked, onHead);
      if (attempt.response !== null) return attempt.response;
      await this.#wait(attempt.again.waitMs);
      server = attempt.next;
    }
  }

  /** One request to one origin: its response, or whom to ask next. Rejects where nobody is. */
  async #attempt(
    server: Server,
    request: KeyedRequest,
    count: number,
    asked: ReadonlySet<Server>,
    onHead: HeadReader,
  ): Promise<
    { readonly response: UpstreamResponse } | { response: null; again: Again; next: Server }
  > {
    const { origin, health } = server;
    const isTrial = health.begin();
    await this.#enter(server).catch((error: unknown) => {
      health.settle(isTrial);
      throw error;
    });
    server.requests += 1;
    let following: { again: Again; next: Server } | null = null;
    const read: HeadReader = (response) => {
      this.#judgeStatus(server, response.status, isTrial);
      following = this.#afterStatus(request, response, server, count, asked);
      if (following === null) onHead(response);
      else drain(response);
    };
    try {
      const response = await sendRequest(
        origin,
        { ...request, fields: ['Host', origin.url.host, ...request.fields] },
        this.#clock,
        read,
        { totalMs: this.#config.timeouts.totalMs, onDone: () => leaveLater(server.gate) },
      );
      return following === null ? { response } : { response: null, ...(following as Following) };
    } catch (error) {
      if (isOriginsFault(error, request)) {
        server.failures += 1;
        health.failed(error.message, isTrial);
      }
      following = this.#afterError(request, error, count, asked);
      if (following === null) throw error;
      return { response: null, ...following };
    } finally {
      health.settle(isTrial);
    }
  }

  /** Takes a connection of this origin. Rejects where there is none to be had. */
  async #enter(server: Server): Promise<void> {
    const { maxConnections } = this.#config;
    const { answerTimeoutMs } = server.origin;
    const entry = await server.gate.enter(answerTimeoutMs);
    if (entry === 'entered') return;
    server.turnedAway += 1;
    const why =
      entry === 'queue-full'
        ? 'and as many requests wait for one as may'
        : `and none came free within ${answerTimeoutMs} ms`;
    throw new UpstreamError(
      'UPSTREAM_BUSY',
      `all ${maxConnections} connections to ${server.origin.url.origin} are in use, ${why}`,
      { retryable: true, retryAfterS: 1 },
    );
  }

  #brokenError(): UpstreamError {
    this.#broken += 1;
    const waitMs = Math.min(...this.#servers.map(({ health }) => health.waitMs));
    return new UpstreamError(
      'UPSTREAM_UNAVAILABLE',
      `no origin of ${this.name} is well, and its circuit breaker keeps requests from them`,
      { retryable: true, retryAfterS: Math.max(1, Math.ceil(waitMs / 1000)) },
    );
  }

  #judgeStatus({ health }: Server, status: number, isTrial: boolean): void {
    const isFailure = this.#config.health.failureStatus.has(status);
    if (isFailure) health.failed(`it answered ${status}`, isTrial);
    else health.succeeded();
  }

  /** A response that another origin may better; of the same one only where it said when. */
  #afterStatus(
    request: KeyedRequest,
    response: UpstreamResponse,
    server: Server,
    count: number,
    asked: ReadonlySet<Server>,
  ): Following | null {
    const { retry, maxRetries } = this.#config;
    if (!retry.status.has(response.status) || count > maxRetries) return null;
    if (!isRepeatable(request)) return null;
    const other = this.#other(request.key, asked);
    if (other !== null) return this.#spend('status', other, backOffMs(retry, count, this.#random));
    const waitMs = retryAfterMs(response.fields, this.#clock.now());
    if (waitMs === null || waitMs > retry.backOffMaxMs) return null;
    return this.#spend('status', server, waitMs);
  }

  #afterError(
    request: KeyedRequest,
    error: unknown,
    count: number,
    asked: ReadonlySet<Server>,
  ): Following | null {
    const reason = retryReasonOf(error);
    if (reason === null || count > this.#config.maxRetries || !isRepeatable(request)) return null;
    const other = this.#other(request.key, asked);
    // A name or a port that does not answer will not answer a moment later either; a connection that died
    // before the answer may have been an idle one that the origin was just closing.
    const { retryable } = error as UpstreamError;
    const next = other ?? (retryable ? this.#choose(request.key, [...asked]) : null);
    if (next === null) return null;
    return this.#spend(reason, next, backOffMs(this.#config.retry, count, this.#random));
  }

  #spend(reason: RetryReason, next: Server, waitMs: number): Following | null {
    if (!this.#budget.take()) {
      this.#retries.denied += 1;
      return null;
    }
    this.#retries[reason] += 1;
    return { again: { reason, waitMs }, next };
  }

  #other(key: string, asked: ReadonlySet<Server>): Server | null {
    return this.#choose(
      key,
      this.#servers.filter((server) => !asked.has(server)),
    );
  }

  /** Null: none of these may be asked now. */
  #choose(key: string, among: readonly Server[]): Server | null {
    const usable = among.filter(({ health }) => health.isUsable);
    if (usable.length <= 1) return usable[0] ?? null;
    // Better another origin at once than a place in the queue of the right one.
    const free = usable.filter(({ gate }) => !gate.isFull);
    const best = free.length > 0 ? free : usable;
    return this.#config.balance === 'key' ? chosenByKey(best, key) : this.#turns.next(best);
  }

  /** With all of them out somebody is asked all the same: being wrong about that must not be an outage. */
  #leastBad(): Server {
    return this.#servers.reduce((best, server) =>
      server.health.badness < best.health.badness ? server : best,
    );
  }

  async #wait(ms: number): Promise<void> {
    if (ms <= 0) return;
    await new Promise<void>((resolve) => {
      this.#timers.after(ms, resolve);
    });
  }
}

interface Following {
  readonly again: Again;
  readonly next: Server;
}

/** Clients must not be able to have an origin put out by requests that they break off or make impossible. */
function isOriginsFault(error: unknown, { body }: UpstreamRequest): error is UpstreamError {
  if (!(error instanceof UpstreamError)) return false;
  const { cause } = error;
  if (cause instanceof errors.InvalidArgumentError) return false;
  if (cause instanceof errors.RequestContentLengthMismatchError) return false;
  return body === null || !body.destroyed || body.readableEnded;
}

/** undici uses a connection again one turn after its response: whoever comes sooner has another one made. */
function leaveLater(gate: Gate): void {
  queueMicrotask(() => {
    setImmediate(() => gate.leave());
  });
}

export function openUpstream(
  name: string,
  config: UpstreamConfig,
  context: UpstreamContext,
): Upstream {
  return new Upstream(name, config, context);
}
