// The variants of one URI, as the Vary marker under its primary key lists them: by which request fields each
// is chosen, under which key it is stored, and its ETag. Responses of one URI may carry different Vary
// fields, so each choice is judged by its own. One line of the marker's field block for each, the latest
// first. Pure; keys are suffixes, that is, what follows the primary key.

import type { RawFields } from '../http/fields.js';
import type { Addon } from '../native/contract.js';
import { type Head, headFlags } from './entry.js';

/** Enough for encodings times languages; a URI that varies by User-Agent must not grow without end. */
export const variantsMax = 32;
/** Of the marker's lines: a marker is read at every look-up of its URI, and has to fit into one page. */
const linesMax = 24 * 1024;
const lineName = 'variant';

export interface Variant {
  /** Names of Vary with the values that choose it: "\nname:value\nname" (native/layout/key.h). */
  readonly choice: string;
  /** Under which it is stored: its own choice, or that of the request which fetched it. */
  readonly place: string;
  /** As received; empty when absent. */
  readonly etag: string;
}

export interface Variants {
  readonly list: readonly Variant[];
  /** The lowest birth that the marker vouches for. */
  readonly floor: number;
}

/** Choices by the names that make them. */
interface Group {
  readonly names: readonly string[];
  readonly places: ReadonlyMap<string, string>;
}

interface Listed {
  readonly list: readonly Variant[];
  readonly groups: readonly Group[];
}

/** Worked out once for each marker that is read. */
const known = new WeakMap<Head, Listed>();

function listedIn(marker: Head): Listed {
  let listed = known.get(marker);
  if (listed === undefined) {
    const list = parseLines(marker);
    listed = { list, groups: groupsOf(list) };
    known.set(marker, listed);
  }
  return listed;
}

export function variantsIn(marker: Head): readonly Variant[] {
  return listedIn(marker).list;
}

/**
 * Where the variants are stored that a request may choose: several where responses carried different Vary
 * fields. `choose` makes the choice of the request under these names, null where it has none.
 */
export function placesFor(
  marker: Head,
  choose: (names: readonly string[]) => string | null,
): readonly string[] {
  const places: string[] = [];
  for (const { names, places: known } of listedIn(marker).groups) {
    const choice = choose(names);
    const place = choice === null ? undefined : known.get(choice);
    if (place !== undefined && !places.includes(place)) places.push(place);
  }
  return places;
}

/** The most recent first: by Date, then by arrival. */
export function byRecency(a: Head, b: Head): number {
  return b.dateS - a.dateS || b.responseMs - a.responseMs;
}

/** The list with this variant in it: in its place where its choice was known, else as the first. */
export function withVariant(list: readonly Variant[], added: Variant): readonly Variant[] {
  const at = list.findIndex(({ choice }) => choice === added.choice);
  return at < 0 ? [added, ...list] : list.with(at, added);
}

/** The stored head of a marker; variants that do not fit are left out, the oldest first. */
export function markerHead(list: readonly Variant[]): Head {
  const fields: string[] = [];
  let length = 0;
  for (const { choice, place, etag } of list.slice(0, variantsMax)) {
    const line = JSON.stringify(place === choice ? [choice, etag] : [choice, etag, place]);
    length += line.length + lineName.length + 4;
    if (length > linesMax) break;
    fields.push(lineName, line);
  }
  return {
    status: 200,
    flags: headFlags.varyMarker,
    responseMs: 0,
    initialAgeMs: 0,
    freshUntilMs: 0,
    staleWhileRevalidateUntilMs: 0,
    staleIfErrorUntilMs: 0,
    bodyLength: 0,
    lastModifiedS: null,
    dateS: 0,
    etag: '',
    varyNames: namesOf(list[0]?.choice ?? ''),
    tags: new Uint8Array(0),
    fields,
    reason: '',
  };
}

/** The names of a choice, which are lower case and sorted. */
function namesOf(choice: string): string[] {
  return choice
    .split('\n')
    .slice(1)
    .map((line) => {
      const colon = line.indexOf(':');
      return colon < 0 ? line : line.slice(0, colon);
    });
}

function parseLines({ fields }: Head): Variant[] {
  const list: Variant[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    if (fields[at] !== lineName) continue;
    const variant = parseLine(fields[at + 1]!);
    if (variant !== null) list.push(variant);
  }
  return list;
}

function parseLine(line: string): Variant | null {
  let parts: unknown;
  try {
    parts = JSON.parse(line);
  } catch {
    return null;
  }
  if (!Array.isArray(parts) || !parts.every((part) => typeof part === 'string')) return null;
  const [choice, etag, place = choice] = parts as string[];
  if (choice === undefined || etag === undefined || place === undefined) return null;
  return choice.startsWith('\n') && place.startsWith('\n') ? { choice, etag, place } : null;
}

function groupsOf(list: readonly Variant[]): Group[] {
  const groups = new Map<string, { names: string[]; places: Map<string, string> }>();
  for (const { choice, place } of list) {
    const names = namesOf(choice);
    const name = names.join('\n');
    const group = groups.get(name) ?? { names, places: new Map<string, string>() };
    groups.set(name, group);
    if (!group.places.has(choice)) group.places.set(choice, place);
  }
  return [...groups.values()];
}

/** Null where the values are longer than any key may be. */
export function variantKeyOf(
  addon: Pick<Addon, 'variantKey'>,
  key: string,
  varyNames: readonly string[],
  fields: RawFields,
): string | null {
  try {
    return addon.variantKey(key, varyNames.map((name) => `${name}\0`).join(''), fields);
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

/** The part of a variant's key that the request's fields make. */
export function choiceOf(variantKey: string | null, primaryKey: string): string | null {
  return variantKey === null ? null : variantKey.slice(primaryKey.length);
}
