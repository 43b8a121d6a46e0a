// Result files: what is written can be read, passes the linter's layout, and tells nothing about where it
// was made; what is no result is refused with the name of the file and of the field.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import {
  describeCommit,
  describeMachine,
  describeVersions,
  mountOf,
  parseMounts,
  searchPath,
} from '../../../bench/machine.js';
import { benchPaths, findResult } from '../../../bench/paths.js';
import {
  isResultName,
  latestWith,
  layOut,
  mergedOf,
  parseResult,
  readResult,
  readResults,
  writeResult,
} from '../../../bench/results.js';
import { repositoryRoot } from '../../support/root.js';
import { metric, named, result, row, suite } from './samples.js';

function directoryOf(t: ExecutionContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-results-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

const sample = result([
  suite('hit', [
    row('millrace', '1 KiB', metric('CPU', 'us/req', [1 / 3, 2, 300_000.123456])),
    { ...row('nginx 1.22', '1 KiB', metric('CPU', 'us/req', [1])), note: 'sendfile on' },
  ]),
]);

test('results: what is written is read again, rounded to six digits', (t) => {
  const path = join(directoryOf(t), 'deep', 'a.json');
  writeResult(path, sample);
  const read = readResult(path);
  t.is(read.name, 'a');
  t.deepEqual(read.result.suites[0]?.rows[0]?.metrics[0]?.values, [0.333333, 2, 300_000]);
  t.deepEqual(read.result.suites[0]?.rows[1], sample.suites[0]?.rows[1]);
  t.deepEqual({ ...read.result, suites: [] }, { ...sample, suites: [] });
});

test('results: the layout is JSON, and no line is longer than it has to be', (t) => {
  const holds = fc.property(fc.jsonValue(), (value) => {
    t.deepEqual(JSON.parse(layOut(value, '')), JSON.parse(JSON.stringify(value)));
  });
  t.notThrows(() => fc.assert(holds));
  const numbers = Array.from({ length: 60 }, (_, place) => place / 7);
  const lines = layOut({ values: numbers, names: ['a', 'b'], none: [] }, '').split('\n');
  t.true(lines.every((line) => line.length <= 100));
  t.true(lines.includes('  "names": ["a", "b"],'));
  t.true(lines.includes('  "none": []'));
});

test('results: what is no result is refused by file and field', (t) => {
  const refused = (text: string) => t.throws(() => parseResult(text, 'x.json'))?.message ?? '';
  t.regex(refused('{'), /^x\.json: not JSON/);
  const without = { ...sample, machine: { ...sample.machine, cpu: 7 } };
  t.regex(refused(JSON.stringify(without)), /^x\.json: .*machine\.cpu/);
  t.regex(refused(JSON.stringify({ ...sample, host: 'name' })), /host/);
  t.regex(refused(JSON.stringify({ ...sample, format: 2 })), /format/);
  t.throws(() => readResult(join(directoryOf(t), 'none.json')), {
    code: 'ERR_MILLRACE_CONFIG_UNREADABLE',
  });
});

test('results: the latest of a suite is the newest that holds it whole', (t) => {
  const at = (day: number, name: string, failure: string | null = null) =>
    named(`${name}-${day}`, [suite(name, [], failure)], { date: `2026-11-0${day}T00:00:00.000Z` });
  const all = [at(1, 'hit'), at(2, 'hit'), at(3, 'miss'), at(4, 'hit', 'it broke')];
  t.is(latestWith(all, 'hit')?.name, 'hit-2');
  t.is(latestWith(all, 'miss')?.name, 'miss-3');
  t.is(latestWith(all, 'seed'), null);
});

test('results: pieces of a run are one, with the newest whole piece of each suite', (t) => {
  const at = (day: number, names: readonly string[], failure: string | null = null) =>
    named(
      `day-${day}`,
      names.map((name) => suite(name, [], failure)),
      { date: `2026-11-0${day}T00:00:00.000Z` },
    );
  const all = [at(1, ['hit', 'seed']), at(2, ['miss', 'hit']), at(3, ['seed'], 'it broke')];
  const merged = mergedOf(all, 'whole');
  t.is(merged?.name, 'whole');
  t.is(merged?.result.date, '2026-11-03T00:00:00.000Z');
  t.deepEqual(
    merged?.result.suites.map(({ name, about, failure }) => [
      name,
      about.split(' ').at(-1),
      failure,
    ]),
    [
      ['hit', 'day-2.', null],
      ['seed', 'day-1.', null],
      ['miss', 'day-2.', null],
    ],
  );
  t.is(mergedOf([], 'whole'), null);
});

test('results: a directory is read in the order of dates, whatever the names', (t) => {
  const directory = directoryOf(t);
  writeResult(join(directory, 'a.json'), { ...sample, date: '2026-11-02T00:00:00.000Z' });
  writeResult(join(directory, 'b.json'), { ...sample, date: '2026-11-01T00:00:00.000Z' });
  writeFileSync(join(directory, 'README.md'), 'no result');
  t.deepEqual(
    readResults(directory).map(({ name }) => name),
    ['b', 'a'],
  );
  t.deepEqual(readResults(join(directory, 'none')), []);
});

test('results: one is named by its file, by its name, or as the latest', (t) => {
  const root = directoryOf(t);
  const paths = benchPaths(root);
  t.throws(() => findResult('latest', paths), { message: /npm run bench/ });
  writeResult(join(paths.results, 'base.json'), sample);
  writeResult(join(paths.out, 'newer.json'), { ...sample, date: '2026-11-25T00:00:00.000Z' });
  t.is(findResult('base', paths).name, 'base');
  t.is(findResult('latest', paths).name, 'newer');
  t.is(findResult('committed', paths).result.date, sample.date);
  t.is(findResult(join(paths.results, 'base.json'), paths).name, 'base');
  t.throws(() => findResult('missing', paths), { message: /missing cannot be read/ });
});

test('results: names of committed files are plain', (t) => {
  for (const name of ['0.1.0', 'before-lanes', 'a']) t.true(isResultName(name), name);
  for (const name of ['', '../a', 'a/b', 'A', '-a', 'a.json', 'a b'])
    t.false(isResultName(name), name);
});

test('machine: the mount of a directory is the deepest that holds it', (t) => {
  const mounts = parseMounts(
    [
      '22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw',
      '23 22 0:20 / /tmp rw - tmpfs tmpfs rw',
      '24 22 254:16 / /mnt/with\\040space rw master:2 shared:3 - xfs /dev/vdb rw',
      '',
    ].join('\n'),
  );
  t.is(mounts.length, 3);
  t.is(mountOf(mounts, '/tmp/a')?.filesystem, 'tmpfs');
  t.is(mountOf(mounts, '/tmpfile')?.filesystem, 'ext4');
  t.is(mountOf(mounts, '/mnt/with space/a')?.source, '/dev/vdb');
  t.is(mountOf(mounts, '/mnt/with space')?.number, '254:16');
  t.is(mountOf([], '/'), null);
});

test('machine: what is told about this one is whole, and can be written', async (t) => {
  const directory = directoryOf(t);
  const machine = await describeMachine(directory);
  t.true(machine.cpuCount > 0 && machine.memoryBytes > 0 && machine.disk.sizeBytes > 0);
  const root = repositoryRoot();
  const versions = await describeVersions(root);
  t.is(versions.node, process.versions.node);
  for (const name of ['millrace', 'undici', 'http-proxy-middleware']) {
    t.regex(versions[name] ?? '', /^\d+\.\d+\.\d+/, name);
  }
  const path = join(directory, 'whole.json');
  writeResult(path, { ...sample, machine, versions, commit: await describeCommit(root) });
  const text = readFileSync(path, 'utf8');
  t.false(text.includes(directory));
  t.false(text.includes(root));
});

test('machine: a directory without git has no commit', async (t) => {
  t.is(await describeCommit(directoryOf(t)), null);
  t.true(searchPath(undefined).includes('/usr/sbin'));
  t.true(searchPath('/opt/bin').startsWith('/opt/bin:'));
});
