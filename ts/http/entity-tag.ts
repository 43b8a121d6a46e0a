// Entity tags (RFC 9110 8.8.3): compared byte for byte, never unescaped, never changed. Tags that
// origins send without quotes are kept as they are; they equal only themselves. Also the one rule
// that makes a Last-Modified date a strong validator.

import { fieldLines, type RawFields, trimmed } from './fields.js';

// Two versions within one second share a Last-Modified date. RFC 9110 8.8.2.2 wants proof that a
// second has passed on one clock; a minute keeps that true when Date and Last-Modified come from
// two clocks.
const strongDateGapS = 60;

/** The response's tag exactly as received; '' when there is none, or several that contradict. */
export function responseTag(fields: RawFields): string {
  const lines = fieldLines(fields, 'etag');
  return lines.length === 1 ? trimmed(lines[0]!) : '';
}

export function isStrongTag(tag: string): boolean {
  return tag.length >= 2 && /^"[^"]*"$/.test(tag);
}

export function isWeakMatch(left: string, right: string): boolean {
  const opaque = withoutWeakness(left);
  return opaque !== '' && opaque === withoutWeakness(right);
}

export function isStrongMatch(left: string, right: string): boolean {
  return left === right && isStrongTag(left);
}

/** Both dates in Unix seconds, of one response. */
export function isStrongDate(lastModifiedS: number, dateS: number): boolean {
  return dateS - lastModifiedS >= strongDateGapS;
}

/**
 * The tags of If-None-Match. A backslash is an ordinary character in them, and so is a comma in
 * quotes.
 */
export function tagMembers(value: string): string[] {
  const tags: string[] = [];
  let position = 0;
  while (position < value.length) {
    const end = memberEnd(value, position);
    const tag = trimmed(value.slice(position, end));
    if (tag !== '') tags.push(tag);
    position = end + 1;
  }
  return tags;
}

// The comma after the quote that closes this member; where none is closed, the next comma.
function memberEnd(value: string, start: number): number {
  const comma = indexOrEnd(value, ',', start);
  const opening = value.indexOf('"', start);
  if (opening < 0 || opening > comma) return comma;
  const closing = value.indexOf('"', opening + 1);
  return closing === -1 ? comma : indexOrEnd(value, ',', closing);
}

function indexOrEnd(value: string, character: string, start: number): number {
  const index = value.indexOf(character, start);
  return index < 0 ? value.length : index;
}

function withoutWeakness(tag: string): string {
  return tag.startsWith('W/') ? tag.slice(2) : tag;
}
