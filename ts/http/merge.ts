// What a 304 does to a stored response (RFC 9111 3.2, 4.3.4): whether it speaks of that response at
// all, and which of its fields take the place of the stored ones. The caller judges the result
// anew.

import { isWeakMatch, responseTag } from './entity-tag.js';
import { fieldLines, fieldValue, type RawFields } from './fields.js';
import { withoutHopByHop } from './hop-by-hop.js';
import { dateField } from './lifetime.js';

// They describe the stored body, which the 304 does not replace.
const bodyBound: ReadonlySet<string> = new Set([
  'content-encoding',
  'content-length',
  'content-range',
]);

// The age starts anew with the 304. If it has no Date, its time of receipt counts, and without Age
// it is new: the old values would make the response look as old as the one that it freshens.
const restarted: ReadonlySet<string> = new Set(['age', 'date']);

/** The stored fields with those of the 304 in place of all stored ones of the same name. */
export function mergeNotModified(stored: RawFields, answer: RawFields): string[] {
  const added: string[] = [];
  const replaced = new Set<string>(restarted);
  const passed = withoutHopByHop(answer);
  for (let i = 0; i < passed.length; i += 2) {
    const name = passed[i]!.toLowerCase();
    if (bodyBound.has(name)) continue;
    replaced.add(name);
    added.push(passed[i]!, passed[i + 1]!);
  }
  const kept: string[] = [];
  for (let i = 0; i < stored.length; i += 2) {
    if (!replaced.has(stored[i]!.toLowerCase())) kept.push(stored[i]!, stored[i + 1]!);
  }
  return [...kept, ...added];
}

/**
 * Whether a 304 validates this stored response, the only one that our condition named. A strong tag
 * must be the same; a weak one matches weakly; without a tag the dates are compared; without any
 * validator the answer can mean nothing else.
 */
export function matchesStored(
  stored: { readonly etag: string; readonly lastModifiedS: number | null },
  answer: RawFields,
  nowMs: number,
): boolean {
  const tags = fieldLines(answer, 'etag');
  const tag = responseTag(answer);
  // Several tags that contradict each other name nothing.
  if (tags.length > 1) return false;
  if (tag.startsWith('W/')) return isWeakMatch(tag, stored.etag);
  // A tag without quotes is neither strong nor weak; like a strong one it can only be the very same.
  if (tag !== '' && stored.etag !== '') return tag === stored.etag;
  const lastModifiedS = dateField(answer, 'last-modified', nowMs);
  if (lastModifiedS !== null) return lastModifiedS === stored.lastModifiedS;
  return tag === '';
}

/**
 * Whether a 200 to HEAD shows that the stored response to GET is out of date: an ETag, Last-Modified or
 * Content-Length that differs. What it does not say contradicts nothing.
 */
export function contradicts(
  stored: {
    readonly etag: string;
    readonly lastModifiedS: number | null;
    readonly bodyLength: number | null;
  },
  answer: RawFields,
  nowMs: number,
): boolean {
  if (fieldLines(answer, 'etag').length > 0 && responseTag(answer) !== stored.etag) return true;
  const dates = fieldLines(answer, 'last-modified');
  if (dates.length > 0 && dateField(answer, 'last-modified', nowMs) !== stored.lastModifiedS) {
    return true;
  }
  const length = fieldValue(answer, 'content-length');
  return length !== undefined && length !== `${stored.bodyLength}`;
}
