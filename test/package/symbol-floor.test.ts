// The oldest system that the addon loads on. A binary that is built here must run on every distribution
// since 2018 (glibc 2.28, GCC 8's libstdc++), so the versions it asks for are read out of the file itself.

import { readFileSync } from 'node:fs';
import { endianness } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { type ElfFile, parseElf } from '../support/elf.js';
import { repositoryRoot } from '../support/root.js';

/** Highest version of each family; a family that is not here is not asked for at all. */
const floors: Readonly<Record<string, readonly number[]>> = {
  GLIBC: [2, 28],
  GLIBCXX: [3, 4, 25],
  CXXABI: [1, 3, 11],
  GCC: [7, 0, 0],
};

const machines: Readonly<Record<string, number>> = { x64: 62, arm64: 183 };

const flagNodelete = 8;

/** Symbols that load here and break somewhere else, with what to use instead. */
const forbiddenSymbols: readonly (readonly [RegExp, string])[] = [
  [/^l?stat(64)?$|^fstat(64)?$|^fstatat(64)?$/, 'GLIBC_2.33; statx has been there since 2.28'],
  [/^pthread_cond_clockwait$|^pthread_mutex_clocklock$/, 'GLIBC_2.30; base/sync.h'],
  [/^_ZNSt(18condition_variable|6thread|7jthread)/, 'moved between versions; base/sync.h'],
  [/_Sp_counted|_Sp_locker/, 'std::shared_ptr; base/ref.h'],
  [/^uv_/, 'libuv is not part of Node-API'],
  [/^_ZN(2v8|4node)|^_ZNK2v8/, 'V8 and Node classes change with every major version'],
  [
    /^__cxa_(throw|rethrow|begin_catch|allocate_exception)$/,
    'there are no exceptions in the addon',
  ],
  [/^__(asan|tsan|ubsan)_/, 'a sanitizer build is not what ships'],
];

function readAddon(): ElfFile {
  return parseElf(readFileSync(join(repositoryRoot(), 'build', 'Release', 'millrace.node')));
}

/** Positive when a is above b. */
function compareVersions(a: readonly number[], b: readonly number[]): number {
  for (let at = 0; at < Math.max(a.length, b.length); at += 1) {
    const difference = (a[at] ?? 0) - (b[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Versions above their floor, or of a family without one. */
function versionsAbove(versions: readonly string[]): string[] {
  return versions.filter((version) => {
    const [, family = '', numbers = ''] = /^([A-Z]+)_([\d.]+)$/.exec(version) ?? [];
    const floor = floors[family];
    return floor === undefined || compareVersions(numbers.split('.').map(Number), floor) > 0;
  });
}

function forbiddenOf(symbols: readonly string[]): string[] {
  return symbols.flatMap((symbol) =>
    forbiddenSymbols
      .filter(([pattern]) => pattern.test(symbol))
      .map(([, reason]) => `${symbol}: ${reason}`),
  );
}

const linux = process.platform === 'linux' && endianness() === 'LE' ? test : test.skip;

linux('symbol floor: the addon asks for no version above it', (t) => {
  const { versions } = readAddon();
  t.true(versions.length > 0, 'a linked addon has versions');
  t.deepEqual(versionsAbove(versions), []);
});

linux('symbol floor: the addon uses no forbidden symbol', (t) => {
  const { undefinedSymbols } = readAddon();
  t.true(
    undefinedSymbols.some((symbol) => symbol.startsWith('napi_')),
    'it is an addon',
  );
  t.deepEqual(forbiddenOf(undefinedSymbols), []);
});

linux('symbol floor: the LZ4 in the addon is not offered to others', (t) => {
  const { definedSymbols } = readAddon();
  t.true(definedSymbols.length > 0);
  t.deepEqual(
    definedSymbols.filter((symbol) => /lz4/i.test(symbol)),
    [],
  );
});

linux('symbol floor: the addon stays in memory when its last environment is gone', (t) => {
  t.is(readAddon().flags1 & flagNodelete, flagNodelete, 'link with -z nodelete');
});

linux('symbol floor: the addon is for this machine', (t) => {
  t.is(readAddon().machine, machines[process.arch] ?? -1);
});

linux('symbol floor: the addon needs the C and C++ libraries only', (t) => {
  const known =
    /^(libc|libm|libpthread|libdl|librt|libgcc_s|libstdc\+\+|ld-linux-[\w-]+)\.so\.\d+$/;
  t.deepEqual(
    readAddon().needed.filter((library) => !known.test(library)),
    [],
  );
});

linux('elf: the running node is read as what it is', (t) => {
  const node = parseElf(readFileSync(process.execPath));
  t.is(node.machine, machines[process.arch] ?? -1);
  t.true(node.needed.some((library) => /^libc\.so\.6$|musl/.test(library)));
  t.true(node.undefinedSymbols.length > 100);
});

test('elf: anything else is refused', (t) => {
  t.throws(() => parseElf(Buffer.alloc(64)), { instanceOf: RangeError });
  t.throws(() => parseElf(Buffer.from('#!/bin/sh\n')), { instanceOf: RangeError });
});

test('symbol floor: versions compare as numbers', (t) => {
  const asked = ['GLIBC_2.4', 'GLIBC_2.28', 'GLIBC_2.30', 'GLIBCXX_3.4.9', 'GLIBCXX_3.4.26', 'X_1'];
  t.deepEqual(versionsAbove(asked), ['GLIBC_2.30', 'GLIBCXX_3.4.26', 'X_1']);
});

test('symbol floor: forbidden symbols are found', (t) => {
  const symbols = [
    'statx',
    'fstat',
    '_ZNSt18condition_variableC1Ev',
    'uv_run',
    'napi_wrap',
    'read',
  ];
  t.deepEqual(
    forbiddenOf(symbols).map((line) => line.split(':')[0]),
    ['fstat', '_ZNSt18condition_variableC1Ev', 'uv_run'],
  );
});
