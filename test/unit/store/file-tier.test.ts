// The file tier by itself: bounds, restarts, removals that race with writes.

import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { FileTier } from '../../../ts/store/file-tier.js';

const kept = () => true;

async function directoryOf(t: ExecutionContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-files-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

function nameOf(number: number): string {
  return number.toString(16).padStart(32, '0');
}

async function bytesOn(directory: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.name.endsWith('.record')) continue;
    bytes += (await stat(join(entry.parentPath, entry.name))).size;
  }
  return bytes;
}

test('file-tier: what was written is read back, also by the next life', async (t) => {
  const directory = await directoryOf(t);
  const tier = await FileTier.open(directory, 1_000_000);
  t.true(await tier.write(nameOf(1), [Buffer.from('ab'), Buffer.from('cd')], kept));
  t.deepEqual(await tier.read(nameOf(1)), Buffer.from('abcd'));
  const again = await FileTier.open(directory, 1_000_000);
  t.deepEqual(await again.read(nameOf(1)), Buffer.from('abcd'));
  t.deepEqual(again.hashKey, tier.hashKey);
  t.is(again.life, tier.life + 1);
});

test('file-tier: the directory never holds more than its size, and the oldest go first', async (t) => {
  const directory = await directoryOf(t);
  const tier = await FileTier.open(directory, 40_960);
  for (let number = 0; number < 30; number += 1) {
    await tier.write(nameOf(number), [Buffer.alloc(4096)], kept);
    t.true((await bytesOn(directory)) <= 40_960);
  }
  t.is(await tier.read(nameOf(0)), null);
  t.not(await tier.read(nameOf(29)), null);
  t.is(tier.stats().files, 10);
});

test('file-tier: a file that was read is spared once', async (t) => {
  const directory = await directoryOf(t);
  const tier = await FileTier.open(directory, 3 * 4096);
  for (let number = 0; number < 3; number += 1) {
    await tier.write(nameOf(number), [Buffer.alloc(4096)], kept);
  }
  await tier.read(nameOf(0));
  await tier.write(nameOf(3), [Buffer.alloc(4096)], kept);
  t.true(tier.has(nameOf(0)));
  t.false(tier.has(nameOf(1)));
});

test('file-tier: a record that is not wanted any more gets no name', async (t) => {
  const directory = await directoryOf(t);
  const tier = await FileTier.open(directory, 1_000_000);
  t.false(await tier.write(nameOf(1), [Buffer.alloc(10)], () => false));
  t.is(await bytesOn(directory), 0);
  t.is(tier.stats().bytes, 0);
});

test('file-tier: a removal while the record is being written wins', async (t) => {
  const directory = await directoryOf(t);
  const tier = await FileTier.open(directory, 1_000_000);
  let removal = Promise.resolve();
  const isKept = await tier.write(nameOf(1), [Buffer.alloc(10)], () => {
    removal = tier.remove(nameOf(1));
    return true;
  });
  await removal;
  t.false(isKept);
  t.is(await tier.read(nameOf(1)), null);
  t.is(await bytesOn(directory), 0);
});

test('file-tier: left-over parts of a killed process are cleared away', async (t) => {
  const directory = await directoryOf(t);
  const tier = await FileTier.open(directory, 1_000_000);
  await tier.write(nameOf(1), [Buffer.alloc(10)], kept);
  const part = join(directory, '00', `${nameOf(2)}.record.1-7.part`);
  await writeFile(part, 'half');
  await FileTier.open(directory, 1_000_000);
  await t.throwsAsync(stat(part));
});

test('file-tier: a directory that holds something else is refused by name', async (t) => {
  const directory = await directoryOf(t);
  await writeFile(join(directory, 'holiday.jpg'), '');
  const error = await t.throwsAsync(FileTier.open(directory, 1_000_000));
  t.regex(error?.message ?? '', /holiday\.jpg/);
});

test('file-tier: a smaller size at the next start shrinks what is there', async (t) => {
  const directory = await directoryOf(t);
  const tier = await FileTier.open(directory, 1_000_000);
  for (let number = 0; number < 10; number += 1) {
    await tier.write(nameOf(number), [Buffer.alloc(4096)], kept);
  }
  await FileTier.open(directory, 4 * 4096);
  t.true((await bytesOn(directory)) <= 4 * 4096);
});
