// Lists that are kept in two places and must stay equal: native sources and sources.txt, error codes and
// their reference, status numbers in C++ and TypeScript. The flow is in tidy-flow.test.ts.

import test from 'ava';
import { statusCodes } from '../ts/native/status.js';
import { fileAt, filesMatching, lineAt } from './support/tree.js';

function sorted(list: Iterable<string>): string[] {
  return [...list].sort();
}

test('sources: sources.txt names every .cc of the product once and nothing else', (t) => {
  const listed = fileAt('native/sources.txt').text.split('\n').filter(Boolean);
  const present = filesMatching(/^native\/(?!test\/|fuzz\/|bench\/|sim\/).*\.cc$/).map(({ path }) =>
    path.slice('native/'.length),
  );
  t.deepEqual(sorted(listed), sorted(present));
});

test('sources: both builds read sources.txt and name no source of their own', (t) => {
  for (const path of ['native/millrace.gypi', 'native/CMakeLists.txt']) {
    const { text } = fileAt(path);
    t.regex(text, /sources\.(txt|cjs)/, path);
    t.notRegex(text.replaceAll('doctest-main.cc', ''), /\w\.cc\b/, path);
  }
  t.regex(fileAt('native/sources.cjs').text, /sources\.txt/);
});

function errorCodes(): string[] {
  const { text } = fileAt('ts/errors.ts');
  const union = /export type ErrorCode =([^;]*);/.exec(text)?.[1] ?? '';
  return [...union.matchAll(/'(\w+)'/g)].map((match) => match[1] ?? '');
}

test('errors: every code is in docs/reference/errors.md once, and back', (t) => {
  const { text } = fileAt('docs/reference/errors.md');
  const documented = [...text.matchAll(/^\| `ERR_MILLRACE_(\w+)` \|([^|]+)\|([^|]+)\|$/gm)];
  t.true(errorCodes().length > 0);
  t.deepEqual(sorted(documented.map((row) => row[1] ?? '')), sorted(errorCodes()));
  for (const [, code, meaning, action] of documented) {
    t.true((meaning ?? '').trim().length > 10, `${code}: what it means`);
    t.true((action ?? '').trim().length > 10, `${code}: what to do`);
  }
});

test('errors: no text names a code that does not exist', (t) => {
  const known = new Set(errorCodes());
  for (const { path, text } of filesMatching(/^(ts|test|bench|docs)\/.*\.(ts|md)$|^README\.md$/)) {
    for (const match of text.matchAll(/ERR_MILLRACE_([A-Z][A-Z_]*[A-Z])\b/g)) {
      t.true(known.has(match[1] ?? ''), `${path}:${lineAt(text, match.index)}: ${match[0]}`);
    }
  }
});

test('status: numbers of status-codes.inc are the places of the TypeScript table', (t) => {
  const { text } = fileAt('native/base/status-codes.inc');
  const rows = [...text.matchAll(/^MR_STATUS_CODE\((\w+), (\d+), "(\w+)"\)$/gm)];
  t.is(rows.length, text.split('\n').filter((line) => line.startsWith('MR_')).length);
  t.deepEqual(
    rows.map((row) => Number(row[2])),
    rows.map((_, place) => place),
  );
  t.deepEqual(
    rows.map((row) => row[3]),
    [...statusCodes],
  );
  t.is(new Set(rows.map((row) => row[1])).size, rows.length, 'C++ names are unique');
});
