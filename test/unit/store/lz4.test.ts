// The two LZ4 codecs read each other's blocks: what the addon puts on a raw disk lz4-napi reads, and what the
// file tier writes by lz4-napi the addon reads; and the file tier's decisions, and its life without lz4-napi.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { uncompressSync } from 'lz4-napi';
import { encodeHead } from '../../../ts/store/entry.js';
import { FileCompressor } from '../../../ts/store/file-compressor.js';
import { openStore, type StoreOptions } from '../../../ts/store/store.js';
import { bodyBytes } from '../../support/bytes.js';
import { temporaryFolder } from '../../support/command.js';
import { makeRawFile } from '../../support/raw-file.js';

const kib = 1024;
const mib = 1024 * kib;
const page = 64 * kib;

/** Shrinks to a third; the second block of each chunk is noise and stays raw. */
function bodyOf(length: number): Buffer {
  let text = '';
  for (let line = 0; text.length < length; line += 1) text += `line ${line} of many lines\n`;
  const body = Buffer.from(text.slice(0, length));
  bodyBytes(page, 1).copy(body, page);
  return body;
}

async function putOne(options: StoreOptions, body: Buffer): Promise<void> {
  const store = await openStore(options);
  await store.warmed;
  const fill = store.beginFill('http://h/k');
  const head = encodeHead({
    status: 200,
    flags: 0,
    responseMs: 1,
    initialAgeMs: 0,
    freshUntilMs: 2,
    staleWhileRevalidateUntilMs: 0,
    staleIfErrorUntilMs: 0,
    bodyLength: body.length,
    lastModifiedS: null,
    dateS: 1,
    etag: '',
    varyNames: [],
    tags: new Uint8Array(0),
    fields: [],
    reason: '',
  });
  fill.begin({
    head,
    bodyLength: body.length,
    store: true,
    mayCompress: true,
    varyNames: [],
    requestFields: [],
  });
  fill.append(body);
  fill.finish();
  fill.close();
  await store.close();
}

function optionsOf(disk: StoreOptions['disk']): StoreOptions {
  return {
    memoryLimit: 64 * mib,
    l1Budget: mib,
    indexMemoryLimit: mib,
    disk,
    followerGraceMs: 1000,
    compress: true,
  };
}

interface Blocks {
  readonly body: Buffer;
  readonly compressed: number;
  readonly raw: number;
}

/** The body of the compressed record that begins at `at`, by lz4-napi alone and ON-DISK-FORMAT.md. */
function decodeRecord(disk: Buffer, at: number): Blocks {
  const length = disk.readUInt32LE(at + 92);
  const count = Math.ceil(length / page);
  const tables = at + 128;
  const lengths = Array.from({ length: count }, (_, block) =>
    disk.readUInt32LE(tables + 4 * (count + block)),
  );
  const header = 128 + 8 * count + disk.readUInt32LE(at + 60) + disk.readUInt32LE(at + 88);
  let position = at + Math.ceil(header / 512) * 512;
  const parts: Buffer[] = [];
  let raw = 0;
  for (const [block, stored] of lengths.entries()) {
    const bytes = disk.subarray(position, position + stored);
    position += stored;
    const isRaw = stored === Math.min(page, length - block * page);
    if (isRaw) raw += 1;
    parts.push(isRaw ? bytes : uncompressSync(bytes));
  }
  return { body: Buffer.concat(parts), compressed: count - raw, raw };
}

function findRecord(disk: Buffer, kind: number): number {
  for (let at = disk.indexOf('MRR1'); at >= 0; at = disk.indexOf('MRR1', at + 1)) {
    if (disk[at + 4] === kind && disk[at + 5] === 1) return at;
  }
  throw new Error(`no compressed record of kind ${kind}`);
}

test('lz4: lz4-napi reads what the addon put on a raw disk', async (t) => {
  const { path, remove } = await makeRawFile();
  t.teardown(remove);
  const body = bodyOf(700 * kib);
  await putOne(optionsOf({ kind: 'raw', devices: [{ path, useDirectIo: true }] }), body);
  const disk = readFileSync(path);
  const blocks = decodeRecord(disk, findRecord(disk, 1));
  t.true(blocks.body.equals(body));
  t.is(blocks.raw, 1);
  t.is(blocks.compressed, 10);
});

test('lz4: the addon reads what lz4-napi wrote for the file tier', async (t) => {
  const directory = join(temporaryFolder(t), 'files');
  const disk = { kind: 'file', directory, totalSize: 64 * mib } as const;
  const body = bodyOf(700 * kib);
  await putOne(optionsOf(disk), body);
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  const file = readFileSync(join(directory, names.find((name) => name.endsWith('.record'))!));
  t.is(decodeRecord(file, 0).raw, 1);
  t.true(decodeRecord(file, 0).body.equals(body));
  // Without lz4-napi, as far as reading goes: the option is off.
  const store = await openStore({ ...optionsOf(disk), compress: false });
  try {
    const found = await store.lookup('http://h/k', []);
    if (found.kind !== 'object') throw new Error(found.kind);
    let at = 0;
    while (at < body.length) {
      for (const lease of await found.object.read(at, body.length - at)) {
        t.true(body.subarray(at, at + lease.bytes.length).equals(lease.bytes));
        at += lease.bytes.length;
        lease.release();
      }
    }
    found.object.close();
  } finally {
    await store.close();
  }
});

test('file compressor: skips by type, by sample and what is small, and remembers', async (t) => {
  const compressor = await FileCompressor.load();
  if (typeof compressor === 'string') return t.fail(compressor);
  const pages = (body: Buffer): Buffer[] =>
    Array.from({ length: Math.ceil(body.length / page) }, (_, at) =>
      body.subarray(at * page, (at + 1) * page),
    );
  const noise = pages(bodyBytes(mib, 2));
  const text = pages(bodyOf(mib));
  t.is(await compressor.compress(0, text), null);
  t.is(await compressor.compress(1, pages(bodyOf(mib).subarray(0, 4000))), null);
  t.is(await compressor.compress(2, noise), null);
  t.is(await compressor.compress(2, text), null, 'a later chunk of what did not shrink');
  t.is((await compressor.compress(3, text))?.length, 16);
  t.is(await compressor.compress(4, []), null);
  const { lz4BytesBefore, lz4BytesAfter, ...counts } = compressor.stats();
  t.is(lz4BytesBefore, mib);
  t.true(lz4BytesAfter < mib / 2);
  t.deepEqual(counts, {
    lz4Blocks: 15,
    lz4BlocksKeptRaw: 1,
    lz4SkippedByType: 16,
    lz4SkippedBySample: 32,
    lz4SkippedSmall: 1,
  });
});

test('file compressor: without the binary it says what happens and what to do', async (t) => {
  const refusal = await FileCompressor.load(() =>
    Promise.reject(new Error('Cannot find native binding.\nmore')),
  );
  t.regex(String(refusal), /everything uncompressed \(Cannot find native binding\.\)/);
  t.regex(String(refusal), /raw_disk_cache\.enable_compression/);
});
