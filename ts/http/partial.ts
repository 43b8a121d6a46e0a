// 206 responses as parts of a stored body (RFC 9110 15.3.7, RFC 9111 3.3, 3.4): whether one can be stored at
// all, and whether it belongs to what is stored already.

import { isStrongTag, responseTag } from './entity-tag.js';
import { fieldLines, fieldValue, type RawFields, withoutField } from './fields.js';
import { parseContentRange } from './range.js';

/** Bytes [start, end) of a body of `length`. */
export interface Part {
  readonly start: number;
  readonly end: number;
  readonly length: number;
}

/**
 * What a 206 holds; null where that is not said without doubt, or where nothing identifies the version that
 * it is a part of.
 */
export function partOf(fields: RawFields): Part | null {
  const lines = fieldLines(fields, 'content-range');
  const range = lines.length === 1 ? parseContentRange(lines[0]!) : null;
  if (range === null || range.length === null) return null;
  if (!isStrongTag(responseTag(fields))) return null;
  const size = fieldValue(fields, 'content-length');
  if (size !== undefined && size !== `${range.end - range.start + 1}`) return null;
  return { start: range.start, end: range.end + 1, length: range.length };
}

/** Whether a part belongs to the stored version: the same strong tag, the same coding, the same length. */
export function belongsTo(
  stored: {
    readonly etag: string;
    readonly bodyLength: number | null;
    readonly fields: RawFields;
  },
  fields: RawFields,
  part: Part,
): boolean {
  const tag = responseTag(fields);
  return (
    isStrongTag(tag) &&
    tag === stored.etag &&
    part.length === stored.bodyLength &&
    fieldValue(fields, 'content-encoding') === fieldValue(stored.fields, 'content-encoding')
  );
}

/** The fields that the whole has: without those that speak of the part. */
export function fieldsOfWhole(fields: RawFields): string[] {
  return withoutField(withoutField(fields, 'content-range'), 'content-length');
}
