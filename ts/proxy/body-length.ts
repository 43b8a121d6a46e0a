// How long the body of a response is by its framing, and whether it is too much for the store.

import { fieldValue, type RawFields } from '../http/fields.js';
import { tagsMax, tagsOf } from '../http/tags.js';
import type { UpstreamResponse } from '../upstream/request.js';

/** What is too large to store, or has more tags than a head holds: it could not be purged by all. */
export function sizeRefusal(response: UpstreamResponse, largestBody: number): string {
  if ((bodyLengthOf(response) ?? 0) > largestBody) return 'too-large';
  return (tagsOf(response.fields)?.length ?? 0) > tagsMax ? 'too-many-tags' : '';
}

/** The length that the framing tells; null where the body ends with a last chunk or the connection. */
export function bodyLengthOf(response: {
  readonly status: number;
  readonly fields: RawFields;
}): number | null {
  if (response.status === 204 || response.status === 205) return 0;
  if (fieldValue(response.fields, 'transfer-encoding') !== undefined) return null;
  const length = fieldValue(response.fields, 'content-length');
  return length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : null;
}
