// Where the checkout is. Tests run from build/test, so a path relative to the compiled file would point
// into build/; the package.json that names millrace is the one fixed mark.

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

function isRoot(directory: string): boolean {
  try {
    const text = readFileSync(join(directory, 'package.json'), 'utf8');
    return (JSON.parse(text) as { name?: unknown }).name === 'millrace';
  } catch {
    return false;
  }
}

/** The repository root, without a trailing slash. */
export function repositoryRoot(): string {
  let directory = import.meta.dirname;
  while (!isRoot(directory)) {
    const parent = dirname(directory);
    if (parent === directory) throw new Error('no package.json named millrace above the tests');
    directory = parent;
  }
  return directory;
}
