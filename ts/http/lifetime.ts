// The numbers behind freshness: Date, Age and the lifetime of a response (RFC 9111 4.2.1-4.2.3, RFC
// 9110 5.6.7). Clocks: our own clock never enters a lifetime, only the age. Used by freshness.ts
// alone.

import { type Directives, parseDeltaSeconds, secondsMax } from './cache-control.js';
import { fieldValue, listMembers, type RawFields } from './fields.js';
import { parseHttpDate } from './http-date.js';

export interface ResponseTimes {
  /** When the request went out, Unix milliseconds. */
  readonly sentMs: number;
  /** When the response's head came in. */
  readonly receivedMs: number;
}

export interface OriginDate {
  /** Unix seconds; the time of receipt stands in for a Date that is absent or invalid. */
  readonly dateS: number;
  readonly isGiven: boolean;
}

export function originDate(fields: RawFields, receivedMs: number): OriginDate {
  const dateS = dateField(fields, 'date', receivedMs);
  return { dateS: dateS ?? Math.floor(receivedMs / 1000), isGiven: dateS !== null };
}

/** A date of one line; null where it is absent, invalid or given twice. */
export function dateField(fields: RawFields, name: string, nowMs: number): number | null {
  const text = fieldValue(fields, name);
  return text === undefined ? null : parseHttpDate(text, nowMs);
}

/** Age at the time of receipt. A wrong origin clock is covered by Age, a wrong Age by the clock. */
export function initialAgeOf(fields: RawFields, date: OriginDate, times: ResponseTimes): number {
  const apparentMs = date.isGiven ? Math.max(0, times.receivedMs - date.dateS * 1000) : 0;
  const delayMs = Math.max(0, times.receivedMs - times.sentMs);
  return Math.max(apparentMs, receivedAgeS(fields) * 1000 + delayMs);
}

/**
 * The lifetime that the origin gave, null when it gave none. `expires` is undefined where there is
 * no such field or a targeted field governs. An unreadable member counts as zero: it does not let
 * the next one in.
 */
export function explicitLifetimeMs(
  directives: Directives,
  expires: string | undefined,
  dateS: number,
  nowMs: number,
): number | null {
  for (const name of ['s-maxage', 'max-age']) {
    const seconds = directives.seconds(name);
    if (seconds !== undefined) return seconds === 'invalid' ? 0 : seconds * 1000;
  }
  if (expires === undefined) return null;
  const expiresS = parseHttpDate(expires, nowMs);
  if (expiresS === null) return 0;
  return Math.min(Math.max(0, expiresS - dateS), secondsMax) * 1000;
}

/**
 * What may be assumed from how long the object had not changed; 0 without a usable Last-Modified.
 */
export function heuristicLifetimeMs(
  lastModifiedS: number | null,
  dateS: number,
  fraction: number,
  maximumMs: number,
): number {
  if (lastModifiedS === null) return 0;
  return Math.min(Math.max(0, dateS - lastModifiedS) * 1000 * fraction, maximumMs);
}

function receivedAgeS(fields: RawFields): number {
  const [first = ''] = listMembers(fieldValue(fields, 'age') ?? '');
  const seconds = parseDeltaSeconds(first);
  return seconds === null ? 0 : seconds;
}
