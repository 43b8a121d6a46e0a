// THE FLOW: one client request and all that follows. The table below is the only place where steps are
// chained; docs/ARCHITECTURE.md draws it, and a test compares the two. Steps hand each other what the
// exchange holds; bytes never pass through here, only the BodySource of the answer.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { RouteConfig } from '../config/schema.js';
import { InternalError } from '../errors.js';
import { type Directives, requestDirectives } from '../http/cache-control.js';
import type { CacheHandling } from '../http/cache-status.js';
import type { RawFields } from '../http/fields.js';
import { withoutNamed } from '../http/hop-by-hop.js';
import type { StoredObject } from '../store/contract.js';
import type { Head } from '../store/entry.js';
import type { Variants } from '../store/variants.js';
import { accept } from './accept.js';
import type { BodySource } from './body.js';
import { fail } from './fail.js';
import { fill } from './fill.js';
import { finish } from './finish.js';
import { lookup } from './lookup.js';
import { options } from './options.js';
import type { PartRequest } from './part-request.js';
import { pass } from './pass.js';
import { purge } from './purge.js';
import { revalidate } from './revalidate.js';
import { route } from './route.js';
import { serve } from './serve.js';
import type { Services } from './services.js';

/** What the client gets, before its conditions and ranges are judged. */
export interface Answer {
  readonly status: number;
  readonly reason: string;
  /** End-to-end fields as stored or received. */
  readonly fields: RawFields;
  readonly bodyLength: number | null;
  /** Null: there is none (HEAD from the origin, 204, 304). */
  readonly body: BodySource | null;
  /** Of a body that is not there as a whole: bytes [start, end) are. */
  readonly available?: { readonly start: number; readonly end: number };
  /** The decided head of a response that is or will be stored; null for one that passes through. */
  readonly head: Head | null;
  /** Asked last before the head is sent: true where a purge has taken what the answer was made from. */
  readonly isPurged?: () => boolean;
}

export interface Exchange {
  readonly services: Services;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The client's. Of its own, because undici takes it from a request whose body it has sent. */
  readonly socket: Socket;
  readonly method: string;
  /** As received, without what Connection names. */
  readonly fields: RawFields;
  /** The request's; none where the route ignores them. */
  directives: Directives;
  /** From the clock, for durations. */
  readonly startedMs: number;
  /** Authority as requested: Host, or that of an absolute-form target. */
  host: string;
  /** As the client had it: from the listener, or from a proxy that is trusted. */
  scheme: 'http' | 'https';
  /** What the peer says about the way of the request is passed on. */
  isPeerTrusted: boolean;
  /** The client waits for a 100 before it sends its body. */
  readonly isExpecting: boolean;
  /** Origin form. */
  target: string;
  rule: RouteConfig | null;
  /** Canonical primary key; empty until routed. */
  key: string;
  hasRequestBody: boolean;
  /** Found by lookup; closed by finish. */
  stored: StoredObject | null;
  /** Only this part of the body is to be fetched. */
  part: PartRequest | null;
  /** What else is stored of this URI, where its responses vary. */
  variants: Variants | null;
  answer: Answer | null;
  handling: CacheHandling;
  failure: Error | null;
  /** Times that the store was asked: what others fetch meanwhile may make it worth asking again. */
  lookups: number;
  /** A stale answer was tried already: fail must not try again. */
  hasFallenBack: boolean;
  sentStatus: number;
  sentBytes: number;
}

export type StepName =
  | 'accept'
  | 'route'
  | 'lookup'
  | 'serve'
  | 'fill'
  | 'revalidate'
  | 'pass'
  | 'purge'
  | 'options'
  | 'fail'
  | 'finish';

/** At once where nothing has to be waited for: a hit in memory runs from accept to finish in one go. */
export type NextStep = StepName | Promise<StepName>;

type Step = (exchange: Exchange) => NextStep;

interface StepRow {
  readonly run: Step;
  readonly next: readonly StepName[];
}

const steps: Readonly<Record<Exclude<StepName, 'finish'>, StepRow>> = {
  accept: { run: accept, next: ['route', 'purge', 'options', 'fail'] },
  options: { run: options, next: ['finish', 'fail'] },
  purge: { run: purge, next: ['finish', 'fail'] },
  route: { run: route, next: ['lookup', 'pass', 'fail'] },
  lookup: { run: lookup, next: ['serve', 'fill', 'revalidate', 'pass', 'fail'] },
  fill: { run: fill, next: ['serve', 'lookup', 'fail'] },
  revalidate: { run: revalidate, next: ['serve', 'fail'] },
  pass: { run: pass, next: ['serve', 'fail'] },
  serve: { run: serve, next: ['finish', 'fill', 'fail'] },
  fail: { run: fail, next: ['serve', 'finish'] },
};

/** The table without its functions: step to possible next steps. */
export const stepGraph: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  Object.entries(steps).map(([name, row]) => [name, row.next]),
);

export function newExchange(
  services: Services,
  request: IncomingMessage,
  response: ServerResponse,
  isExpecting: boolean,
): Exchange {
  const fields = withoutNamed(request.rawHeaders);
  return {
    services,
    request,
    response,
    socket: request.socket,
    method: request.method ?? '',
    fields,
    directives: requestDirectives(fields),
    startedMs: services.clock.monotonic(),
    host: request.headers.host ?? '',
    scheme: 'http',
    isPeerTrusted: false,
    isExpecting,
    target: request.url ?? '',
    rule: null,
    key: '',
    hasRequestBody: false,
    stored: null,
    variants: null,
    part: null,
    lookups: 0,
    answer: null,
    handling: { hit: false },
    failure: null,
    hasFallenBack: false,
    sentStatus: 0,
    sentBytes: 0,
  };
}

/** Runs the exchange to its end. Never throws: what no step expected becomes a 500. */
export function runExchange(exchange: Exchange): void {
  runFrom(exchange, 'accept');
}

function runFrom(exchange: Exchange, first: StepName): void {
  let name = first;
  while (name !== 'finish') {
    const current = name;
    let next: NextStep;
    try {
      next = steps[current].run(exchange);
    } catch (error) {
      next = broken(exchange, current, error as Error);
    }
    if (typeof next !== 'string') {
      next.then(
        (later) => runFrom(exchange, checked(exchange, current, later)),
        (error: Error) => runFrom(exchange, broken(exchange, current, error)),
      );
      return;
    }
    name = checked(exchange, current, next);
  }
  finish(exchange);
}

function broken(exchange: Exchange, name: keyof typeof steps, error: Error): StepName {
  exchange.failure = error;
  return name === 'fail' ? 'finish' : 'fail';
}

function checked(exchange: Exchange, name: keyof typeof steps, next: StepName): StepName {
  if (steps[name].next.includes(next)) return next;
  return broken(exchange, name, new InternalError('INTERNAL', `step ${name} led to ${next}`));
}

/** True when nobody reads the answer any more. */
export function isClientGone(exchange: Exchange): boolean {
  return exchange.response.destroyed || exchange.socket.destroyed;
}
