// HTTP dates (RFC 9110 5.6.7), in the three formats that a recipient must know and in no other. A
// general date parser would take dates that other caches refuse, and would bring in the local time
// zone.

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const shortDay = '(?:mon|tue|wed|thu|fri|sat|sun)';
const longDay = '(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)';
const month = `(${months.join('|')})`;
const time = '(\\d\\d):(\\d\\d):(\\d\\d)';

// The name of the day is not compared with the date: it carries no information of its own.
const fixedDate = new RegExp(`^${shortDay}, (\\d\\d) ${month} (\\d{4}) ${time} gmt$`, 'i');
const longDate = new RegExp(`^${longDay}, (\\d\\d)-${month}-(\\d\\d) ${time} gmt$`, 'i');
const plainDate = new RegExp(`^${shortDay} ${month} (\\d\\d| \\d) ${time} (\\d{4})$`, 'i');

const dayNames = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const monthNames = months.map((name) => name[0]!.toUpperCase() + name.slice(1));

interface CivilTime {
  readonly year: number;
  /** 0 is January. */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
}

/**
 * Unix seconds, or null for what is not an HTTP date. `nowMs` decides the century of a two-digit
 * year, and nothing else.
 */
export function parseHttpDate(text: string, nowMs: number): number | null {
  const fixed = fixedDate.exec(text);
  if (fixed !== null) return secondsOf(civil(fixed[3]!, fixed[2]!, fixed[1]!, fixed, 4));
  const plain = plainDate.exec(text);
  if (plain !== null) return secondsOf(civil(plain[6]!, plain[1]!, plain[2]!, plain, 3));
  const long = longDate.exec(text);
  if (long === null) return null;
  return secondsOf(withCentury(civil(long[3]!, long[2]!, long[1]!, long, 4), nowMs));
}

/** The one format that may be generated. */
export function formatHttpDate(unixS: number): string {
  const date = new Date(Math.floor(unixS) * 1000);
  const day = `${dayNames[date.getUTCDay()]}, ${padded(date.getUTCDate(), 2)}`;
  const year = padded(date.getUTCFullYear(), 4);
  const clock = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()];
  const shown = clock.map((part) => padded(part, 2)).join(':');
  return `${day} ${monthNames[date.getUTCMonth()]} ${year} ${shown} GMT`;
}

function civil(
  year: string,
  monthName: string,
  day: string,
  match: RegExpExecArray,
  hourGroup: number,
): CivilTime {
  return {
    year: Number(year),
    month: months.indexOf(monthName.toLowerCase()),
    day: Number(day),
    hour: Number(match[hourGroup]),
    minute: Number(match[hourGroup + 1]),
    second: Number(match[hourGroup + 2]),
  };
}

// A year that would lie more than 50 years ahead is meant as the latest past one with those two
// digits.
function withCentury(given: CivilTime, nowMs: number): CivilTime {
  const limit = new Date(nowMs);
  limit.setUTCFullYear(limit.getUTCFullYear() + 50);
  const limitS = limit.getTime() / 1000;
  let year = Math.floor(limit.getUTCFullYear() / 100) * 100 + given.year;
  if (unixSeconds({ ...given, year }) > limitS) year -= 100;
  return { ...given, year };
}

function secondsOf(given: CivilTime): number | null {
  // Second 60 is a leap second; it counts as the first second of the next minute.
  if (given.hour > 23 || given.minute > 59 || given.second > 60) return null;
  if (given.day < 1 || given.day > daysIn(given.year, given.month)) return null;
  return unixSeconds(given);
}

function unixSeconds(given: CivilTime): number {
  const date = new Date(0);
  // Date.UTC would read the years 0 to 99 as 1900 to 1999.
  date.setUTCFullYear(given.year, given.month, given.day);
  return date.getTime() / 1000 + given.hour * 3600 + given.minute * 60 + given.second;
}

function daysIn(year: number, monthIndex: number): number {
  const last = new Date(0);
  last.setUTCFullYear(year, monthIndex + 1, 0);
  return last.getUTCDate();
}

function padded(value: number, width: number): string {
  return String(value).padStart(width, '0');
}
