// Which part of a body an exchange needs from its origin, where it does not need the whole: a range of what
// is not stored at all, or the bytes that an incomplete object lacks. Requests are made of whole chunks, so
// that what one client asks for serves the next one.

import { isStrongTag, responseTag } from '../http/entity-tag.js';
import { fieldValue, type RawFields, withoutField } from '../http/fields.js';
import { belongsTo, type Part } from '../http/partial.js';
import { type BytePart, chooseRange, rangesMax } from '../http/range.js';
import type { Fill, StoredObject } from '../store/contract.js';
import { type Head, headFlags } from '../store/entry.js';
import type { UpstreamResponse } from '../upstream/request.js';
import type { Exchange } from './exchange.js';
import { type Claim, type PartTable, versionOf } from './part-table.js';
import { chunkBegin, chunkEnd, chunkSize, type Slicing, sliceEnd } from './slicing.js';

/** Bytes that an incomplete object lacks. */
export interface Gap {
  /** The first one that is needed; missing. */
  readonly from: number;
  /** What is needed ends here. */
  readonly until: number;
  /** Missing from here on: the beginning of its chunk, or the end of what is there of it. */
  readonly front: number;
}

export interface PartRequest {
  /** Range, and If-Range. */
  readonly condition: RawFields;
  /** Bytes [start, end) of a known version; null: not planned yet, or nothing is known. */
  readonly wanted: Claim | null;
  /** The incomplete object that lacks them; null: nothing is stored. */
  readonly known: StoredObject | null;
  /** Why it is asked for; null where nothing is known. */
  readonly gap: Gap | null;
}

/** How often an exchange looks whether others have fetched its part meanwhile. */
export const lookupsMax = 4;
/** A part renews the head of its object, but none of many at a time. */
const renewedAfterMs = 1000;

export function isIncomplete(object: StoredObject): boolean {
  return (object.head.flags & headFlags.incomplete) !== 0;
}

/**
 * The chunks around the client's own range of what is not stored; of several ranges those of the one that
 * begins first, after which the length is known. Null where there is none, or too many.
 */
export function rangeRequest({ fields }: Exchange, slicing: Slicing): PartRequest | null {
  const range = fieldValue(fields, 'range') ?? '';
  if (!/^bytes=/i.test(range)) return null;
  const members = range.slice(range.indexOf('=') + 1).split(',');
  if (members.length > rangesMax) return null;
  let first: { start: number; end: number | null } | null = null;
  let suffix: string | null = null;
  for (const member of members) {
    const match = /^\s*(?:(\d{1,15})-(\d{1,15})?|(-\d{1,15}))\s*$/.exec(member);
    if (match === null) return null;
    if (match[1] === undefined) {
      suffix ??= match[3]!;
      continue;
    }
    const start = Number(match[1]);
    const end = match[2] === undefined ? null : Number(match[2]) + 1;
    if (end !== null && end <= start) return null;
    if (first === null || start < first.start) first = { start, end };
  }
  const ifRange = fieldValue(fields, 'if-range');
  const bytes = first === null ? suffix! : aroundChunks(first, slicing);
  return {
    condition: ['Range', `bytes=${bytes}`, ...(ifRange === undefined ? [] : ['If-Range', ifRange])],
    wanted: null,
    known: null,
    gap: null,
  };
}

function aroundChunks(
  { start, end }: { readonly start: number; readonly end: number | null },
  { sliceBytes }: Slicing,
): string {
  const from = chunkBegin(start);
  const until = Math.min(
    end === null ? Number.MAX_SAFE_INTEGER : chunkEnd(end),
    sliceEnd(start, sliceBytes),
  );
  return `${from}-${until === Number.MAX_SAFE_INTEGER ? '' : until - 1}`;
}

/** What an incomplete object lacks first for the answer to this request; null: nothing. */
export async function lackOf(
  exchange: Exchange,
  object: StoredObject,
): Promise<PartRequest | null> {
  for (const { start, end } of neededOf(exchange, object)) {
    const from = await object.storedEnd(start, end + 1);
    if (from > end) continue;
    const gap = await gapAt(object, from, end + 1);
    return { condition: [], wanted: null, known: object, gap };
  }
  return null;
}

function neededOf(
  { method, fields, services }: Exchange,
  object: StoredObject,
): readonly BytePart[] {
  const length = object.head.bodyLength ?? 0;
  const choice = chooseRange({ method, fields }, length, object.head, services.clock.now());
  switch (choice.kind) {
    case 'unsatisfiable':
      return [];
    case 'whole':
      return [{ start: 0, end: length - 1 }];
    case 'part':
      return [choice];
    case 'parts':
      return choice.parts;
  }
}

/** `from` is missing. A chunk has one piece: what is fetched behind that begins at its end. */
export async function gapAt(object: StoredObject, from: number, until: number): Promise<Gap> {
  const begin = chunkBegin(from);
  const before = object.missingEnd(begin, from);
  const front = before < from ? Math.min(from, await object.storedEnd(before, from)) : begin;
  return { from, until, front };
}

/** Bytes around the gap's first one that nobody brings: whole chunks, as far as they are missing. */
export function plannedPart(
  parts: PartTable,
  known: StoredObject,
  gap: Gap,
  { sliceBytes }: Slicing,
): PartRequest {
  const { from, until } = gap;
  const length = known.head.bodyLength ?? Number.MAX_SAFE_INTEGER;
  const furthest = Math.min(chunkEnd(until), sliceEnd(from, sliceBytes), length);
  const reach = { start: gap.front, end: furthest };
  const room = parts.roomAt(versionOf(known.key, known.head), from, reach);
  const end = Math.max(from + 1, known.missingEnd(from, room.end));
  const wanted = { start: room.start, end };
  return {
    condition: ['Range', `bytes=${wanted.start}-${end - 1}`, 'If-Range', known.head.etag],
    wanted,
    known,
    gap,
  };
}

/**
 * What a 206 is to the request: of the known version and what it lacks, or enough of that; the first part of
 * a version, which has what the client asked for first; or neither.
 */
export function fitOf(
  exchange: Exchange,
  { known, wanted }: PartRequest,
  response: UpstreamResponse,
  part: Part,
): 'known' | 'new' | 'none' {
  if (known === null) return 'new';
  const isOfKnown =
    known.purgeState() !== 'gone' &&
    belongsTo(known.head, response.fields, part) &&
    wanted !== null;
  if (isOfKnown) {
    const enough = Math.min(wanted.end, wanted.start + chunkSize);
    return part.start <= wanted.start && part.end >= enough ? 'known' : 'none';
  }
  // Sent although If-Range was: the version is another one by now, and of what is stored nothing counts.
  const { method, fields, services } = exchange;
  const version = { etag: responseTag(response.fields), lastModifiedS: null, dateS: 0 };
  const choice = chooseRange({ method, fields }, part.length, version, services.clock.now());
  const isWithin = choice.kind === 'part' && choice.start >= part.start && choice.start < part.end;
  return isWithin ? 'new' : 'none';
}

/** A 200 to a request for a part, although the version is the one that was asked for, or any would do. */
export function hasNoRanges(
  { known, condition }: PartRequest,
  response: UpstreamResponse,
): boolean {
  if (known === null) return fieldValue(condition, 'if-range') === undefined;
  const tag = responseTag(response.fields);
  return isStrongTag(tag) && tag === known.head.etag;
}

/** The newest fields are those of the whole object. Of a body in many parts each one says the same. */
export function renewHead(
  { services }: Exchange,
  known: StoredObject,
  fill: Fill,
  { head, encoded, isLate }: { head: Head; encoded: Uint8Array; isLate: boolean },
): void {
  const isSoon = head.responseMs - known.head.responseMs < renewedAfterMs;
  if ((isLate || isSoon) && textOf(known.head) === textOf(head)) return;
  try {
    services.store!.refresh(known, encoded, fill);
  } catch {
    // No page for it, or purged or replaced meanwhile: what is stored keeps its own head.
  }
}

function textOf({ fields }: Head): string {
  return withoutField(withoutField(fields, 'date'), 'age').join('\n');
}
