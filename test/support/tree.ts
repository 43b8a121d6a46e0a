// The checkout as the style tests see it: which files there are, their text, their code without comments,
// and what they import. Directories are walked rather than asked of git, so that a file not added yet is
// judged too; what is built or installed is skipped.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from './root.js';

const skippedDirectories: ReadonlySet<string> = new Set([
  '.git',
  'node_modules',
  'dist',
  'build',
  'coverage',
  'out',
]);

/** Files that people edit here; anything else (images, fixtures) is not text to judge. */
const textFile = new RegExp(
  [
    /\.(ts|cjs|js|mjs|cc|h|inc|gypi|gyp|txt|json|md|ya?ml|sh|service|conf)$/,
    /(^|\/)(LICENSE|Dockerfile|\.gitignore|\.editorconfig|\.npmrc|\.clang-\w+)$|^\.ci\/\w+$/,
  ]
    .map(({ source }) => source)
    .join('|'),
);

export interface SourceFile {
  /** Path from the repository root, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

function* walk(root: string, directory: string): Generator<string> {
  for (const entry of readdirSync(join(root, directory), { withFileTypes: true })) {
    const path = directory === '' ? entry.name : `${directory}/${entry.name}`;
    if (entry.isDirectory()) {
      const isPrebuilt = directory === 'prebuilds';
      if (!skippedDirectories.has(entry.name) && !isPrebuilt) yield* walk(root, path);
    } else if (entry.isFile() && textFile.test(path)) {
      yield path;
    }
  }
}

let files: readonly SourceFile[] | undefined;

/** Every text file of the checkout, sorted by path; read once per process. */
export function textFiles(): readonly SourceFile[] {
  const root = repositoryRoot();
  files ??= [...walk(root, '')]
    .sort()
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));
  return files;
}

/** The files whose path matches. Fails when there are none: a rule over nothing would always hold. */
export function filesMatching(pattern: RegExp): readonly SourceFile[] {
  const found = textFiles().filter((file) => pattern.test(file.path));
  if (found.length === 0) throw new Error(`no file matches ${pattern}`);
  return found;
}

export function fileAt(path: string): SourceFile {
  const file = textFiles().find((candidate) => candidate.path === path);
  if (file === undefined) throw new Error(`${path} does not exist`);
  return file;
}

export function lineAt(text: string, index: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at >= 0 && at < index; at = text.indexOf('\n', at + 1))
    line += 1;
  return line;
}

// One alternative per thing that may contain what looks like the start of another. Strings and regular
// expressions are kept, comments are not. A slash opens a regular expression only after a character that
// cannot end an operand, which is as much grammar as this needs.
const lexeme = new RegExp(
  [
    /\/\/[^\n]*|\/\*[\s\S]*?\*\//,
    /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[\s\S]|[^`\\])*`/,
    /(?<=(?:[(,=:[!&|?{};\n>]|return)\s*)\/(?![/*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\//,
  ]
    .map(({ source }) => source)
    .join('|'),
  'g',
);

/** The text with every comment blanked out; line numbers stay. */
export function withoutComments(text: string): string {
  return text.replace(lexeme, (match) =>
    match.startsWith('//') || match.startsWith('/*') ? match.replace(/[^\n]/g, ' ') : match,
  );
}

export interface Import {
  readonly target: string;
  readonly typeOnly: boolean;
  readonly line: number;
}

const importStatement = new RegExp(
  [
    /\b(?:import|export)\s+(type\s+)?(?:[\w$*{][^'";]*?\s+from\s*)?['"]([^'"]+)['"]/,
    /\bimport\s*\(\s*['"]([^'"]+)['"]/,
  ]
    .map(({ source }) => source)
    .join('|'),
  'g',
);

// `import { type A, type B } from` loads nothing either, once verbatimModuleSyntax has emptied it; but the
// statement stays, so the module is loaded: only `import type` counts as a type.

/** Imports and re-exports of a TypeScript file, dynamic ones included. */
export function importsOf(text: string): Import[] {
  const code = withoutComments(text);
  return [...code.matchAll(importStatement)].map((match) => ({
    target: match[2] ?? match[3] ?? '',
    typeOnly: match[1] !== undefined,
    line: lineAt(code, match.index),
  }));
}

/** Project includes of a C++ file: `#include "layer/file.h"`. */
export function includesOf(text: string): Import[] {
  const code = withoutComments(text);
  return [...code.matchAll(/^[ \t]*#[ \t]*include[ \t]+["<]([^">]+)[">]/gm)].map((match) => ({
    target: match[1] ?? '',
    typeOnly: false,
    line: lineAt(code, match.index),
  }));
}
