// l2_backend file through the whole proxy: what was fetched is there after a restart, purges last, the
// directory stays within its size, damage is a miss, and a directory of somebody else's is left alone.

import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { StoreError } from '../../ts/errors.js';
import { openStore } from '../../ts/store/store.js';
import { bodyBytes } from '../support/bytes.js';
import { temporaryFolder } from '../support/command.js';
import { withProxy } from '../support/harness.js';
import type { Script } from '../support/scripted-origin.js';
import { until } from '../support/until.js';

const kib = 1024;
const mib = 1024 * kib;
const lifetime = ['Cache-Control', 'max-age=600'];

/** The body of /<length>/<anything>. */
const sized: Script = async (request, reply) => {
  if (request.method !== 'GET') return reply.send({ status: 204 });
  return reply.send({ fields: lifetime, body: bodyOf(request.target) });
};

function bodyOf(target: string): Buffer {
  const [, length, name = ''] = target.split('/');
  return bodyBytes(Number(length), Number(length) + Number(name));
}

async function filesIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true });
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
}

async function bytesIn(directory: string): Promise<number> {
  let bytes = 0;
  for (const path of await filesIn(directory)) bytes += (await stat(path)).size;
  return bytes;
}

for (const length of [0, 1, 70 * kib, mib, mib + 1, 5 * mib]) {
  test(`file tier: ${length} bytes come from memory, and from the files after a restart`, async (t) => {
    await withProxy(t, { origin: sized, store: 'file' }, async (scene) => {
      const target = `/${length}/1`;
      const expected = bodyOf(target);
      const miss = await scene.get(target);
      await scene.settled();
      const hit = await scene.get(target);
      await scene.restart();
      const cold = await scene.get(target);
      for (const response of [miss, hit, cold]) t.true(response.body.equals(expected));
      t.is(hit.field('cache-status'), 'millrace; hit; ttl=600; detail=memory');
      t.is(cold.field('cache-status'), 'millrace; hit; ttl=600; detail=disk');
      t.is(scene.origin.requests.length, 1);
    });
  });
}

test('file tier: what a POST removed stays removed, in its files too', async (t) => {
  await withProxy(t, { origin: sized, store: 'file' }, async (scene) => {
    const target = `/${2 * mib}/1`;
    await scene.get(target);
    await scene.get('/10/1');
    await scene.restart();
    t.is((await scene.send(target, { method: 'POST', body: 'x' })).status, 204);
    t.is((await scene.send(target, { method: 'HEAD' })).field('x-cache'), 'MISS');
    await scene.restart();
    t.is((await scene.send(target, { method: 'HEAD' })).field('x-cache'), 'MISS');
    t.is((await scene.get('/10/1')).field('x-cache'), 'HIT');
  });
});

test('file tier: many objects stay within the size, the newest are there and the oldest gone', async (t) => {
  const size = 24 * mib;
  const config = () => ({ l1_cache_size_bytes: 2 * mib });
  await withProxy(t, { origin: sized, store: 'file', size, config }, async (scene) => {
    const targets = Array.from({ length: 60 }, (_, at) => `/${mib + 1000}/${at}`);
    for (const target of targets) {
      const got = await scene.get(target);
      t.true(got.body.equals(bodyOf(target)));
      // The tier drops what it cannot write in time; here each object is meant to be written.
      await until('the files', () => scene.storeStats().stagedBytes === 0);
    }
    await scene.restart(async () => {
      t.true((await bytesIn(scene.storePath)) <= size, `${await bytesIn(scene.storePath)} bytes`);
    });
    const { fileBytes, filesEvicted } = scene.storeStats();
    t.true(Number(fileBytes) > size / 2 && Number(fileBytes) <= size, `${fileBytes}`);
    t.is(filesEvicted, 0, 'nothing more had to go at the start');
    const asked = scene.origin.requests.length;
    for (const target of targets.slice(-5)) {
      const hit = await scene.get(target);
      t.is(hit.field('x-cache'), 'HIT', target);
      t.true(hit.body.equals(bodyOf(target)));
    }
    t.is(scene.origin.requests.length, asked);
    const oldest = await scene.get(targets[0]!);
    t.is(oldest.field('x-cache'), 'MISS');
    t.true(oldest.body.equals(bodyOf(targets[0]!)));
  });
});

test('file tier: an object of which a part is gone is fetched again before its head is out', async (t) => {
  await withProxy(t, { origin: sized, store: 'file' }, async (scene) => {
    const target = `/${2 * mib}/1`;
    await scene.get(target);
    let gone = 0;
    await scene.restart(async () => {
      for (const path of await filesIn(scene.storePath)) {
        // Chunks are large and the head is small: only the head stays.
        if ((await stat(path)).size < mib) continue;
        await rm(path);
        gone += 1;
      }
    });
    t.is(gone, 2);
    const again = await scene.get(target);
    t.is(again.field('cache-status'), 'millrace; fwd=miss; stored');
    t.true(again.isComplete);
    t.true(again.body.equals(bodyOf(target)));
    await scene.settled();
    t.is((await scene.get(target)).field('x-cache'), 'HIT');
    t.is(scene.origin.requests.length, 2);
  });
});

test('file tier: a smaller size after a restart removes the oldest until it fits', async (t) => {
  await withProxy(t, { origin: sized, store: 'file', size: 32 * mib }, async (scene) => {
    for (let at = 0; at < 20; at += 1) {
      await scene.get(`/${mib}/${at}`);
      // The tier drops what it cannot write in time; the last of these is meant to be there.
      await until('the files', () => scene.storeStats().stagedBytes === 0);
    }
    await scene.restart(async () => {
      const disk = { kind: 'file', directory: scene.storePath, totalSize: 8 * mib } as const;
      const store = await openStore({
        memoryLimit: scene.config.memoryLimitBytes,
        l1Budget: scene.config.l1CacheSizeBytes,
        indexMemoryLimit: scene.config.indexMemoryLimitBytes,
        disk,
        followerGraceMs: 1000,
      });
      await store.close();
      t.true((await bytesIn(scene.storePath)) <= 8 * mib);
    });
    t.is((await scene.get(`/${mib}/19`)).field('x-cache'), 'HIT');
    t.is((await scene.get(`/${mib}/0`)).field('x-cache'), 'MISS');
  });
});

/** What may happen to a file while nobody looks. */
const damages: ReadonlyArray<readonly [string, (bytes: Buffer) => Buffer]> = [
  ['a flipped bit in its middle', (bytes) => flipped(bytes, bytes.length >> 1)],
  ['a flipped bit at its start', (bytes) => flipped(bytes, 3)],
  ['a flipped bit at its end', (bytes) => flipped(bytes, bytes.length - 1)],
  ['half of it gone', (bytes) => bytes.subarray(0, bytes.length >> 1)],
  ['nothing left', () => Buffer.alloc(0)],
  ['zeros in its place', (bytes) => Buffer.alloc(bytes.length)],
];

function flipped(bytes: Buffer, at: number): Buffer {
  bytes[at]! ^= 0x10;
  return bytes;
}

for (const [what, damage] of damages) {
  test(`file tier: a file with ${what} never gives a wrong byte and is fetched again`, async (t) => {
    await withProxy(t, { origin: sized, store: 'file' }, async (scene) => {
      const targets = ['/100/1', `/${3 * mib}/2`];
      for (const target of targets) await scene.get(target);
      await scene.restart(async () => {
        const records = (await filesIn(scene.storePath)).filter((path) => path.endsWith('.record'));
        t.true(records.length >= targets.length);
        for (const path of records) await writeFile(path, damage(await readFile(path)));
      });
      for (const target of targets) {
        // Found damaged in mid-body, the rest of it cannot be had: then the break is visible.
        const got = await scene.get(target);
        t.true(got.body.equals(bodyOf(target).subarray(0, got.body.length)));
        t.true(got.body.length === bodyOf(target).length || !got.isComplete);
        await scene.settled();
        const again = await scene.get(target);
        t.true(again.isComplete);
        t.true(again.body.equals(bodyOf(target)));
      }
    });
  });
}

test("file tier: one object's file under another's name is not served for it", async (t) => {
  await withProxy(t, { origin: sized, store: 'file' }, async (scene) => {
    for (const target of ['/100/1', '/100/2']) await scene.get(target);
    await scene.restart(async () => {
      const records = (await filesIn(scene.storePath)).filter((path) => path.endsWith('.record'));
      t.is(records.length, 2);
      const [one, two] = await Promise.all(records.map((path) => readFile(path)));
      await writeFile(records[0]!, two!);
      await writeFile(records[1]!, one!);
    });
    for (const target of ['/100/1', '/100/2']) {
      const got = await scene.get(target);
      t.is(got.field('x-cache'), 'MISS');
      t.true(got.body.equals(bodyOf(target)));
    }
  });
});

test('file tier: files left from a write that was cut short are removed at the start', async (t) => {
  await withProxy(t, { origin: sized, store: 'file' }, async (scene) => {
    await scene.get('/100/1');
    let left = '';
    await scene.restart(async () => {
      const record = (await filesIn(scene.storePath)).find((path) => path.endsWith('.record'))!;
      left = `${record}.1-99.part`;
      await writeFile(left, 'half a record');
    });
    t.false((await filesIn(scene.storePath)).includes(left));
    t.is((await scene.get('/100/1')).field('x-cache'), 'HIT');
  });
});

test("file tier: a directory with somebody else's files is refused and left as it is", async (t) => {
  const directory = join(temporaryFolder(t), 'photos');
  await mkdir(directory);
  await writeFile(join(directory, 'holiday.jpg'), 'not ours');
  const opening = openStore({
    memoryLimit: 96 * mib,
    l1Budget: 16 * mib,
    indexMemoryLimit: mib,
    disk: { kind: 'file', directory, totalSize: 256 * mib },
    followerGraceMs: 1000,
  });
  const refusal = await t.throwsAsync(opening, { instanceOf: StoreError });
  t.is(refusal?.code, 'ERR_MILLRACE_STORE_FOREIGN_DEVICE');
  t.true(refusal?.message.includes(directory));
  t.deepEqual(await readdir(directory), ['holiday.jpg']);
  t.is(await readFile(join(directory, 'holiday.jpg'), 'utf8'), 'not ours');
});
