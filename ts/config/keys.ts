// The key tree of the schema, walked: which keys a section has (for suggestions), and every key
// with its default (for the test that holds docs/reference/config.md against the schema). Keys are
// written `routes[].match.host` in a list and `upstreams.NAME.origins` where the user chooses the
// name.

import type { z } from 'zod';
import { configSchema } from './schema.js';

export type KeyPath = readonly (string | number)[];

export interface KeyFacts {
  readonly key: string;
  /** As it would be written in the file; undefined where the key has none. */
  readonly fallback: unknown;
}

type Shape = Readonly<Record<string, z.core.$ZodType>>;

/** The schema without the wrappers that make it optional, defaulted, or a list of one. */
function unwrap(schema: z.core.$ZodType): z.core.$ZodTypes {
  const known = schema as z.core.$ZodTypes;
  const { def } = known._zod;
  if (def.type === 'optional' || def.type === 'prefault') return unwrap(def.innerType);
  if (def.type === 'pipe') {
    const isRead = (def.out as z.core.$ZodTypes)._zod.def.type === 'transform';
    return unwrap(isRead ? def.in : def.out);
  }
  return known;
}

/** A list whose one value may stand for it. */
function isOneOrList(schema: z.core.$ZodType): boolean {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  if (def.type === 'optional' || def.type === 'prefault') return isOneOrList(def.innerType);
  return def.type === 'pipe' && (def.in as z.core.$ZodTypes)._zod.def.type === 'transform';
}

function fallbackOf(schema: z.core.$ZodType): unknown {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  return def.type === 'prefault' ? def.defaultValue : undefined;
}

function collect(prefix: string, shape: Shape, into: KeyFacts[]): void {
  for (const [name, schema] of Object.entries(shape)) {
    const key = `${prefix}${name}`;
    into.push({ key, fallback: fallbackOf(schema) });
    const { def } = unwrap(schema)._zod;
    if (def.type === 'object') collect(`${key}.`, def.shape, into);
    if (def.type === 'array') {
      // What may be written without brackets is named without them.
      collectInside(isOneOrList(schema) ? `${key}.` : `${key}[].`, def.element, into);
    }
    if (def.type === 'record') collectInside(`${key}.NAME.`, def.valueType, into);
  }
}

function collectInside(prefix: string, schema: z.core.$ZodType, into: KeyFacts[]): void {
  const { def } = unwrap(schema)._zod;
  if (def.type === 'object') collect(prefix, def.shape, into);
}

export function schemaKeys(): readonly KeyFacts[] {
  const keys: KeyFacts[] = [];
  collect('', configSchema.shape, keys);
  return keys;
}

/** Names of the keys that the section at `path` may have; none where it is not a section. */
export function keysAt(path: KeyPath): readonly string[] {
  let schema: z.core.$ZodType = configSchema;
  for (const step of path) {
    let { def } = unwrap(schema)._zod;
    if (def.type === 'array' && typeof step === 'string') def = unwrap(def.element)._zod.def;
    const next =
      def.type === 'object'
        ? def.shape[step]
        : def.type === 'array'
          ? def.element
          : def.type === 'record'
            ? def.valueType
            : undefined;
    if (next === undefined) return [];
    schema = next;
  }
  let { def } = unwrap(schema)._zod;
  if (def.type === 'array') def = unwrap(def.element)._zod.def;
  return def.type === 'object' ? Object.keys(def.shape) : [];
}

/** `routes[0].match.host` */
export function formatPath(path: KeyPath): string {
  let written = '';
  for (const step of path) {
    if (typeof step === 'number') written += `[${step}]`;
    else written += written === '' ? step : `.${step}`;
  }
  return written;
}

/** What stands at `path`, undefined where nothing does. */
export function valueAt(root: unknown, path: KeyPath): unknown {
  let value = root;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step))
      return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}
