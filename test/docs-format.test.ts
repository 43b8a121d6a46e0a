// docs/ON-DISK-FORMAT.md against native/layout: the tables against the tables in the comments of the
// sources and against the calls that encode, the constants against the headers, and the worked example
// against checksums and the decoder of stored heads.

import test from 'ava';
import { decodeHead } from '../ts/store/entry.js';
import { fileAt } from './support/tree.js';

interface Row {
  readonly offset: number;
  /** Null: up to the next row. */
  readonly size: number | null;
  readonly field: string;
}

const page = fileAt('docs/ON-DISK-FORMAT.md').text;

/** The rows `| offset | size | field | ... |` of the table whose magic or first field is `first`. */
function tableOf(first: string): Row[] {
  const tables = page.split(/\n\n/).filter((part) => part.startsWith('| offset | size | field |'));
  const found = tables.filter((table) => (table.split('\n')[2] ?? '').includes(first));
  if (found.length !== 1) throw new Error(`${found.length} tables begin with ${first}`);
  return (found[0] ?? '')
    .trimEnd()
    .split('\n')
    .slice(2)
    .map((line) => {
      const cells = line.split('|').map((cell) => cell.trim());
      const size = cells[2] === '.' ? null : Number(cells[2]);
      return { offset: Number(cells[1]), size, field: cells[3] ?? '' };
    });
}

/** `offset size name` out of the comment before the code; a second column begins at `split`. */
function commentRows(path: string, split: number, column: 'left' | 'right'): string[] {
  const { text } = fileAt(path);
  const lines = text.slice(0, text.indexOf('#')).split('\n');
  const cell = /(?<!\S)(\d+) +(\d+|\.) +[A-Za-z_]/g;
  return lines
    .flatMap((line) => [...line.matchAll(cell)])
    .filter((match) => match.index < split === (column === 'left'))
    .map((match) => `${match[1]} ${match[2]}`);
}

const placesOf = (rows: readonly Row[]): string[] =>
  rows.map(({ offset, size }) => `${offset} ${size ?? '.'}`);

const byOffset = (a: string, b: string): number => Number.parseInt(a, 10) - Number.parseInt(b, 10);

const tables = {
  superblock: tableOf('`MILLRACE`'),
  segmentHeader: tableOf('`MRS1`'),
  trailer: tableOf('`MRF1`'),
  entry: tableOf('| hash |'),
  record: tableOf('`MRR1`'),
  head: tableOf('`MRH1`'),
  purgeBlock: tableOf('`MRP1`'),
  purgeEntry: tableOf('| purge_kind |'),
};

test('format: every table is without gaps and overlaps', (t) => {
  for (const [name, rows] of Object.entries(tables)) {
    let end = 0;
    for (const { offset, size } of rows) {
      t.is(offset, end, name);
      end = size === null ? (rows.find((row) => row.offset > offset)?.offset ?? 0) : offset + size;
    }
  }
});

test('format: superblock, record and head have the tables of their sources', (t) => {
  const both = (path: string, split: number): string[] =>
    [...commentRows(path, split, 'left'), ...commentRows(path, split, 'right')].sort(byOffset);
  t.deepEqual(placesOf(tables.superblock), both('native/layout/superblock.cc', 30));
  t.deepEqual(placesOf(tables.record), both('native/layout/record.cc', 30));
  t.deepEqual(placesOf(tables.head), both('native/layout/head.h', 30));
});

test('format: segment header and trailer have the tables of their source', (t) => {
  const named = (rows: readonly Row[]): string[] =>
    placesOf(rows.filter(({ field }) => field !== 'zero'));
  const path = 'native/layout/segment.cc'; // Its last line is on the left and speaks of both.
  t.deepEqual(named(tables.segmentHeader), commentRows(path, 20, 'left'));
  t.deepEqual(named(tables.trailer), [...commentRows(path, 20, 'right'), '4092 4']);
});

/** Every `store_le<uintN_t>(target, offset, expression)` of a source. */
function storesOf(path: string, target: string) {
  const { text } = fileAt(path);
  const named = new Map(
    [...text.matchAll(/constexpr size_t (k\w+) = (\d+);/g)].map((match) => [match[1], match[2]]),
  );
  const call = new RegExp(
    `store_le<uint(\\d+)_t>\\(${target}, (at \\+ )?(at|\\d+|k\\w+), ([^;]*)\\);`,
    'g',
  );
  return [...text.matchAll(call)].map((match) => {
    const place = match[3] ?? '';
    const offset = place === 'at' ? 0 : Number(named.get(place) ?? place);
    // Null for what is computed in place.
    const field = /^\w+\.(?:geometry\.)?(\w+)$/.exec(match[4] ?? '')?.[1] ?? null;
    return { offset, size: Number(match[1]) / 8, field, expression: match[4] ?? '' };
  });
}

const encoders = [
  ['native/layout/superblock.cc', 'out', tables.superblock, 15],
  ['native/layout/record.cc', 'out', tables.record, 16],
  ['native/layout/head.cc', 'out', tables.head, 20],
  ['native/layout/segment.cc', 'trailer', tables.trailer, 4],
  ['native/layout/segment.cc', 'out', tables.segmentHeader, 5],
  ['native/layout/segment.cc', 'array', tables.entry, 4],
] as const;

for (const [path, target, rows, least] of encoders) {
  test(`format: what ${path} encodes into ${target} is in the table`, (t) => {
    const stores = storesOf(path, target);
    t.true(stores.length >= least, `${stores.length} calls`);
    for (const { offset, size, field, expression } of stores) {
      const row = rows.find((row) => row.offset <= offset && offset < row.offset + (row.size ?? 0));
      t.true(row !== undefined, `${offset}: ${expression}`);
      // The halves of the key hash share a row; a section's place has the section's name in the code.
      if (row?.size !== size || row.offset !== offset) t.is(row?.field, 'key_hash', expression);
      else if (field !== null && !expression.startsWith('at.')) t.is(row.field, field, expression);
    }
  });
}

/**
 * Value of `A * B`, `A / B`, `(ByteCount{1} << n) * B` or a number, with the constants known so far. The
 * scale of what ships is 0.
 */
function evaluate(expression: string, known: ReadonlyMap<string, number>): number {
  const unscaled = expression.replace(/\s*>> MILLRACE_SCALE_SHIFT$/, '');
  const [dividend, divisor] = unscaled.split(' / ');
  if (dividend !== undefined && divisor !== undefined) {
    return evaluate(dividend, known) / evaluate(divisor, known);
  }
  return unscaled.split('*').reduce((product, factor) => {
    const shift = /ByteCount\{1\} << (\d+)/.exec(factor)?.[1];
    if (shift !== undefined) return product * 2 ** Number(shift);
    const name = factor.trim();
    return product * (known.get(name) ?? Number(name));
  }, 1);
}

function constants(): ReadonlyMap<string, number> {
  const known = new Map<string, number>();
  const layout = ['geometry', 'superblock', 'purge-journal', 'segment', 'record', 'head'];
  for (const path of ['native/base/units.h', ...layout.map((name) => `native/layout/${name}.h`)]) {
    const definition = /inline constexpr (?:ByteCount|ByteOffset) (k\w+) =\s+([^;]+);/g;
    for (const match of fileAt(path).text.matchAll(definition)) {
      known.set(match[1] ?? '', evaluate(match[2] ?? '', known));
    }
  }
  return known;
}

test('format: constants have the values of the headers, and none of the layout is left out', (t) => {
  const known = constants();
  const rows = [...page.matchAll(/^\| `(k\w+)` \| (\d+) \| [^|]+\|$/gm)];
  const sizes = new Map(rows.map((match) => [match[1] ?? '', Number(match[2])]));
  for (const [name, value] of sizes) {
    if (!name.startsWith('kHead') || name === 'kHeadFixedSize') t.is(known.get(name), value, name);
  }
  const units = ['kKiB', 'kMiB', 'kGiB'];
  t.deepEqual(
    [...known.keys()].filter((name) => !sizes.has(name) && !units.includes(name)),
    [],
  );
});

test('format: head flags and record kinds have the numbers of the headers', (t) => {
  const flags = [...fileAt('native/layout/head.h').text.matchAll(/(kHead\w+) = 1 << (\d)/g)];
  t.is(flags.length, 9);
  for (const [, name, bit] of flags) {
    t.regex(page, new RegExp(`^\\| \`${name}\` \\| ${bit} \\|`, 'm'), name);
  }
  const body = /enum class RecordKind[^{]*\{([^}]*)\}/.exec(fileAt('native/layout/record.h').text);
  const kinds = [...(body?.[1] ?? '').matchAll(/(\w+) = (\d)/g)].map(
    ([, name, n]) => `${n} ${name}`,
  );
  t.is(kinds.length, 3);
  t.true(page.includes(`| kind | ${kinds.join(', ')} |`));
});

/** The bytes of the worked example by address, zeros where the dump says "*". */
function readDump(text: string): Map<number, Buffer> {
  const pages = new Map<number, Buffer>();
  for (const block of text.matchAll(/^```dump\n([\s\S]*?)^```$/gm)) {
    const lines = (block[1] ?? '')
      .trimEnd()
      .split('\n')
      .filter((line) => line !== '*');
    const rows = lines.map((line) => {
      const match = /^([0-9a-f]{8}) {2}((?:[0-9a-f]{2} ?){16}) /.exec(line);
      if (match === null) throw new Error(`not a line of a dump: ${line}`);
      const bytes = Buffer.from((match[2] ?? '').replaceAll(' ', ''), 'hex');
      return { address: Number.parseInt(match[1] ?? '', 16), bytes, shown: line.slice(59) };
    });
    const start = rows[0]?.address ?? 0;
    const out = Buffer.alloc((rows.at(-1)?.address ?? 0) + 16 - start);
    for (const { address, bytes, shown } of rows) {
      const ascii = bytes.toString('latin1').replace(/[^\x20-\x7e]/g, '.');
      if (ascii !== shown) throw new Error(`${address.toString(16)}: "${shown}" is not "${ascii}"`);
      bytes.copy(out, address - start);
    }
    pages.set(start, out);
  }
  return pages;
}

function crc32c(bytes: Buffer): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f6_3b78 : 0);
  }
  return ~crc >>> 0;
}

const mib = 2 ** 20;
const segment = 65 * mib;
const segmentEnd = segment + 4 * mib;
const dump = readDump(page);
const at = (address: number): Buffer => {
  const bytes = dump.get(address);
  if (bytes === undefined) throw new Error(`nothing is shown at 0x${address.toString(16)}`);
  return bytes;
};
const offsetOf = (rows: readonly Row[], field: string): number => {
  const row = rows.find((candidate) => candidate.field === field);
  if (row === undefined) throw new Error(`no field ${field}`);
  return row.offset;
};

test('format: the checksums of the example are right', (t) => {
  t.is(crc32c(Buffer.from('123456789')), 0xe306_9283, 'the check value of CRC-32C');
  const superblock = at(64 * 1024);
  t.is(superblock.length, 4096);
  t.is(superblock.readUInt32LE(4092), crc32c(superblock.subarray(0, 4088)));
  for (const address of [segment, segmentEnd - 4096]) {
    const bytes = at(address);
    t.is(bytes.length, 4096);
    t.is(bytes.readUInt32LE(4092), crc32c(bytes.subarray(0, 4092)));
  }
  const entriesCrc = offsetOf(tables.trailer, 'entries_crc');
  t.is(at(segmentEnd - 4096).readUInt32LE(entriesCrc), crc32c(at(segmentEnd - 8192)));
});

test('format: the identification sector of the example names the uuid of its superblock', (t) => {
  const uuid = offsetOf(tables.superblock, 'uuid');
  const digits = at(64 * 1024).toString('hex', uuid, uuid + 16);
  const text = /constexpr char kIdentification\[\] = "([^"]+)"/.exec(
    fileAt('native/layout/superblock.cc').text,
  )?.[1];
  const sector = at(0);
  t.is(sector.length, 512);
  t.is(sector.toString('latin1').replace(/\0+$/, ''), `${text}${digits}\n`);
  t.is(at(segment).toString('hex', 16, 32), digits);
});

test('format: the record of the example decodes by its table', (t) => {
  const bytes = at(segment + 4096);
  const u32 = (field: string): number => bytes.readUInt32LE(offsetOf(tables.record, field));
  t.is(bytes.toString('latin1', 0, 4), 'MRR1');
  const keyAt = 128 + 4;
  const headAt = keyAt + u32('key_length');
  t.is(bytes.toString('latin1', keyAt, headAt), 'http://example.com/hello');
  const head = decodeHead(bytes.subarray(headAt, headAt + u32('meta_length')));
  t.like(head, { status: 200, etag: '"v1"', bodyLength: 16, reason: 'OK' });
  t.is(head.freshUntilMs - head.dateS * 1000, 3_600_000);
  const body = bytes.subarray(512, 512 + u32('body_length'));
  t.is(body.toString('latin1'), 'hello, raw disk\n');
  t.is(bytes.readUInt32LE(128), crc32c(body));
  const header = Buffer.from(bytes.subarray(0, 512));
  header.writeUInt32LE(0, offsetOf(tables.record, 'crc32c'));
  t.is(u32('crc32c'), crc32c(header));
});

test('format: the footer of the example leads to its record', (t) => {
  const entry = at(segmentEnd - 8192);
  const record = at(segment + 4096);
  const hash = offsetOf(tables.record, 'key_hash');
  t.deepEqual(entry.subarray(0, 8), record.subarray(hash, hash + 8));
  t.is(entry.readUInt32LE(16) * 512, 4096);
  t.is(record[4], entry.readUInt32LE(20) >>> 28);
  t.is((entry.readUInt32LE(20) & 0xfff_ffff) * 512, 1024);
});

test('format: numbers named in the walk are those of the example', (t) => {
  const walk = page.slice(page.indexOf('## A worked example'));
  const superblock = at(64 * 1024);
  const record = at(segment + 4096);
  for (const value of [
    superblock.readBigUInt64LE(offsetOf(tables.superblock, 'created_ms')),
    at(segment).readBigUInt64LE(32),
    record.readBigUInt64LE(offsetOf(tables.record, 'created_ms')),
  ]) {
    t.true(walk.includes(` ${value}`), `${value}`);
  }
  for (const value of [
    superblock.readUInt32LE(4092),
    record.readUInt32LE(offsetOf(tables.record, 'crc32c')),
    record.readUInt32LE(128),
    at(segmentEnd - 4096).readUInt32LE(offsetOf(tables.trailer, 'entries_crc')),
  ]) {
    t.true(walk.includes(`0x${value.toString(16).padStart(8, '0')}`), value.toString(16));
  }
});
