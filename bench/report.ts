// `npm run bench:report`: one page of one result at bench/out/report.html, for a look; and, of the
// committed results alone, the charts in docs/images and the figures of the documents. --check writes
// nothing and tells what is not up to date.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { chartRecipes } from './chart-list.js';
import { exitFound, runCommand } from './command.js';
import { regenerated } from './document.js';
import { drawCharts } from './draw.js';
import { parseCommand, quietCommand } from './flags.js';
import { pageOf } from './page.js';
import { type BenchPaths, benchPaths, checkoutRoot, findResult } from './paths.js';
import { type NamedResult, readResults } from './results.js';

interface Options {
  readonly out?: string;
  readonly check: boolean;
}

async function report(args: readonly string[]): Promise<number> {
  const command = quietCommand('npm run bench:report --')
    .description('Draws the page of a result, and the charts and tables of the documents.')
    .argument('[result]', 'a file, the name of a committed result, latest, or committed', 'latest')
    .option('--out <file>', 'where the page goes (bench/out/report.html)')
    .option('--check', 'only say which documents and charts are not up to date', false);
  const options = parseCommand(command, args) as Options | null;
  if (options === null) return 0;
  const paths = benchPaths(checkoutRoot(import.meta.dirname));
  const files = await filesOf(readResults(paths.results), paths);
  if (options.check) return check(files);
  for (const { path, text } of files) write(path, text);
  const shown = findResult(command.processedArgs[0] as string, paths);
  const page = options.out ?? join(paths.out, 'report.html');
  write(page, await pageOf(shown));
  process.stdout.write(`page of ${shown.name}: ${page}\n`);
  return 0;
}

interface Generated {
  readonly path: string;
  /** Null: it must not exist. */
  readonly text: string | null;
}

async function filesOf(results: readonly NamedResult[], paths: BenchPaths): Promise<Generated[]> {
  const drawn = await drawCharts(results);
  const charts = new Set(drawn.keys());
  const documents = [
    { path: paths.document, images: 'images' },
    { path: paths.readme, images: 'docs/images' },
  ];
  return [
    ...chartRecipes.map(({ name }) => ({
      path: join(paths.images, `${name}.svg`),
      text: drawn.get(name) ?? null,
    })),
    ...documents.map(({ path, images }) => ({
      path,
      text: regenerated(readFileSync(path, 'utf8'), { results, charts, images }),
    })),
  ];
}

function check(files: readonly Generated[]): number {
  const stale = files.filter(({ path, text }) => textAt(path) !== text);
  for (const { path } of stale) process.stdout.write(`not up to date: ${path}\n`);
  return stale.length > 0 ? exitFound : 0;
}

function textAt(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

function write(path: string, text: string | null): void {
  if (text === null) {
    rmSync(path, { force: true });
    return;
  }
  if (textAt(path) === text) return;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  process.stdout.write(`wrote ${path}\n`);
}

void runCommand(report);
