// What the cache did, told to the client: Cache-Status (RFC 9211) for programs, X-Cache for the
// eye. Both are made from the same facts, so they cannot disagree.
// Which facts hold is decided in the steps of the exchange, not here.

import { parseList } from 'structured-headers';

/** Why a request went to the origin; the words of RFC 9211 2.2. */
export type ForwardReason =
  | 'uri-miss'
  | 'vary-miss'
  | 'stale'
  | 'request'
  | 'method'
  | 'bypass'
  | 'miss'
  | 'partial';

export interface CacheHandling {
  /** Answered from the store without the origin. Everything about forwarding is then left out. */
  readonly hit: boolean;
  readonly forward?: ForwardReason;
  /** The origin's status, where it differs from the one that is sent. */
  readonly forwardStatus?: number;
  readonly stored?: boolean;
  /** Joined a fetch that another request had started. */
  readonly collapsed?: boolean;
  /** Seconds of lifetime left; negative when stale. */
  readonly ttlS?: number;
  /** The stored response is served, stale, because the origin failed. */
  readonly isStandIn?: boolean;
  /** An error of ours: whatever was asked, what is sent came neither from the store nor from the origin. */
  readonly isOwnAnswer?: boolean;
  /** Only where the route tells it. */
  readonly key?: string;
  readonly detail?: string;
}

/**
 * HIT: from the store, fresh. STALE: from the store, past its lifetime. REVALIDATED: the origin
 * said that the stored response still holds. EXPIRED: the stored response was stale and the origin
 * sent a new one. MISS: the origin was asked because nothing stored would do. BYPASS: the store was
 * not asked. NONE: neither store nor origin answered.
 */
export type CacheWord = 'HIT' | 'STALE' | 'REVALIDATED' | 'EXPIRED' | 'MISS' | 'BYPASS' | 'NONE';

const cacheName = 'millrace';

/** The field's value: what the caches before us said, then our member. */
export function cacheStatus(upstream: string | undefined, member: CacheHandling): string {
  const parts = [cacheName];
  if (member.hit) parts.push('hit');
  else parts.push(...forwardParts(member));
  const { ttlS = Number.NaN } = member;
  if (Number.isFinite(ttlS)) parts.push(`ttl=${boundedInteger(ttlS)}`);
  if (member.key !== undefined) parts.push(`key=${quoted(member.key)}`);
  if (member.detail !== undefined) parts.push(`detail=${tokenOrString(member.detail)}`);
  const own = parts.join('; ');
  // Beside a list that cannot be read ours could not be read either.
  return upstream !== undefined && isFilledList(upstream) ? `${upstream}, ${own}` : own;
}

/** The value of X-Cache. */
export function xCache(member: CacheHandling): CacheWord {
  if (member.isOwnAnswer === true) return 'NONE';
  if (member.isStandIn === true) return 'STALE';
  if (member.hit) return member.ttlS !== undefined && member.ttlS < 0 ? 'STALE' : 'HIT';
  switch (member.forward) {
    case undefined:
      return 'NONE';
    case 'bypass':
    case 'method':
      return 'BYPASS';
    case 'stale':
      return member.forwardStatus === 304 ? 'REVALIDATED' : 'EXPIRED';
    case 'request':
    case 'vary-miss':
      return member.forwardStatus === 304 ? 'REVALIDATED' : 'MISS';
    default:
      return 'MISS';
  }
}

function forwardParts(member: CacheHandling): string[] {
  if (member.forward === undefined) return [];
  const parts = [`fwd=${member.forward}`];
  if (member.forwardStatus !== undefined) parts.push(`fwd-status=${member.forwardStatus}`);
  if (member.stored === true) parts.push('stored');
  if (member.collapsed === true) parts.push('collapsed');
  return parts;
}

// Rounded down, so that a response a moment past its lifetime shows -1 and not 0. Structured fields
// have at most fifteen digits.
function boundedInteger(seconds: number): number {
  const limit = 999_999_999_999_999;
  return Math.min(Math.max(Math.floor(seconds), -limit), limit);
}

function tokenOrString(text: string): string {
  if (/^[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*$/.test(text)) return text;
  return quoted(text);
}

function quoted(text: string): string {
  const printable = text.replace(/[^\x20-\x7e]/g, '?');
  return `"${printable.replace(/["\\]/g, '\\$&')}"`;
}

/** Whether a member may be put behind it. */
export function isFilledList(value: string): boolean {
  try {
    return parseList(value).length > 0;
  } catch {
    return false;
  }
}
