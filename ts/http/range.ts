// Range, If-Range and Content-Range (RFC 9110 14, 13.1.5) for byte ranges. Whatever is not a
// well-formed set of them, or an absurd one, is answered with the whole. Written out because
// range-parser counts a suffix longer than the body, and a range whose end is before its start, as
// unsatisfiable.

import { isStrongDate, isStrongMatch } from './entity-tag.js';
import { fieldValue, type RawFields, trimmed } from './fields.js';
import { parseHttpDate } from './http-date.js';

/** `end` is the last byte that belongs to it. */
export interface BytePart {
  readonly start: number;
  readonly end: number;
}

export type RangeChoice =
  | { readonly kind: 'whole' }
  | ({ readonly kind: 'part' } & BytePart)
  /** At least two that neither overlap nor touch, in the order of the request. */
  | { readonly kind: 'parts'; readonly parts: readonly BytePart[] }
  | { readonly kind: 'unsatisfiable' };

interface StoredValidators {
  readonly etag: string;
  readonly lastModifiedS: number | null;
  readonly dateS: number;
}

const whole: RangeChoice = { kind: 'whole' };
const unsatisfiable: RangeChoice = { kind: 'unsatisfiable' };

/** No honest client needs more at once: each costs a search, a head and a read. */
export const rangesMax = 32;
/** Those that ask for the same bytes more often than this are not meant well (RFC 9110 14.2). */
const overlapsMax = 2;

/**
 * Which bytes of a complete body answer this request. If-None-Match and the like are judged before.
 */
export function chooseRange(
  request: { readonly method: string; readonly fields: RawFields },
  length: number,
  stored: StoredValidators,
  nowMs: number,
): RangeChoice {
  if (request.method !== 'GET') return whole;
  const range = fieldValue(request.fields, 'range');
  if (range === undefined) return whole;
  const condition = fieldValue(request.fields, 'if-range');
  if (condition !== undefined && !isSameVersion(condition, stored, nowMs)) return whole;
  const equals = range.indexOf('=');
  if (equals === -1 || range.slice(0, equals).toLowerCase() !== 'bytes') return whole;
  const members = range
    .slice(equals + 1)
    .split(',')
    .map(trimmed);
  const given = members.filter((member) => member !== '');
  return given.length === 1 ? chooseBytes(given[0]!, length) : chooseParts(given, length);
}

function chooseParts(members: readonly string[], length: number): RangeChoice {
  if (members.length === 0 || members.length > rangesMax) return whole;
  const parts: BytePart[] = [];
  let overlaps = 0;
  for (const member of members) {
    const choice = chooseBytes(member, length);
    if (choice.kind === 'whole') return whole;
    if (choice.kind !== 'part') continue;
    if (parts.some((part) => isOverlapping(part, choice))) overlaps += 1;
    parts.push({ start: choice.start, end: choice.end });
  }
  if (overlaps > overlapsMax) return whole;
  const [first, ...others] = coalesced(parts);
  if (first === undefined) return unsatisfiable;
  return others.length === 0
    ? { kind: 'part', ...first }
    : { kind: 'parts', parts: [first, ...others] };
}

function isOverlapping(left: BytePart, right: BytePart): boolean {
  return left.start <= right.end && right.start <= left.end;
}

/** Those that overlap or touch become one, in the place of the first of them. */
function coalesced(parts: readonly BytePart[]): BytePart[] {
  let joined: BytePart[] = [];
  for (const part of parts) {
    let { start, end } = part;
    const touches = (other: BytePart) => other.start <= end + 1 && start <= other.end + 1;
    let at = joined.length;
    // What one touches may make it touch another that it did not before.
    for (let found = joined.findIndex(touches); found >= 0; found = joined.findIndex(touches)) {
      start = Math.min(start, joined[found]!.start);
      end = Math.max(end, joined[found]!.end);
      at = Math.min(at, found);
      joined = joined.toSpliced(found, 1);
    }
    joined.splice(at, 0, { start, end });
  }
  return joined;
}

export function contentRange(start: number, end: number, length: number): string {
  return `bytes ${start}-${end}/${length}`;
}

export function unsatisfiedRange(length: number): string {
  return `bytes */${length}`;
}

/** The interval of a 206; null for anything that is not a valid one with exact numbers. */
export function parseContentRange(
  value: string,
): { start: number; end: number; length: number | null } | null {
  const match = /^bytes ([0-9]+)-([0-9]+)\/([0-9]+|\*)$/i.exec(value);
  if (match === null) return null;
  const start = Number(match[1]);
  const end = Number(match[2]);
  const length = match[3] === '*' ? null : Number(match[3]);
  const isExact = [start, end, length ?? 0].every(Number.isSafeInteger);
  if (!isExact || end < start || (length !== null && end >= length)) return null;
  return { start, end, length };
}

function chooseBytes(member: string, length: number): RangeChoice {
  const match = /^([0-9]*)-([0-9]*)$/.exec(member);
  if (match === null) return whole;
  const [, first = '', last = ''] = match;
  if (first === '') return last === '' ? whole : chooseSuffix(Number(last), length);
  // Beyond 2^53 two different numbers may look the same.
  if (last !== '' && BigInt(last) < BigInt(first)) return whole;
  const start = Number(first);
  if (start >= length) return unsatisfiable;
  const end = last === '' ? length - 1 : Math.min(Number(last), length - 1);
  return { kind: 'part', start, end };
}

function chooseSuffix(count: number, length: number): RangeChoice {
  if (count === 0) return unsatisfiable;
  // The last bytes of nothing: satisfiable, but no Content-Range can say so.
  if (length === 0) return whole;
  return { kind: 'part', start: Math.max(0, length - count), end: length - 1 };
}

// Strong comparison only: parts of two versions must never be put together.
function isSameVersion(condition: string, stored: StoredValidators, nowMs: number): boolean {
  if (isStrongMatch(condition, stored.etag)) return true;
  const { lastModifiedS } = stored;
  if (lastModifiedS === null || !isStrongDate(lastModifiedS, stored.dateS)) return false;
  return parseHttpDate(condition, nowMs) === lastModifiedS;
}
