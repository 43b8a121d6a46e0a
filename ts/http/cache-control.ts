// Cache directives of both directions: Cache-Control (RFC 9111 5.2), the request's Pragma, and
// targeted fields such as CDN-Cache-Control (RFC 9213). What the directives lead to is decided in
// freshness.ts. The rule for text that cannot be read: it may forbid something, and it never allows
// anything.

import { parseDictionary } from 'structured-headers';
import { fieldValue, isToken, listMembers, type RawFields } from './fields.js';

/**
 * `true` stands for a directive without an argument. Quoted arguments come without their quotes.
 */
export type DirectiveArgument = string | true;

export interface Directives {
  /** Given in any form, also where the text around it could not be read: for what restricts. */
  has(name: string): boolean;
  /** Given, and read without doubt: for what permits. */
  allows(name: string): boolean;
  /** Every argument given for that directive, in order; empty when it is absent. */
  all(name: string): readonly DirectiveArgument[];
  /**
   * The smallest number of seconds given for that directive, 2^31 where it is larger than that;
   * 'invalid' when any argument is not a plain row of digits; undefined when the directive is
   * absent.
   */
  seconds(name: string): number | 'invalid' | undefined;
}

/** What RFC 9111 1.2.2 asks a recipient to use for a number that is too large for it. */
export const secondsMax = 2 ** 31;

// Stands for an argument that could not be read. Not a row of digits, so it never becomes a
// lifetime.
const unreadable = '?';

// Directives that restrict, and the lifetimes, which restrict when they cannot be read.
const guardedNames = [
  'no-store',
  'no-cache',
  'private',
  'must-revalidate',
  'proxy-revalidate',
  'max-age',
  's-maxage',
];
const restrictiveNames: ReadonlySet<string> = new Set(guardedNames.slice(0, 5));
const guardedWord = new RegExp(
  `(?<![!#$%&'*+\\-.^_\`|~0-9a-z])(${guardedNames.join('|')})(?![!#$%&'*+\\-.^_\`|~0-9a-z])`,
  'g',
);

type ArgumentsByName = Map<string, DirectiveArgument[]>;

/** `value` holds all lines of the field, joined by commas; undefined when there is none. */
export function parseCacheControl(value: string | undefined): Directives {
  const found: ArgumentsByName = new Map();
  for (const member of value === undefined ? [] : listMembers(value)) readMember(member, found);
  return directivesOf(found);
}

/** Where clients have no say. */
export const noDirectives: Directives = directivesOf(new Map());

/** The directives of a request; without Cache-Control, `Pragma: no-cache` counts as one. */
export function requestDirectives(fields: RawFields): Directives {
  const control = fieldValue(fields, 'cache-control');
  if (control !== undefined) return parseCacheControl(control);
  const pragma = fieldValue(fields, 'pragma');
  const isReload = pragma !== undefined && parseCacheControl(pragma).has('no-cache');
  return isReload ? parseCacheControl('no-cache') : noDirectives;
}

/**
 * The directives of the first field of `names` that is present, not empty and a dictionary of
 * structured fields; null when there is none, and Cache-Control governs.
 */
export function parseTargeted(fields: RawFields, names: readonly string[]): Directives | null {
  for (const name of names) {
    const value = fieldValue(fields, name.toLowerCase());
    const found = value === undefined ? null : readDictionary(value);
    if (found !== null && found.size > 0) return directivesOf(found);
  }
  return null;
}

/** Seconds of a row of ASCII digits, or null for anything else. */
export function parseDeltaSeconds(text: string): number | null {
  if (!/^[0-9]+$/.test(text)) return null;
  return Math.min(Number(text), secondsMax);
}

function directivesOf(found: ArgumentsByName): Directives {
  return {
    has: (name) => found.has(name),
    allows: (name) => found.get(name)?.some((argument) => argument !== unreadable) ?? false,
    all: (name) => found.get(name) ?? [],
    seconds: (name) => {
      const given = found.get(name);
      if (given === undefined) return undefined;
      let smallest = secondsMax;
      for (const argument of given) {
        const seconds = typeof argument === 'string' ? parseDeltaSeconds(argument) : null;
        if (seconds === null) return 'invalid';
        smallest = Math.min(smallest, seconds);
      }
      return smallest;
    },
  };
}

function readMember(member: string, found: ArgumentsByName): void {
  const equals = member.indexOf('=');
  const name = (equals === -1 ? member : member.slice(0, equals)).toLowerCase();
  const argument = equals === -1 ? true : readArgument(member.slice(equals + 1));
  if (isToken(name) && argument !== null) {
    add(found, name, argument);
    return;
  }
  // A semicolon in place of a comma, a quote that never ends, a space around '=': whatever it was
  // meant to be, the words in it that restrict are taken at their word.
  for (const word of member.toLowerCase().matchAll(guardedWord)) add(found, word[1]!, unreadable);
}

function readArgument(text: string): string | null {
  if (isToken(text)) return text;
  const quoted = /^"((?:[^"\\]|\\[\s\S])*)"$/.exec(text);
  if (quoted !== null) return quoted[1]!.replace(/\\([\s\S])/g, '$1');
  // `max-age=` and `private=` are read as directives with an argument that is empty.
  return text === '' ? '' : null;
}

function add(found: ArgumentsByName, name: string, argument: DirectiveArgument): void {
  const given = found.get(name);
  if (given === undefined) found.set(name, [argument]);
  else given.push(argument);
}

// The parser's numbers do not tell 60 from 60.0, so the text of each member is looked at again.
// After a successful parse, commas stand outside of quotes only between members.
function readDictionary(value: string): ArgumentsByName | null {
  if (!isDictionary(value)) return null;
  const found: ArgumentsByName = new Map();
  for (const member of listMembers(value)) {
    const name = /^[a-z*][a-z0-9_\-.*]*/.exec(member)![0];
    const text = member.slice(name.length);
    const integer = /^=(-?[0-9]+)(?:;|$)/.exec(text);
    found.delete(name);
    if (integer !== null) found.set(name, [integer[1]!]);
    else if (!text.startsWith('=') || text.startsWith('=?1')) found.set(name, [true]);
    else if (!text.startsWith('=?0') || restrictiveNames.has(name)) found.set(name, [unreadable]);
  }
  return found;
}

function isDictionary(value: string): boolean {
  try {
    parseDictionary(value);
    return true;
  } catch {
    return false;
  }
}
