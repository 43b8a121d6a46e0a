// The mutator as a program: `npm run mutate [-- --only NAME --jobs N]`. Inverts each decision in ts/http, one
// at a time, in a copy of the compiled checkout, and runs the tests that judge it there. What no test
// notices is printed, and is an error unless survivors.ts explains it.

import { spawn } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { SourceMap } from 'node:module';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { repositoryRoot } from '../support/root.js';
import { apply, type Mutant, mutantsOf } from './mutants.js';
import { explanations } from './survivors.js';

/** The quick ones first; the next are asked only about what the earlier ones did not notice. */
const stages: readonly (readonly string[])[] = [
  ['build/test/unit/http/*.test.js', 'build/test/unit/vectors/*.test.js'],
  ['build/test/scenario/[0-9]*.test.js', 'build/test/model/*.test.js'],
];
const unitTests = 'build/test/unit/http';
const limitMs = 180_000;

interface Survivor {
  /** Path of the TypeScript source and its line. */
  readonly place: string;
  readonly before: string;
  readonly after: string;
}

const root = repositoryRoot();
const sources = join(root, 'build', 'ts', 'http');

/** A checkout of its own, so that two mutants never meet. Installed packages are found above it. */
function makeCopy(number: number): string {
  const copy = join(root, 'build', 'mutation', String(number));
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(join(copy, 'build'), { recursive: true });
  for (const name of ['ts', 'test']) {
    cpSync(join(root, 'build', name), join(copy, 'build', name), { recursive: true });
  }
  cpSync(join(root, 'package.json'), join(copy, 'package.json'));
  symlinkSync(join(root, 'build', 'Release'), join(copy, 'build', 'Release'));
  for (const name of ['test', 'docs', 'prebuilds']) {
    cpSync(join(root, name), join(copy, name), { recursive: true });
  }
  return copy;
}

/** Whether every test of these files passes. One that does not end counts as a failure. */
function passes(copy: string, patterns: readonly string[]): Promise<boolean> {
  const ava = join(root, 'node_modules', 'ava', 'entrypoints', 'cli.mjs');
  return succeeds(copy, [ava, '--fail-fast', '--timeout=60s', ...patterns]);
}

/** The same for unit tests, in one process and without ava. */
function passesLean(copy: string, files: readonly string[]): Promise<boolean> {
  return succeeds(copy, [join('build', 'test', 'mutation', 'lean-run.js'), ...files]);
}

function succeeds(copy: string, args: readonly string[]): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const limits = { timeout: limitMs, killSignal: 'SIGKILL' } as const;
    const child = spawn(process.execPath, args, { cwd: copy, stdio: 'ignore', ...limits });
    child.once('error', reject);
    child.once('close', (code) => resolve(code === 0));
  });
}

/** Files of a stage that exist: ava refuses a pattern that matches nothing. */
function existing(patterns: readonly string[]): string[] {
  return patterns.filter((pattern) => {
    const directory = join(root, pattern.slice(0, pattern.lastIndexOf('/')));
    try {
      return readdirSync(directory).some((name) => name.endsWith('.test.js'));
    } catch {
      return false;
    }
  });
}

function allUnitTests(): string[] {
  const names = readdirSync(join(root, unitTests)).filter((file) => file.endsWith('.test.js'));
  return names.map((file) => join(unitTests, file));
}

/** Those that import the module itself: most of its mutants end there. */
function ownTests(name: string): string[] {
  return allUnitTests().filter((file) =>
    readFileSync(join(root, file), 'utf8').includes(`/ts/http/${name}.js'`),
  );
}

function placeOf(name: string, mutant: Mutant): string {
  const map = new SourceMap(JSON.parse(readFileSync(join(sources, `${name}.js.map`), 'utf8')));
  const entry = map.findEntry(mutant.line - 1, mutant.column);
  return `ts/http/${name}.ts:${'originalLine' in entry ? entry.originalLine + 1 : '?'}`;
}

const oneLine = (text: string): string => text.replace(/\s+/g, ' ');

interface Work {
  readonly name: string;
  readonly source: string;
  readonly mutant: Mutant;
}

async function judge(
  copy: string,
  { name, source, mutant }: Work,
  asked: typeof stages,
): Promise<Survivor | null> {
  const file = join(copy, 'build', 'ts', 'http', `${name}.js`);
  writeFileSync(file, apply(source, mutant));
  try {
    if (!(await passesLean(copy, ownTests(name)))) return null;
    for (const patterns of asked) {
      const files = existing(patterns);
      if (files.length > 0 && !(await passes(copy, files))) return null;
    }
  } finally {
    writeFileSync(file, source);
  }
  const before = oneLine(source.slice(mutant.start, mutant.end));
  return { place: placeOf(name, mutant), before, after: oneLine(mutant.replacement) };
}

function workOf(only: readonly string[]): Work[] {
  const names = readdirSync(sources)
    .filter((name) => name.endsWith('.js'))
    .map((name) => name.slice(0, -'.js'.length))
    .filter((name) => only.length === 0 || only.includes(name));
  return names.flatMap((name) => {
    const source = readFileSync(join(sources, `${name}.js`), 'utf8');
    return mutantsOf(source).map((mutant) => ({ name, source, mutant }));
  });
}

interface MutateOptions {
  readonly only: readonly string[];
  readonly jobs: number;
  /** Of the stages. A look: what the first does not notice, a later one may. */
  readonly depth: number;
}

/** Prints each survivor; true when all of them are explained. */
async function mutate({ only, jobs, depth }: MutateOptions): Promise<boolean> {
  const asked = stages.slice(0, depth);
  const work = workOf(only);
  const copies = Array.from({ length: jobs }, (_, number) => makeCopy(number));
  const isWhole = await passesLean(copies[0]!, allUnitTests());
  if (!isWhole || !(await passes(copies[0]!, asked.flatMap(existing)))) {
    throw new Error('the tests fail before anything was inverted');
  }
  let next = 0;
  let unexplained = 0;
  let explained = 0;
  const run = async (copy: string): Promise<void> => {
    for (let at = next++; at < work.length; at = next++) {
      const survivor = await judge(copy, work[at]!, asked);
      if (at % 50 === 49) process.stdout.write(`${at + 1} of ${work.length}\n`);
      if (survivor === null) continue;
      const { place, before, after } = survivor;
      const file = place.slice(0, place.lastIndexOf(':'));
      const known = explanations.find(
        (row) => row.file === file && row.before === before && row.after === after,
      );
      if (known === undefined) unexplained += 1;
      else explained += 1;
      process.stdout.write(`${place}: ${before}  ->  ${after}${known ? `  (${known.why})` : ''}\n`);
    }
  };
  await Promise.all(copies.map(run));
  process.stdout.write(
    `${work.length} mutants, ${work.length - explained - unexplained} noticed, ` +
      `${explained} explained, ${unexplained} unexplained\n`,
  );
  return unexplained === 0;
}

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    jobs: { type: 'string', default: String(cpus().length) },
    'units-only': { type: 'boolean', default: false },
  },
});
try {
  const depth = values['units-only'] ? 1 : stages.length;
  const isClean = await mutate({ only: values.only, jobs: Number(values.jobs), depth });
  if (!isClean) process.exitCode = 1;
} finally {
  rmSync(join(root, 'build', 'mutation'), { recursive: true, force: true });
}
