// Header fields as a flat list, the way they came off the wire, and the few ways to read them. Text
// is latin1: one character per byte, so that odd octets come back unchanged. Nothing here knows
// what a field means; hop-by-hop rules, dates, directives and tags live in the files beside it.

/** Flat list name, value, name, value, ... as received; latin1 text, order and duplicates kept. */
export type RawFields = readonly string[];

const quote = 0x22;
const comma = 0x2c;
const backslash = 0x5c;
const tokenPattern = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** The values of every line of that name, in order. `name` is lower case; the lines may not be. */
export function fieldLines(fields: RawFields, name: string): string[] {
  const lines: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    if (isNamed(fields[i]!, name)) lines.push(fields[i + 1]!);
  }
  return lines;
}

/**
 * All lines of that name as one list, or undefined where there is none. Never ask it for
 * Set-Cookie.
 */
export function fieldValue(fields: RawFields, name: string): string | undefined {
  let value: string | undefined;
  for (let i = 0; i < fields.length; i += 2) {
    if (!isNamed(fields[i]!, name)) continue;
    value = value === undefined ? fields[i + 1]! : `${value}, ${fields[i + 1]}`;
  }
  return value;
}

/**
 * Splits a list at the commas outside of quoted strings. A quote that is never closed takes the
 * rest of the text with it: what stands behind it must not be read as if it were a member of its
 * own.
 */
export function listMembers(value: string): string[] {
  const members: string[] = [];
  let start = 0;
  let isQuoted = false;
  for (let i = 0; i < value.length; i += 1) {
    const code = value.charCodeAt(i);
    if (isQuoted) {
      if (code === backslash) i += 1;
      else if (code === quote) isQuoted = false;
    } else if (code === quote) {
      isQuoted = true;
    } else if (code === comma) {
      pushTrimmed(members, value.slice(start, i));
      start = i + 1;
    }
  }
  pushTrimmed(members, value.slice(start));
  return members;
}

/** The fields with that one line: in the place of the first line of that name, or at the end. */
export function withField(fields: RawFields, name: string, value: string): string[] {
  const wanted = name.toLowerCase();
  const result: string[] = [];
  let isPlaced = false;
  for (let i = 0; i < fields.length; i += 2) {
    if (!isNamed(fields[i]!, wanted)) {
      result.push(fields[i]!, fields[i + 1]!);
    } else if (!isPlaced) {
      result.push(name, value);
      isPlaced = true;
    }
  }
  if (!isPlaced) result.push(name, value);
  return result;
}

/** The fields without any line of that name, which is given in lower case. */
export function withoutField(fields: RawFields, name: string): string[] {
  const kept: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    if (!isNamed(fields[i]!, name)) kept.push(fields[i]!, fields[i + 1]!);
  }
  return kept;
}

export function isToken(text: string): boolean {
  return tokenPattern.test(text);
}

/** Without the spaces and tabs around it. `trim()` would also take the latin1 no-break space. */
export function trimmed(text: string): string {
  let start = 0;
  let end = text.length;
  // Beyond either end there is no character, which is no blank; of blanks alone nothing is left.
  while (isBlank(text.charCodeAt(start))) start += 1;
  while (isBlank(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

function isNamed(given: string, lowerCase: string): boolean {
  return given.length === lowerCase.length && given.toLowerCase() === lowerCase;
}

function pushTrimmed(members: string[], text: string): void {
  const member = trimmed(text);
  if (member !== '') members.push(member);
}
