// What forbids that a shared cache stores a response, rule by rule (RFC 9111 3, 3.5, 5.2.2). Used
// by freshness.ts, which reads the fields and chooses the lifetime. Permissions count only where
// the text was read without doubt, prohibitions always.

import { type Directives, requestDirectives } from './cache-control.js';
import { fieldLines, fieldValue, isToken, type RawFields } from './fields.js';

/** Why a response is not stored; docs/reference/cache-status.md explains each. */
export const refusals = [
  'method',
  'request-body',
  'status',
  'partial',
  'request-no-store',
  'must-understand',
  'no-store',
  'private',
  'vary-star',
  'vary-invalid',
  'authorization',
  'access',
  'set-cookie',
  'no-lifetime',
  'no-validator',
] as const;

/** '': it is stored. */
export type Refusal = '' | (typeof refusals)[number];

const reasonsOfRequest: ReadonlySet<string> = new Set<Refusal>([
  'method',
  'request-body',
  'request-no-store',
  'authorization',
  'access',
]);

/** Fields by which clients show who they are, where a route has the origin confirm them. */
export const credentialFields = ['authorization', 'cookie'] as const;

/** The reason lies in this request: it says nothing about what is stored, or what others get. */
export function isReasonOfRequest(reason: string): boolean {
  return reasonsOfRequest.has(reason);
}

// RFC 9110 15.1, without 206: parts are not stored.
export const heuristicStatuses: ReadonlySet<number> = new Set([
  200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501,
]);
// Their caching rules are nothing beyond explicit freshness, which is implemented.
const understoodStatuses: ReadonlySet<number> = new Set([...heuristicStatuses, 302, 303, 307]);
// Answers to a condition, a range or an expectation of one request, to its size, its pace or the way it
// came: none of that is part of the key, so one client could have others refused for as long as it likes.
const requestBoundStatuses: ReadonlySet<number> = new Set([
  ...[304, 408, 411, 412, 413, 416, 417, 421, 425, 431],
]);

/** What a route decides where HTTP leaves the choice. */
export interface StoreRules {
  /** Cache-Control of requests has no say, so its no-store neither. */
  readonly ignoreRequestDirectives: boolean;
  /**
   * store: what sets cookies is stored where its origin meant it for all. refuse: never. strip: like
   * anything else, without the field.
   */
  readonly setCookie: 'store' | 'refuse' | 'strip';
  /**
   * standard: answers to a request with Authorization are stored where the response permits it. refuse:
   * never. share: like any other, for origins that let in everybody whom they let in at all. confirm: like
   * any other, because the origin is asked whom it lets in before each use; nothing but successes.
   */
  readonly authorization: 'standard' | 'refuse' | 'share' | 'confirm';
}

/** What the rules look at. */
export interface Subject {
  readonly rules: StoreRules;
  readonly method: string;
  readonly status: number;
  readonly request: RawFields;
  readonly response: RawFields;
  readonly directives: Directives;
  readonly vary: readonly string[];
  readonly authorized: boolean;
  readonly hasSetCookie: boolean;
}

export interface Lifetime {
  readonly ms: number;
  /** The response may be stored for the lifetime's sake: even 0 counts where it is explicit. */
  readonly isAllowed: boolean;
  /** What the origin itself gave; null where it gave none. */
  readonly explicitMs: number | null;
  readonly isOverridden: boolean;
  /** Assumed from Last-Modified, or assumed to be none. */
  readonly isHeuristic: boolean;
}

/** How a later request could use the response. */
export interface LaterUse {
  readonly canValidate: boolean;
  /** Never without asking the origin: no-cache. */
  readonly mustValidate: boolean;
  /** The origin permits it past its lifetime. */
  readonly mayBeStale: boolean;
}

/** What forbids storing whatever the lifetime is. */
export function refusalOf(subject: Subject): Refusal {
  const { directives, status } = subject;
  if (subject.method !== 'GET') return 'method';
  if (hasBody(subject.request)) return 'request-body';
  if (status === 206) return 'partial';
  if (status < 200 || status > 599 || requestBoundStatuses.has(status)) return 'status';
  const { rules } = subject;
  if (!rules.ignoreRequestDirectives && requestDirectives(subject.request).has('no-store')) {
    return 'request-no-store';
  }
  const mustUnderstand = directives.has('must-understand');
  if (mustUnderstand && !understoodStatuses.has(status)) return 'must-understand';
  if (directives.has('no-store') && !directives.allows('must-understand')) return 'no-store';
  // A list of fields in `private` is treated as if it were not there: safer, and allowed.
  if (directives.has('private')) return 'private';
  if (subject.vary.includes('*')) return 'vary-star';
  if (!subject.vary.every(isToken)) return 'vary-invalid';
  if (subject.authorized && !allowsAuthorized(subject)) return 'authorization';
  // An error may be about who asked, and must not take the place of what others may have.
  if (rules.authorization === 'confirm' && status >= 400) return 'access';
  return '';
}

/** What forbids storing for want of a lifetime, or of any use in a later request. */
export function gainRefusal(subject: Subject, lifetime: Lifetime, use: LaterUse): Refusal {
  // A careless origin sets cookies on anything: only an origin that meant to be cached is believed.
  const isExplicit = lifetime.explicitMs !== null && lifetime.explicitMs > 0;
  const isMeantForAll = isExplicit || subject.directives.allows('public');
  const isBelieved = subject.rules.setCookie !== 'refuse' && !lifetime.isHeuristic && isMeantForAll;
  if (subject.hasSetCookie && !isBelieved) return 'set-cookie';
  if (!lifetime.isAllowed) return 'no-lifetime';
  if (use.canValidate) return '';
  if (use.mustValidate) return 'no-validator';
  return lifetime.ms > 0 || use.mayBeStale ? '' : 'no-lifetime';
}

function allowsAuthorized({ rules, directives }: Subject): boolean {
  if (rules.authorization !== 'standard') return rules.authorization !== 'refuse';
  return (
    directives.allows('public') ||
    directives.allows('must-revalidate') ||
    typeof directives.seconds('s-maxage') === 'number'
  );
}

// A body could choose the response without being part of the key.
function hasBody(request: RawFields): boolean {
  const length = fieldValue(request, 'content-length');
  if (fieldLines(request, 'transfer-encoding').length > 0) return true;
  return length !== undefined && !/^0+$/.test(length);
}
