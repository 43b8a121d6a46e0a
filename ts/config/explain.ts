// Turns what is wrong with a configuration into lines for the person who wrote it: where, which
// key, what was found, what is allowed, and the key that was probably meant. What is wrong, the
// schema and rules.ts say; here are the words only.

import type { z } from 'zod';
import { formatPath, type KeyPath, keysAt, schemaKeys, valueAt } from './keys.js';
import type { Source } from './source.js';

export interface Problem {
  readonly path: KeyPath;
  readonly text: string;
  /** Another key whose line is shown where the key itself is not written anywhere. */
  readonly near?: KeyPath;
  /** Where it is, known already: the parser's own line and column. */
  readonly place?: string;
}

const shownLengthMax = 80;

/** A value as the user would recognise it; never a secret, for these lines end up in logs. */
export function show(value: unknown, path: KeyPath = []): string {
  if (/token|secret|password/.test(String(path.at(-1)))) return 'a value that is not shown';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'a map';
  if (typeof value !== 'string') return String(value);
  const open = value.replace(/\/\/[^/]*@/, '//...@');
  const cut = open.length > shownLengthMax ? `${open.slice(0, shownLengthMax)}...` : open;
  return JSON.stringify(cut);
}

/** Optimal string alignment: insertions, deletions, replacements, swapped neighbours. */
function distance(source: string, target: string): number {
  const rows = [Array.from({ length: target.length + 1 }, (_, column) => column)];
  for (let row = 1; row <= source.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= target.length; column += 1) {
      const differs = source[row - 1] === target[column - 1] ? 0 : 1;
      const above = rows[row - 1]!;
      let best = Math.min(
        above[column]! + 1,
        current[column - 1]! + 1,
        above[column - 1]! + differs,
      );
      const isSwap =
        source[row - 1] === target[column - 2] && source[row - 2] === target[column - 1];
      if (column > 1 && isSwap) best = Math.min(best, rows[row - 2]![column - 2]! + 1);
      current.push(best);
    }
    rows.push(current);
  }
  return rows[source.length]![target.length]!;
}

/** The candidate that `word` is a slip of, if one is near enough. */
export function suggest(word: string, candidates: readonly string[]): string | null {
  // A key as long as a paragraph is no slip, and would cost as much as it is long.
  if (word.length > 64) return null;
  const plain = word.toLowerCase().replaceAll('-', '_');
  let best: { name: string; far: number } | null = null;
  for (const name of candidates) {
    const far = distance(plain, name.toLowerCase());
    if (best === null || far < best.far) best = { name, far };
  }
  const farMax = Math.max(1, Math.floor(plain.length / 4));
  return best !== null && best.far <= farMax ? best.name : null;
}

/** The section's own keys first; then the place where exactly this name belongs. */
export function suggestKey(section: KeyPath, name: string): string | null {
  const near = suggest(name, keysAt(section));
  if (near !== null) return near;
  const elsewhere = schemaKeys().find(({ key }) => key.endsWith(`.${name}`));
  if (elsewhere !== undefined) return elsewhere.key;
  return schemaKeys().some(({ key }) => key === name) ? `${name} at the top level` : null;
}

function unknownKey(section: KeyPath, name: string): Problem {
  const meant = suggestKey(section, name);
  const hint = meant === null ? `allowed: ${keysAt(section).join(', ')}` : `did you mean ${meant}?`;
  return { path: [...section, name], text: `unknown key; ${hint}` };
}

function allowedBy(issue: z.core.$ZodIssue): string {
  if (issue.code !== 'invalid_type') return issue.message;
  if (issue.expected === 'array') return 'a list';
  const isMap = issue.expected === 'object' || issue.expected === 'record';
  return isMap ? 'a map of keys' : issue.message;
}

/** The one value of a list that was written without brackets has no index of its own. */
function withoutAddedSteps(path: KeyPath, root: unknown): KeyPath {
  const written: (string | number)[] = [];
  for (const step of path) {
    if (typeof step !== 'number' || Array.isArray(valueAt(root, written))) written.push(step);
  }
  return written;
}

export function explainIssues(issues: readonly z.core.$ZodIssue[], root: unknown): Problem[] {
  return issues.flatMap((issue): Problem[] => {
    const path = withoutAddedSteps(issue.path as KeyPath, root);
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(path, key));
    if (issue.code === 'invalid_key') {
      const allowed = issue.issues[0]?.message ?? issue.message;
      return [{ path, text: `found the key ${show(path.at(-1))}; allowed: ${allowed}` }];
    }
    const value = valueAt(root, path);
    const found = value === undefined ? 'missing' : `found ${show(value, path)}`;
    return [{ path, text: `${found}; allowed: ${allowedBy(issue)}` }];
  });
}

/** "millrace.yaml:7: memory_limit: found ...", "--set memory_limit: found ..." */
export function formatProblem(problem: Problem, source: Source): string {
  const key = formatPath(problem.path);
  const written = source.locate(problem.path);
  if (written === '--set') return `--set ${key}: ${problem.text}`;
  const near = problem.near === undefined ? null : source.locate(problem.near);
  const place = problem.place ?? written ?? (near === '--set' ? null : near) ?? source.name;
  return key === '' ? `${place}: ${problem.text}` : `${place}: ${key}: ${problem.text}`;
}
