// Purges that the file tier keeps: what comes back after a restart, what a torn or a damaged file makes of
// them, and that their number is bounded.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { FilePurges, type KeptPurge } from '../../../ts/store/file-purges.js';
import { temporaryFolder } from '../../support/command.js';

const name = 'millrace-purges.txt';
const laterLife = 1_000_000;

function tag(text: string, bound: number, soft = false): KeptPurge {
  return { kind: 'tag', text, soft, bound };
}

const kept = (purges: FilePurges) => [...purges.kept].sort((a, b) => a.bound - b.bound);

test('file purges: what was added is there at the next start, the highest bound of each', async (t) => {
  const folder = temporaryFolder(t);
  const purges = await FilePurges.open(folder, 1);
  await Promise.all([purges.add(tag('a', 1)), purges.add(tag('b', 2)), purges.add(tag('a', 3))]);
  await purges.add({ kind: 'prefix', text: 'http://h/\u00e9 "', soft: true, bound: 4 });
  await purges.close();
  const again = await FilePurges.open(folder, laterLife);
  t.deepEqual(kept(again), [
    tag('b', 2),
    tag('a', 3),
    { kind: 'prefix', text: 'http://h/\u00e9 "', soft: true, bound: 4 },
  ]);
  await again.close();
});

test('file purges: a torn last line is not one that was answered', async (t) => {
  const folder = temporaryFolder(t);
  const purges = await FilePurges.open(folder, 1);
  await purges.add(tag('a', 1));
  await purges.close();
  const whole = readFileSync(join(folder, name), 'utf8');
  for (let length = 1; length < whole.length; length += 1) {
    writeFileSync(join(folder, name), whole + whole.slice(0, length));
    const torn = await FilePurges.open(folder, laterLife);
    t.deepEqual(kept(torn), [tag('a', 1)], `${length} bytes`);
    await torn.add(tag('b', 2));
    await torn.close();
    const again = await FilePurges.open(folder, laterLife);
    t.deepEqual(kept(again), [tag('a', 1), tag('b', 2)], `${length} bytes`);
    await again.close();
  }
});

test('file purges: any changed byte before the last line has everything count as purged', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, name);
  const purges = await FilePurges.open(folder, 1);
  await purges.add(tag('a', 1));
  await purges.add(tag('b', 2));
  await purges.close();
  const good = readFileSync(path);
  const firstLine = good.indexOf('\n');
  for (let at = 0; at <= firstLine; at += 1) {
    const bad = Buffer.from(good);
    bad[at] = bad[at]! ^ 1;
    writeFileSync(path, bad);
    const damaged = await FilePurges.open(folder, laterLife);
    const all = [...damaged.kept].find(({ kind }) => kind === 'all');
    // A line feed that is gone joins two lines to one, which is the torn last one then.
    if (at < firstLine) t.is(all?.bound, laterLife, `byte ${at}`);
    await damaged.close();
  }
});

test('file purges: one of everything makes the older ones superfluous', async (t) => {
  const folder = temporaryFolder(t);
  const purges = await FilePurges.open(folder, 1);
  for (let bound = 1; bound <= 20; bound += 1) await purges.add(tag(`t${bound}`, bound));
  await purges.add({ kind: 'all', text: '', soft: false, bound: 15 });
  t.is(purges.count, 6);
  await purges.close();
});

test('file purges: too many fold, and the file does not grow with repetitions', async (t) => {
  const folder = temporaryFolder(t);
  const purges = await FilePurges.open(folder, 1);
  const many = Array.from({ length: 12_000 }, (_, at) => purges.add(tag(`t${at}`, at + 1)));
  await Promise.all(many);
  t.true(purges.count <= 10_000);
  const all = [...purges.kept].find(({ kind }) => kind === 'all');
  t.true((all?.bound ?? 0) >= 2000);
  for (let round = 0; round < 200; round += 1) {
    await purges.add({ kind: 'all', text: '', soft: false, bound: 20_000 + round });
  }
  await purges.close();
  const again = await FilePurges.open(folder, laterLife);
  t.is(again.count, 1);
  t.true(readFileSync(join(folder, name), 'utf8').split('\n').length < 1100);
  await again.close();
});
