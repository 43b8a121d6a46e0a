// What npm would publish, asked of npm itself: nothing but the product, all of what a build at a user's
// place needs, and no script that runs at install. The tests run after the build, so dist is there.

import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { cp, mkdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { temporaryFolder } from '../support/command.js';
import { repositoryRoot } from '../support/root.js';

const root = repositoryRoot();
const run = promisify(execFile);

interface Manifest {
  readonly bin: Readonly<Record<string, string>>;
  readonly main: string;
  readonly types: string;
  readonly exports: Readonly<Record<string, unknown>>;
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly gypfile: boolean;
}

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;

// The compiler's notes of its last run lie in dist too; they are of no use to anybody else.
const allowed = [
  /^dist\/(?!\.tsbuildinfo$)/,
  /^native\/(?!test\/|fuzz\/|bench\/|sim\/)/,
  /^prebuilds\//,
  /^(README\.md|LICENSE|NOTICE|CHANGELOG\.md|package\.json|binding\.gyp)$/,
];

async function packedFiles(): Promise<string[]> {
  const command = ['pack', '--dry-run', '--json', '--ignore-scripts', '--offline'];
  const { stdout } = await run('npm', command, { cwd: root, maxBuffer: 2 ** 24 });
  const [packed] = JSON.parse(stdout) as [{ files: { path: string }[] }];
  return packed.files.map(({ path }) => path);
}

let packing: Promise<string[]> | undefined;

/** One run of npm for all tests of this file. */
function packed(): Promise<string[]> {
  packing ??= packedFiles();
  return packing;
}

/** The file names in an `exports` value, whatever conditions are around them. */
function targetsOf(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(targetsOf);
}

test('tarball: it holds the product and nothing else', async (t) => {
  t.deepEqual(
    (await packed()).filter((path) => !allowed.some((pattern) => pattern.test(path))),
    [],
  );
});

test('tarball: it holds what must be there', async (t) => {
  const files = await packed();
  const needed = ['README.md', 'LICENSE', 'NOTICE', 'package.json', 'prebuilds/README.md'];
  t.deepEqual(
    needed.filter((path) => !files.includes(path)),
    [],
  );
});

test('tarball: a user can build the addon from it', async (t) => {
  const files = new Set(await packed());
  const listed = readFileSync(join(root, 'native', 'sources.txt'), 'utf8')
    .split('\n')
    .filter(Boolean);
  const needed = ['sources.txt', 'sources.cjs', 'millrace.gypi', ...listed];
  t.true(listed.length > 0);
  t.deepEqual(
    needed.filter((path) => !files.has(`native/${path}`)),
    [],
  );
});

test('tarball: everything that package.json points to is built and packed', async (t) => {
  const files = new Set(await packed());
  const pointed = [
    ...targetsOf(manifest.exports),
    ...Object.values(manifest.bin),
    manifest.main,
    manifest.types,
  ].map((path) => path.replace(/^\.\//, ''));
  t.true(pointed.length >= 4);
  for (const path of pointed) {
    t.true(existsSync(join(root, path)), `${path} exists`);
    t.true(files.has(path), `${path} is packed`);
  }
});

test('tarball: the command starts with a line that names node', (t) => {
  for (const path of Object.values(manifest.bin)) {
    t.regex(readFileSync(join(root, path), 'utf8'), /^#!\/usr\/bin\/env node\n/, path);
  }
});

/** Packs, with the scripts that run then, from a copy of what they need: other tests read the checkout. */
async function packForReal(folder: string): Promise<string[]> {
  const copy = join(folder, 'checkout');
  await mkdir(copy);
  for (const name of ['package.json', 'binding.gyp', 'native', 'LICENSE', 'NOTICE', 'README.md']) {
    await cp(join(root, name), join(copy, name), { recursive: true });
  }
  await symlink(join(root, 'node_modules'), join(copy, 'node_modules'));
  const command = ['pack', '--json', '--offline', '--pack-destination', folder];
  const { stdout } = await run('npm', command, { cwd: copy });
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
  await run('tar', ['-xzf', join(folder, filename), '-C', folder]);
  return readdirSync(join(copy, 'native'));
}

test('tarball: it carries liblz4 with its licence, and a build without it says what to do', async (t) => {
  const folder = temporaryFolder(t);
  t.false((await packForReal(folder)).includes('lz4'), 'the copy is gone after packing');
  const native = join(folder, 'package', 'native');
  const asked = await run(process.execPath, [join(native, 'lz4.cjs')], { cwd: folder });
  t.is(asked.stdout.trim(), join(native, 'lz4'));
  const licence = readFileSync(join(native, 'lz4', 'LICENSE'), 'utf8');
  t.regex(licence, /Redistributions in binary form must reproduce/);
  t.true(readFileSync(join(folder, 'package', 'NOTICE'), 'utf8').includes(licence));
  for (const name of ['lz4.c', 'lz4.h']) t.true(statSync(join(native, 'lz4', name)).size > 10_000);
  await rm(join(native, 'lz4', 'lz4.h'));
  const failure = await t.throwsAsync(run(process.execPath, [join(native, 'lz4.cjs')]));
  t.regex(failure?.message ?? '', /the sources of liblz4 .* reinstall millrace/);
});

test('package: nothing runs at install', (t) => {
  const hooks = ['preinstall', 'install', 'postinstall', 'prepare', 'prepublish'];
  t.deepEqual(
    hooks.filter((name) => name in manifest.scripts),
    [],
  );
  // Without this, npm runs node-gyp by itself wherever it finds a binding.gyp.
  t.false(manifest.gypfile);
});

test('package: dependencies are pinned', (t) => {
  const loose = Object.entries(manifest.dependencies).filter(([, range]) => !/^\d/.test(range));
  t.deepEqual(loose, []);
});
