// Retry-After of a response: how long its sender wants to be left alone (RFC 9110 section 10.2.3).

import { parseDeltaSeconds } from './cache-control.js';
import { fieldLines, type RawFields } from './fields.js';
import { parseHttpDate } from './http-date.js';

/** Milliseconds from now, never below 0; null without one line that can be read. */
export function retryAfterMs(fields: RawFields, nowMs: number): number | null {
  const lines = fieldLines(fields, 'retry-after');
  if (lines.length !== 1) return null;
  const seconds = parseDeltaSeconds(lines[0]!);
  if (seconds !== null) return seconds * 1000;
  const dateS = parseHttpDate(lines[0]!, nowMs);
  return dateS === null ? null : Math.max(0, dateS * 1000 - nowMs);
}
