// Where results, charts and the page are in the checkout, and how a result is named on a command line: by
// the path of its file, by the name of a committed one, or as "latest".

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ConfigError } from '../ts/errors.js';
import { mergedOf, type NamedResult, readResult, readResults } from './results.js';

/** The checkout: compiled files are in build/bench, so their own place says nothing. */
export function checkoutRoot(from: string): string {
  let directory = from;
  while (!existsSync(join(directory, 'bench', 'tsconfig.json'))) {
    const parent = dirname(directory);
    if (parent === directory) {
      throw new ConfigError(
        'CONFIG_UNREADABLE',
        'the benchmark runs in a checkout of millrace only',
      );
    }
    directory = parent;
  }
  return directory;
}

export interface BenchPaths {
  readonly root: string;
  /** Not in git. */
  readonly out: string;
  readonly results: string;
  readonly images: string;
  readonly document: string;
  readonly readme: string;
}

export function benchPaths(root: string): BenchPaths {
  return {
    root,
    out: join(root, 'bench', 'out'),
    results: join(root, 'bench', 'results'),
    images: join(root, 'docs', 'images'),
    document: join(root, 'docs', 'PERFORMANCE.md'),
    readme: join(root, 'README.md'),
  };
}

/**
 * The result that somebody named; "latest" is the newest of all, committed or not, and "committed" the newest
 * committed one of each suite.
 */
export function findResult(given: string, paths: BenchPaths): NamedResult {
  if (given === 'committed') {
    const merged = mergedOf(readResults(paths.results), given);
    if (merged !== null) return merged;
    throw new ConfigError('CONFIG_UNREADABLE', 'bench/results holds no result yet');
  }
  if (given === 'latest') {
    const all = [...readResults(paths.results), ...readResults(paths.out)];
    const newest = all.sort((a, b) => (a.result.date < b.result.date ? -1 : 1)).at(-1);
    if (newest !== undefined) return newest;
    throw new ConfigError('CONFIG_UNREADABLE', 'there is no result yet; run: npm run bench');
  }
  for (const directory of [paths.results, paths.out]) {
    const path = join(directory, `${given}.json`);
    if (existsSync(path)) return readResult(path);
  }
  return readResult(given);
}
