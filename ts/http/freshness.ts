// Judges a response once, when it arrives: may a shared cache store it, and until when is it good
// (RFC 9111 3, 4.2, 5.2; RFC 5861; RFC 8246). Later requests compare only the numbers that are kept
// then: may this one reuse it, and may it be served stale. Where something is unclear the answer is
// the one that stores less or ends earlier. The prohibitions are in storable.ts, the arithmetic in
// lifetime.ts.

import { type Directives, parseCacheControl, parseTargeted } from './cache-control.js';
import { isStrongTag, responseTag } from './entity-tag.js';
import { fieldLines, fieldValue, listMembers, type RawFields, trimmed } from './fields.js';
import {
  dateField,
  explicitLifetimeMs,
  heuristicLifetimeMs,
  initialAgeOf,
  originDate,
  type ResponseTimes,
} from './lifetime.js';

import {
  credentialFields,
  gainRefusal,
  heuristicStatuses,
  type Lifetime,
  type Refusal,
  refusalOf,
  type StoreRules,
  type Subject,
} from './storable.js';

export type { ResponseTimes } from './lifetime.js';
export type { Refusal } from './storable.js';

export interface CachePolicy extends StoreRules {
  /**
   * The route's lifetime for this status; null: none. Counts where the origin gives no lifetime, and
   * in any case where `overrideOrigin` is set.
   */
  readonly defaultTtlMs: number | null;
  /**
   * The route's lifetime wins over the origin's; without a `defaultTtlMs` nothing is overridden.
   */
  readonly overrideOrigin: boolean;
  /** Targeted fields in order of preference, such as 'CDN-Cache-Control'. */
  readonly targetedFields: readonly string[];
  /**
   * Part of the time since Last-Modified that counts as lifetime: 0.1 is what RFC 9111 mentions.
   */
  readonly heuristicFraction: number;
  readonly heuristicMaxMs: number;
  /** The route's windows past the lifetime; the origin's count where they are longer. */
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
}

/** Times are Unix milliseconds, 0 where there is no such window. */
export interface Judgement {
  readonly store: boolean;
  readonly reason: Refusal;
  /** Age at the time of receipt. */
  readonly initialAgeMs: number;
  readonly lifetimeMs: number;
  /** Lies before the receipt where the response came stale. */
  readonly freshUntilMs: number;
  readonly staleWhileRevalidateUntilMs: number;
  readonly staleIfErrorUntilMs: number;
  /** Never to be served stale: must-revalidate, proxy-revalidate or s-maxage. */
  readonly mustRevalidate: boolean;
  readonly noCache: boolean;
  readonly immutable: boolean;
  readonly hasSetCookie: boolean;
  /** The request carried Authorization; with `confirm`, credentials of any kind. */
  readonly authorized: boolean;
  readonly dateS: number;
  readonly lastModifiedS: number | null;
  /** Exactly as received; empty when absent. */
  readonly etag: string;
  /** The ETag is strong. */
  readonly strongValidator: boolean;
  readonly acceptsRanges: boolean;
  /** Lower case, sorted, unique. */
  readonly varyNames: readonly string[];
}

/**
 * Section by section what http-caching asks of a shared cache. Only responses to GET are stored.
 */
export function judgeResponse(
  request: { readonly method: string; readonly fields: RawFields },
  response: { readonly status: number; readonly fields: RawFields },
  times: ResponseTimes,
  policy: CachePolicy,
): Judgement {
  const { fields } = response;
  const { receivedMs } = times;
  const targeted = parseTargeted(fields, policy.targetedFields);
  const directives = targeted ?? parseCacheControl(fieldValue(fields, 'cache-control'));
  const date = originDate(fields, receivedMs);
  const lastModifiedS = dateField(fields, 'last-modified', receivedMs);
  const etag = responseTag(fields);
  const subject: Subject = {
    rules: policy,
    method: request.method,
    status: response.status,
    request: request.fields,
    response: fields,
    directives,
    vary: varyMembers(fields),
    authorized: isAuthorized(request.fields, policy),
    // What is stripped is as good as not there.
    hasSetCookie: policy.setCookie !== 'strip' && fieldLines(fields, 'set-cookie').length > 0,
  };
  const expires = targeted === null ? fieldValue(fields, 'expires') : undefined;
  const explicitMs = explicitLifetimeMs(directives, expires, date.dateS, receivedMs);
  const heuristicMs = heuristicLifetimeMs(
    lastModifiedS,
    date.dateS,
    policy.heuristicFraction,
    policy.heuristicMaxMs,
  );
  const lifetime = chooseLifetime(subject, explicitMs, heuristicMs, policy);
  const initialAgeMs = initialAgeOf(fields, date, times);
  const freshUntilMs = receivedMs + lifetime.ms - initialAgeMs;
  const limits = staleLimits(subject, lifetime, freshUntilMs, policy);
  const use = {
    canValidate: etag !== '' || lastModifiedS !== null,
    mustValidate: limits.noCache,
    mayBeStale: limits.staleWhileRevalidateUntilMs > 0 || limits.staleIfErrorUntilMs > 0,
  };
  const reason = refusalOf(subject) || gainRefusal(subject, lifetime, use);
  return {
    store: reason === '',
    reason,
    initialAgeMs,
    lifetimeMs: lifetime.ms,
    freshUntilMs,
    staleWhileRevalidateUntilMs: limits.staleWhileRevalidateUntilMs,
    staleIfErrorUntilMs: limits.staleIfErrorUntilMs,
    mustRevalidate: limits.mustRevalidate,
    noCache: limits.noCache,
    immutable: !lifetime.isOverridden && directives.allows('immutable'),
    hasSetCookie: subject.hasSetCookie,
    authorized: subject.authorized,
    dateS: date.dateS,
    lastModifiedS,
    etag,
    strongValidator: isStrongTag(etag),
    acceptsRanges: acceptsBytes(fields),
    varyNames: [...new Set(subject.vary)].sort(),
  };
}

function isAuthorized(request: RawFields, { authorization }: CachePolicy): boolean {
  const names = authorization === 'confirm' ? credentialFields : (['authorization'] as const);
  return names.some((name) => fieldLines(request, name).length > 0);
}

function chooseLifetime(
  subject: Subject,
  explicitMs: number | null,
  heuristicMs: number,
  policy: CachePolicy,
): Lifetime {
  const { defaultTtlMs } = policy;
  const isOverridden = policy.overrideOrigin && defaultTtlMs !== null;
  // Spelled out, not spread over a common part: copying number fields costs more than all the rest here.
  const known = (ms: number, isAllowed: boolean, isHeuristic: boolean): Lifetime => ({
    ms,
    isAllowed,
    explicitMs,
    isOverridden,
    isHeuristic,
  });
  if (isOverridden) return known(defaultTtlMs, true, false);
  if (explicitMs !== null) return known(explicitMs, true, false);
  if (defaultTtlMs !== null) return known(defaultTtlMs, true, false);
  const mayAssume = heuristicStatuses.has(subject.status) || subject.directives.allows('public');
  return known(mayAssume ? heuristicMs : 0, mayAssume, true);
}

type StaleLimits = Pick<
  Judgement,
  'mustRevalidate' | 'noCache' | 'staleWhileRevalidateUntilMs' | 'staleIfErrorUntilMs'
>;

function staleLimits(
  subject: Subject,
  lifetime: Lifetime,
  freshUntilMs: number,
  policy: CachePolicy,
): StaleLimits {
  const { directives } = subject;
  const isIgnored = lifetime.isOverridden;
  // A response to an authorized request may be stored because of these, so they hold in any case.
  const mustRevalidate =
    (!isIgnored || subject.authorized) &&
    ['must-revalidate', 'proxy-revalidate', 's-maxage'].some((name) => directives.has(name));
  const noCache = !isIgnored && directives.has('no-cache');
  const until = (name: string, routeMs: number) => {
    if (mustRevalidate || noCache) return 0;
    const seconds = isIgnored ? undefined : directives.seconds(name);
    const windowMs = Math.max(routeMs, typeof seconds === 'number' ? seconds * 1000 : 0);
    return windowMs > 0 ? freshUntilMs + windowMs : 0;
  };
  return {
    mustRevalidate,
    noCache,
    staleWhileRevalidateUntilMs: until('stale-while-revalidate', policy.staleWhileRevalidateMs),
    staleIfErrorUntilMs: until('stale-if-error', policy.staleIfErrorMs),
  };
}

// Names are tokens, so quotes mean nothing here: a member with a quote is refused as it stands.
function varyMembers(fields: RawFields): string[] {
  const members = (fieldValue(fields, 'vary') ?? '').split(',');
  return members.map((member) => trimmed(member).toLowerCase()).filter((name) => name !== '');
}

function acceptsBytes(fields: RawFields): boolean {
  const units = listMembers(fieldValue(fields, 'accept-ranges') ?? '');
  return units.some((unit) => unit.toLowerCase() === 'bytes');
}

/** Current age (RFC 9111 4.2.3). A clock that was set back does not make the response younger. */
export function ageMs(
  head: { readonly responseMs: number; readonly initialAgeMs: number },
  nowMs: number,
): number {
  return head.initialAgeMs + Math.max(0, nowMs - head.responseMs);
}

export type Freshness = 'fresh' | 'stale';

/** The part of a stored head that decides about reuse. */
export interface ReusableHead {
  readonly responseMs: number;
  readonly initialAgeMs: number;
  readonly freshUntilMs: number;
  readonly noCache: boolean;
  readonly mustRevalidate: boolean;
  readonly immutable: boolean;
}

export interface Reuse {
  /** By the lifetime alone, whatever the directives say. */
  readonly freshness: Freshness;
  /** May answer this request without asking the origin. */
  readonly usable: boolean;
  /** Time left; negative or zero when stale. */
  readonly ttlMs: number;
}

/**
 * Whether a stored response may answer a request as it stands. `request` holds what
 * `requestDirectives` reads; null where clients have no say.
 */
export function freshnessOf(head: ReusableHead, request: Directives | null, nowMs: number): Reuse {
  const ttlMs = head.freshUntilMs - Math.max(nowMs, head.responseMs);
  const isFresh = ttlMs > 0;
  const usable =
    !head.noCache &&
    (isFresh || (request !== null && acceptsStale(head, request, ttlMs))) &&
    (request === null || satisfies(head, request, ttlMs, nowMs));
  return { freshness: isFresh ? 'fresh' : 'stale', usable, ttlMs };
}

/**
 * Whether a response may be served although the origin could not validate it. `disconnected`: no
 * answer came; allowed up to `maximumStaleMs` past the lifetime. `error`: the origin answered with
 * an error; allowed only where it, the route or the request said so with stale-if-error. A response
 * that is still fresh was not in need of the origin, so must-revalidate does not concern it.
 * `request` as in `freshnessOf`.
 */
export function mayServeStale(
  head: {
    readonly mustRevalidate: boolean;
    readonly noCache: boolean;
    readonly freshUntilMs: number;
    readonly staleIfErrorUntilMs: number;
  },
  request: Directives | null,
  nowMs: number,
  why: 'disconnected' | 'error',
  maximumStaleMs: number,
): boolean {
  if (head.noCache) return false;
  if (nowMs < head.freshUntilMs) return true;
  if (head.mustRevalidate) return false;
  if (nowMs < head.staleIfErrorUntilMs) return true;
  const asked = request?.seconds('stale-if-error');
  if (typeof asked === 'number' && nowMs < head.freshUntilMs + asked * 1000) return true;
  return why === 'disconnected' && nowMs - head.freshUntilMs < maximumStaleMs;
}

// max-stale without a number takes any staleness; with one that cannot be read, none.
function acceptsStale(head: ReusableHead, request: Directives, ttlMs: number): boolean {
  if (head.mustRevalidate || !request.has('max-stale')) return false;
  if (request.all('max-stale').every((argument) => argument === true)) return true;
  const seconds = request.seconds('max-stale');
  return typeof seconds === 'number' && -ttlMs <= seconds * 1000;
}

// Numbers that cannot be read ask for validation. RFC 8246: a plain reload sends max-age=0, which
// does not concern an immutable response that is fresh; no-cache is the signal to validate it all
// the same.
function satisfies(head: ReusableHead, request: Directives, ttlMs: number, nowMs: number): boolean {
  if (request.has('no-cache')) return false;
  const maxAge = request.seconds('max-age');
  if (maxAge !== undefined && !(head.immutable && ttlMs > 0)) {
    if (maxAge === 'invalid' || ageMs(head, nowMs) > maxAge * 1000) return false;
  }
  const minFresh = request.seconds('min-fresh');
  return minFresh === undefined || (minFresh !== 'invalid' && ttlMs >= minFresh * 1000);
}
