// Finds and loads the addon, once per environment. When that fails, says for which platform, which files
// were tried, what the loader itself said, and the one command that helps.

import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InternalError } from '../errors.js';
import type { Addon } from './contract.js';

const require = createRequire(import.meta.url);

let loaded: Addon | undefined;

/** Throws InternalError `ADDON_MISSING`. */
export function loadAddon(): Addon {
  loaded ??= loadFrom(packageRoot());
  return loaded;
}

/** Exported for the test of its error text. */
export function loadFrom(root: string): Addon {
  const load = require('node-gyp-build') as (directory: string) => Addon;
  try {
    return load(root);
  } catch (error) {
    throw new InternalError('ADDON_MISSING', explain(root, error), { cause: error });
  }
}

/** The directory of package.json. */
export function packageRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, 'package.json')) || directory.endsWith('build')) {
    const parent = dirname(directory);
    if (parent === directory) return directory;
    directory = parent;
  }
  return directory;
}

function explain(root: string, error: unknown): string {
  const tried = [join('build', 'Release', 'millrace.node'), ...prebuildsOf(root)];
  const said = error instanceof Error ? error.message : String(error);
  return [
    'The native part of millrace could not be loaded.',
    `  platform: ${process.platform} ${process.arch} ${libcName()}, Node ${process.version}`,
    `  tried:    ${tried.map((file) => join(root, file)).join(', ')}`,
    `  loader:   ${said.split('\n')[0]}`,
    '  to build it here (needs python3, make and g++ 12 or newer): npx millrace build-addon',
  ].join('\n');
}

function prebuildsOf(root: string): string[] {
  const folder = join('prebuilds', `${process.platform}-${process.arch}`);
  try {
    return readdirSync(join(root, folder)).map((file) => join(folder, file));
  } catch {
    return [join(folder, '(none)')];
  }
}

function libcName(): string {
  if (process.platform !== 'linux') return '';
  const header = (process.report.getReport() as { header?: { glibcVersionRuntime?: string } })
    .header;
  return header?.glibcVersionRuntime ? `glibc ${header.glibcVersionRuntime}` : 'musl';
}
