// Surrogate-Key and Cache-Tag: names that an origin gives to a response, so that all responses of one name
// can be purged together. Meant for caches, not for clients.

import { fieldLines, type RawFields } from './fields.js';

/** Above what other caches take; a response with more could not be purged by all of its tags. */
export const tagsMax = 1000;

const names: ReadonlySet<string> = new Set(['surrogate-key', 'cache-tag']);

/** Null where there is no such field at all: a 304 then leaves the stored tags as they are. */
export function tagsOf(fields: RawFields): readonly string[] | null {
  const keys = fieldLines(fields, 'surrogate-key');
  const tags = fieldLines(fields, 'cache-tag');
  if (keys.length === 0 && tags.length === 0) return null;
  const found = new Set<string>();
  for (const line of keys) for (const key of line.split(/[ \t]+/)) found.add(key);
  for (const line of tags)
    for (const tag of line.split(',')) found.add(tag.replace(/^[ \t]+|[ \t]+$/g, ''));
  found.delete('');
  return [...found];
}

/** The fields without those that name tags. */
export function withoutTags(fields: RawFields): RawFields {
  let kept: string[] | null = null;
  for (let at = 0; at < fields.length; at += 2) {
    const isTag = names.has(fields[at]!.toLowerCase());
    if (isTag) kept ??= fields.slice(0, at);
    else kept?.push(fields[at]!, fields[at + 1]!);
  }
  return kept ?? fields;
}
