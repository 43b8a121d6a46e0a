// Where settings come from: YAML text, an object of the programmatic API, --set on top of either, and
// a preset below. A Source is the plain tree of values, with a way from any key in it back to the line
// that wrote it. What the values mean is for schema.ts.

import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  parseDocument,
} from 'yaml';
import type { Problem } from './explain.js';
import { interpolate } from './interpolate.js';
import { formatPath, type KeyPath, valueAt } from './keys.js';
import { isPresetName, presets } from './presets.js';

export interface Source {
  readonly name: string;
  /** Maps are without prototype and without null: a key without value was not given. */
  readonly values: unknown;
  readonly problems: readonly Problem[];
  /** "millrace.yaml:7", "--set KEY", or null for a key that nobody wrote. */
  locate(path: KeyPath): string | null;
}

// Far above what a person writes; it bounds what a hostile file can make of a few anchors.
const aliasesMax = 100;
/** One open bracket makes an error of every line after it. */
const syntaxErrorsMax = 3;
/** The schema is eight deep; below this nothing is looked at: an object may hold itself. */
const depthMax = 32;

/**
 * The parser descends by recursion, and a stack that runs out can take the whole process with it:
 * deep nesting is refused before it is parsed. A level of block nesting costs a column of
 * indentation.
 */
function isTooDeep(text: string): boolean {
  if (/^[ \t?:-]{200}/m.test(text)) return true;
  let depth = 0;
  for (const token of new Lexer().lex(text)) {
    if (token === '[' || token === '{') depth += 1;
    else if (token === ']' || token === '}') depth -= 1;
    if (depth > depthMax) return true;
  }
  return false;
}

/** Copies maps and lists, so that neither a caller's object nor a shared anchor is ever changed. */
function copyTree(value: unknown, depth = 0): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (depth > depthMax) return null;
  if (Array.isArray(value)) return value.map((item) => copyTree(item, depth + 1));
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  const copy = Object.create(null) as Record<string, unknown>;
  for (const [key, item] of Object.entries(value)) {
    if (item !== null && item !== undefined) copy[key] = copyTree(item, depth + 1);
  }
  return copy;
}

/** Replaces texts in place; `tree` is our own copy. */
function interpolateTree(tree: unknown, env: NodeJS.ProcessEnv, problems: Problem[]): void {
  const visit = (parent: unknown, path: KeyPath): void => {
    if (typeof parent !== 'object' || parent === null) return;
    for (const [name, value] of Object.entries(parent)) {
      const step = Array.isArray(parent) ? Number(name) : name;
      if (typeof value !== 'string') visit(value, [...path, step]);
      else if (value.includes('${')) {
        const result = interpolate(value, env);
        problems.push(...result.problems.map((text) => ({ path: [...path, step], text })));
        (parent as Record<string | number, unknown>)[step] = result.value;
      }
    }
  };
  visit(tree, []);
}

/** Offset of the key or item at `path`; of its nearest ancestor where it is not written. */
function offsetOf(document: Document, path: KeyPath): number | null {
  let node: unknown = document.contents;
  let offset: number | null = null;
  for (const step of path) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find(
        ({ key }) => isScalar(key) && String(key.value) === String(step),
      );
      if (pair === undefined || !isScalar(pair.key)) break;
      offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      const item = node.items[Number(step)];
      if (!isMap(item) && !isSeq(item) && !isScalar(item)) break;
      offset = item.range?.[0] ?? offset;
      node = item;
    } else break;
  }
  return offset;
}

/** A value of --set is one YAML scalar; what is none, such as [::1]:8080, stands for itself. */
function parseScalar(text: string): unknown {
  if (isTooDeep(text)) return text;
  const document = parseDocument(text, { logLevel: 'silent' });
  if (document.errors.length > 0) return text;
  return document.contents === null
    ? null
    : isScalar(document.contents)
      ? document.contents.value
      : text;
}

/** "routes[0].upstream" and "routes.0.upstream" */
const parsePath = (text: string): KeyPath =>
  text
    .replace(/\[(\d{1,6})\]/g, '.$1')
    .split('.')
    .map((step) => (/^\d{1,6}$/.test(step) ? Number(step) : step));

function applySet(root: unknown, argument: string): { path: KeyPath; problem: string | null } {
  const split = argument.indexOf('=');
  const path = parsePath(split < 0 ? argument : argument.slice(0, split));
  if (split < 1 || path.includes('')) {
    return { path, problem: `found ${JSON.stringify(argument)}; allowed: KEY=VALUE` };
  }
  let parent = root;
  for (const [index, step] of path.slice(0, -1).entries()) {
    const isOwn = valueAt(parent, [step]) !== undefined;
    if (!isOwn && isPlainMap(parent)) parent[String(step)] = Object.create(null);
    parent = valueAt(parent, [isPlainMap(parent) ? String(step) : step]);
    if (!isPlainMap(parent) && !Array.isArray(parent)) {
      return {
        path,
        problem: `${formatPath(path.slice(0, index + 1))} is neither a map nor a list item`,
      };
    }
  }
  const last = path.at(-1)!;
  const value = parseScalar(argument.slice(split + 1));
  if (Array.isArray(parent)) {
    if (typeof last !== 'number' || last >= parent.length || value === null) {
      return { path, problem: `allowed: a value for an item from [0] to [${parent.length - 1}]` };
    }
    parent[last] = value;
  } else if (isPlainMap(parent)) {
    if (value === null) delete parent[String(last)];
    else parent[String(last)] = value;
  }
  return {
    path: Array.isArray(parent) ? path : [...path.slice(0, -1), String(last)],
    problem: null,
  };
}

const isPlainMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Maps are joined key by key; routes of the preset come behind those that were written; else those win. */
function layUnder(values: Record<string, unknown>, preset: Record<string, unknown>): void {
  for (const [key, value] of Object.entries(preset)) {
    const own = values[key];
    if (own === undefined) values[key] = copyTree(value);
    else if (isPlainMap(own) && isPlainMap(value)) layUnder(own, value);
    else if (key === 'routes' && Array.isArray(own) && Array.isArray(value)) own.push(...value);
  }
}

const startsWith = (path: KeyPath, start: KeyPath): boolean =>
  start.every((step, index) => String(step) === String(path[index]));

interface Layers {
  readonly set: readonly string[];
  /** Null: texts are taken as they stand. */
  readonly env: NodeJS.ProcessEnv | null;
}

function layered(
  name: string,
  root: unknown,
  problems: Problem[],
  layers: Layers,
  line: (path: KeyPath) => string | null,
): Source {
  const values = copyTree(root ?? {});
  const setPaths: KeyPath[] = [];
  for (const argument of layers.set) {
    if (!isPlainMap(values)) break;
    const { path, problem } = applySet(values, argument);
    setPaths.push(path);
    if (problem !== null) problems.push({ path, text: problem });
  }
  if (layers.env !== null) interpolateTree(values, layers.env, problems);
  if (isPlainMap(values) && isPresetName(values.preset)) {
    layUnder(values, parseDocument(presets[values.preset].text).toJS());
  }
  const locate = (path: KeyPath): string | null => {
    // Exactly what was set, or a section that is there only because something in it was.
    const isSet = setPaths.some(
      (setPath) =>
        path.length > 0 &&
        startsWith(setPath, path) &&
        (setPath.length === path.length || line(path) === null),
    );
    return isSet ? '--set' : line(path);
  };
  return { name, values, problems, locate };
}

export function sourceOfText(name: string, text: string, layers: Layers): Source {
  const counter = new LineCounter();
  const problems: Problem[] = [];
  let root: unknown;
  let document: Document | null = null;
  if (isTooDeep(text)) {
    problems.push({ path: [], text: `nested deeper than ${depthMax} levels`, place: name });
    return layered(name, {}, problems, layers, () => null);
  }
  try {
    document = parseDocument(text, {
      lineCounter: counter,
      prettyErrors: false,
      logLevel: 'silent',
    });
    for (const error of document.errors.slice(0, syntaxErrorsMax)) {
      const { line, col } = counter.linePos(error.pos[0]);
      problems.push({
        path: [],
        text: `not YAML: ${error.message}`,
        place: `${name}:${line}:${col}`,
      });
    }
    root = problems.length > 0 ? {} : document.toJS({ maxAliasCount: aliasesMax });
  } catch (error) {
    // Too many aliases, or an alias of nothing.
    problems.push({ path: [], text: `not YAML: ${(error as Error).message}`, place: name });
  }
  const line = (path: KeyPath): string | null => {
    const offset = document === null ? null : offsetOf(document, path);
    return offset === null ? null : `${name}:${counter.linePos(offset).line}`;
  };
  return layered(name, root, problems, layers, line);
}

export const sourceOfInput = (input: unknown, set: readonly string[]): Source =>
  layered('options', input, [], { set, env: null }, () => null);
