// Conditional requests (RFC 9110 13, 15.4.5): a client's condition against a stored response, the
// condition that we send to validate one, and what a 304 of ours carries. If-Range is in range.ts,
// and what the answer to our own condition does to the stored fields is in merge.ts.

import { isWeakMatch, responseTag, tagMembers } from './entity-tag.js';
import { fieldLines, fieldValue, type RawFields } from './fields.js';
import { parseHttpDate } from './http-date.js';

/**
 * Whether the client has what is stored. Only for a stored 200 that may be used for this request.
 */
export function notModified(
  request: { readonly method: string; readonly fields: RawFields },
  stored: {
    readonly etag: string;
    readonly lastModifiedS: number | null;
    readonly dateS: number;
  },
  nowMs: number,
): boolean {
  if (request.method !== 'GET' && request.method !== 'HEAD') return false;
  const noneMatch = fieldValue(request.fields, 'if-none-match');
  if (noneMatch !== undefined) {
    // A star beside tags is malformed, and is compared like a tag.
    const tags = tagMembers(noneMatch);
    if (tags.length === 1 && tags[0] === '*') return true;
    return tags.some((tag) => isWeakMatch(tag, stored.etag));
  }
  const since = fieldValue(request.fields, 'if-modified-since');
  const sinceS = since === undefined ? null : parseHttpDate(since, nowMs);
  return sinceS !== null && (stored.lastModifiedS ?? stored.dateS) <= sinceS;
}

/** Conditions that the origin has to judge: such a request is never answered from the store. */
export function hasOriginPrecondition(fields: RawFields): boolean {
  return ['if-match', 'if-unmodified-since'].some((name) => fieldLines(fields, name).length > 0);
}

/** Whether the client may be told that it has the response already. */
export function hasCondition(fields: RawFields): boolean {
  return ['if-none-match', 'if-modified-since'].some((name) => fieldLines(fields, name).length > 0);
}

/** The condition that validates a stored response, with both validators exactly as they came. */
export function validationFields(stored: {
  readonly etag: string;
  readonly fields: RawFields;
}): string[] {
  const condition: string[] = [];
  if (stored.etag !== '') condition.push('If-None-Match', stored.etag);
  const lastModified = fieldLines(stored.fields, 'last-modified');
  if (lastModified.length === 1) condition.push('If-Modified-Since', lastModified[0]!);
  return condition;
}

const keptNames: ReadonlySet<string> = new Set([
  'age',
  'cache-control',
  'cache-status',
  'content-location',
  'date',
  'etag',
  'expires',
  'timing-allow-origin',
  'vary',
  'via',
]);

/**
 * What a 304 keeps of the fields of the 200: what caches need, and what a browser checks before it
 * lets a page see even a validated response. The client has the rest.
 */
export function notModifiedFields(fields: RawFields): string[] {
  const hasTag = responseTag(fields) !== '';
  const kept: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!.toLowerCase();
    const isKept =
      keptNames.has(name) ||
      (name === 'last-modified' && !hasTag) ||
      name.endsWith('-cache-control') ||
      name.startsWith('access-control-') ||
      name.startsWith('cross-origin-');
    if (isKept) kept.push(fields[i]!, fields[i + 1]!);
  }
  return kept;
}
