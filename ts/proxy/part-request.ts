// Which part of a body an exchange needs from its origin, where it does not need the whole: a range of what
// is not stored at all, or the bytes that an incomplete object lacks.

import { responseTag } from '../http/entity-tag.js';
import { fieldValue, type RawFields } from '../http/fields.js';
import { belongsTo, type Part } from '../http/partial.js';
import { chooseRange } from '../http/range.js';
import type { StoredObject } from '../store/contract.js';
import { headFlags } from '../store/entry.js';
import type { UpstreamResponse } from '../upstream/request.js';
import type { Exchange } from './exchange.js';

export interface PartRequest {
  /** Range, and If-Range. */
  readonly condition: RawFields;
  /** Bytes [start, end) as far as the request tells; null: only the origin can say which. */
  readonly wanted: { readonly start: number; readonly end: number } | null;
  /** The incomplete object that lacks them; null: nothing is stored. */
  readonly known: StoredObject | null;
}

/** How often an exchange looks whether others have fetched its part meanwhile. */
export const lookupsMax = 4;
/** Gaps that are looked for; what lies between more of them is fetched along. */
const gapsMax = 64;
const chunkSize = 1024 * 1024;

export function isIncomplete(object: StoredObject): boolean {
  return (object.head.flags & headFlags.incomplete) !== 0;
}

/** The client's own range of what is not stored; null where it asks for more than one, or for none. */
export function rangeRequest({ fields }: Exchange): PartRequest | null {
  const range = fieldValue(fields, 'range');
  const match = /^bytes=(?:(\d{1,15})-(\d{1,15})?|-\d{1,15})$/i.exec(range ?? '');
  if (range === undefined || match === null) return null;
  const start = match[1] === undefined ? null : Number(match[1]);
  const end = match[2] === undefined ? null : Number(match[2]) + 1;
  if (start !== null && end !== null && end <= start) return null;
  const ifRange = fieldValue(fields, 'if-range');
  return {
    condition: ['Range', range, ...(ifRange === undefined ? [] : ['If-Range', ifRange])],
    wanted: start === null ? null : { start, end: end ?? Number.MAX_SAFE_INTEGER },
    known: null,
  };
}

export type Lack =
  /** Everything that the answer needs is stored. */
  | { readonly kind: 'nothing' }
  | { readonly kind: 'part'; readonly part: PartRequest }
  /** Several parts, not all of which are stored. */
  | { readonly kind: 'parts' };

/** What an incomplete object lacks for the answer to this request. */
export async function lackOf(exchange: Exchange, object: StoredObject): Promise<Lack> {
  const { method, fields, services } = exchange;
  const length = object.head.bodyLength ?? 0;
  const choice = chooseRange({ method, fields }, length, object.head, services.clock.now());
  switch (choice.kind) {
    case 'unsatisfiable':
      return { kind: 'nothing' };
    case 'whole':
      return missingOf(object, 0, length);
    case 'part':
      return missingOf(object, choice.start, choice.end + 1);
    case 'parts':
      for (const { start, end } of choice.parts) {
        if ((await object.storedEnd(start, end + 1)) <= end) return { kind: 'parts' };
      }
      return { kind: 'nothing' };
  }
}

/** From the first missing byte to the last one: one request to the origin. */
async function missingOf(object: StoredObject, start: number, end: number): Promise<Lack> {
  const first = await object.storedEnd(start, end);
  if (first >= end) return { kind: 'nothing' };
  let last = end;
  for (let at = first, gaps = 0; at < end; gaps += 1) {
    if (gaps === gapsMax) {
      last = end;
      break;
    }
    last = object.missingEnd(at, end);
    at = await object.storedEnd(last, end);
  }
  const wanted = await bridged(object, first, last);
  const condition = [
    'Range',
    `bytes=${wanted.start}-${wanted.end - 1}`,
    'If-Range',
    object.head.etag,
  ];
  return { kind: 'part', part: { condition, wanted, known: object } };
}

/** A chunk has one piece: what is fetched of it reaches to the piece that it has. */
async function bridged(
  object: StoredObject,
  start: number,
  end: number,
): Promise<{ start: number; end: number }> {
  const chunkBegin = start - (start % chunkSize);
  let from = start;
  const before = object.missingEnd(chunkBegin, start);
  if (before < start) from = Math.min(start, await object.storedEnd(before, start));
  const chunkEnd = Math.min(
    Math.ceil(end / chunkSize) * chunkSize,
    object.head.bodyLength ?? Number.MAX_SAFE_INTEGER,
  );
  const behind = object.missingEnd(end, chunkEnd);
  return { start: from, end: behind < chunkEnd ? behind : end };
}

/**
 * What a 206 is to the request: of the known version and all that it lacks; the first part of a version,
 * which has all that the client asked for; or neither.
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
  if (isOfKnown) return part.start <= wanted.start && part.end >= wanted.end ? 'known' : 'none';
  // Sent although If-Range was: the version is another one by now, and of what is stored nothing counts.
  const { method, fields, services } = exchange;
  const version = { etag: responseTag(response.fields), lastModifiedS: null, dateS: 0 };
  const choice = chooseRange({ method, fields }, part.length, version, services.clock.now());
  const isWithin = choice.kind === 'part' && choice.start >= part.start && choice.end < part.end;
  return isWithin ? 'new' : 'none';
}
