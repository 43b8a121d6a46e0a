// Loading the addon, and what is said when it cannot be loaded.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { InternalError } from '../../../ts/errors.js';
import { loadAddon, loadFrom } from '../../../ts/native/binding.js';

async function emptyPackage(t: ExecutionContext): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'millrace-binding-'));
  t.teardown(() => rm(root, { recursive: true, force: true }));
  return root;
}

test('binding: a missing binary is told with platform, places, the loader and the command', async (t) => {
  const root = await emptyPackage(t);
  const error = t.throws(() => loadFrom(root), { instanceOf: InternalError });
  t.is(error?.code, 'ERR_MILLRACE_ADDON_MISSING');
  const text = error?.message ?? '';
  t.true(text.includes(`${process.platform} ${process.arch}`));
  t.true(text.includes(process.version));
  t.true(text.includes(join(root, 'build', 'Release', 'millrace.node')));
  t.regex(text, /loader: +No native build was found/);
  t.regex(text, /npx millrace build-addon/);
});

test('binding: a binary for another machine is told in the words of the loader', async (t) => {
  const root = await emptyPackage(t);
  await mkdir(join(root, 'build', 'Release'), { recursive: true });
  await writeFile(join(root, 'build', 'Release', 'millrace.node'), 'not an ELF file at all');
  const error = t.throws(() => loadFrom(root), { instanceOf: InternalError });
  t.regex(error?.message ?? '', /loader: +.*(invalid ELF header|file too short)/);
});

test('binding: loaded twice it is the same addon', (t) => {
  t.is(loadAddon(), loadAddon());
});
