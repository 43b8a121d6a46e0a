// The harness with suites made up here: what a suite gets, what it may report, and what becomes of the run
// when one fails or is interrupted.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  type RunOptions,
  runSuites,
  type Suite,
  type SuiteContext,
  wantsRival,
} from '../../../bench/harness.js';
import { watchOn } from '../../../bench/output.js';
import { metric, row } from './samples.js';
import { terminal } from './terminal.js';

function suiteOf(name: string, run: (context: SuiteContext) => void | Promise<void>): Suite {
  return { name, title: `Title of ${name}`, about: 'About.', run: async (given) => run(given) };
}

const nothing = {
  suiteStarts() {},
  progress() {},
  row() {},
  skip() {},
  suiteEnds() {},
};

function options(t: ExecutionContext, changes: Partial<RunOptions> = {}): RunOptions {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-harness-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  let now = 0;
  return {
    quick: true,
    rounds: 2,
    rivals: 'all',
    directory,
    signal: new AbortController().signal,
    watcher: nothing,
    // Every look is a second later than the one before.
    clock: { now: () => 0, monotonic: () => (now += 1000) },
    suiteLimitMs: 60_000,
    graceMs: 60_000,
    endStuck: () => t.fail('nothing is stuck'),
    ...changes,
  };
}

const sample = row('millrace', '1 KiB', metric('CPU', 'us/req', [7, 8]));

test('harness: a suite gets flags, rounds and a directory of its own that is gone afterwards', async (t) => {
  const seen: string[] = [];
  const suite = (name: string) =>
    suiteOf(name, (context) => {
      t.true(context.quick);
      t.is(context.rounds, 2);
      writeFileSync(join(context.directory, 'file'), 'x');
      seen.push(context.directory);
      context.report(sample);
    });
  const reports = await runSuites([suite('one'), suite('two')], options(t));
  t.is(new Set(seen).size, 2);
  t.false(seen.some((directory) => existsSync(directory)));
  t.deepEqual(
    reports.map(({ name, durationS, rows, failure }) => ({ name, durationS, rows, failure })),
    ['one', 'two'].map((name) => ({ name, durationS: 1, rows: [sample], failure: null })),
  );
});

test('harness: a suite that fails keeps its rows, and the next one runs', async (t) => {
  const broken = suiteOf('broken', ({ report, directory }) => {
    report(sample);
    throw new RangeError(`no ${directory}/file\nand more`);
  });
  const fine = suiteOf('fine', ({ skip }) => skip('nginx', 'install nginx'));
  const given = options(t);
  const [first, second] = await runSuites([broken, fine], given);
  t.deepEqual(first?.rows, [sample]);
  t.is(first?.failure, 'RangeError: no DIRECTORY/file');
  t.false(existsSync(join(given.directory, 'broken')));
  t.is(second?.failure, null);
  t.deepEqual(second?.skips, [{ subject: 'nginx', why: 'install nginx' }]);
});

test('harness: a suite that says nothing has failed', async (t) => {
  const [report] = await runSuites([suiteOf('mute', () => {})], options(t));
  t.is(report?.failure, 'it neither reported nor skipped anything');
});

for (const [what, rows] of Object.entries({
  'no value': [row('a', 'b', metric('c', 'ms', []))],
  'no finite number': [row('a', 'b', metric('c', 'ms', [1, Number.NaN]))],
  'two metrics of one name': [row('a', 'b', metric('c', 'ms', [1]), metric('c', 'us', [1]))],
  'no metric': [row('a', 'b')],
  'reported twice': [sample, sample],
})) {
  test(`harness: a row is refused for this: ${what}`, async (t) => {
    const bad = suiteOf('bad', ({ report }) => {
      for (const one of rows) report(one);
    });
    const [report] = await runSuites([bad], options(t));
    t.true(report?.failure?.includes(what), String(report?.failure));
    t.is(report?.rows.length, rows.length - 1);
  });
}

test('harness: an abort ends the run with its reason and starts no other suite', async (t) => {
  const abort = new AbortController();
  const given = options(t, { signal: abort.signal });
  let isStarted = false;
  const stopped = suiteOf('stopped', ({ signal }) => {
    abort.abort(new Error('stopped by hand'));
    signal.throwIfAborted();
  });
  const next = suiteOf('next', () => {
    isStarted = true;
  });
  await t.throwsAsync(runSuites([stopped, next], given), { message: 'stopped by hand' });
  t.false(isStarted);
  t.false(existsSync(join(given.directory, 'stopped')));
});

test('harness: rivals are chosen by name, or by the first word of it', (t) => {
  t.true(wantsRival('all', 'nginx'));
  t.false(wantsRival('none', 'nginx'));
  t.true(wantsRival(['varnish', 'nginx'], 'nginx'));
  t.true(wantsRival(['NGINX'], 'nginx slice'));
  t.true(wantsRival(['undici'], 'undici-cache'));
  t.false(wantsRival(['nginx'], 'nginxish'));
  t.false(wantsRival(['nginx slice'], 'nginx'));
});

async function watched(t: ExecutionContext, isTTY: boolean): Promise<string> {
  const { target, written } = terminal(isTTY, 40);
  const suite = suiteOf('hit', ({ progress, report, skip }) => {
    progress('1 KiB, round 1 of 2, which is a text that is longer than the line');
    report(sample);
    skip('varnish', 'apt-get install varnish');
  });
  const broken = suiteOf('broken', () => {
    throw new Error('no disk');
  });
  await runSuites([suite, broken], options(t, { watcher: watchOn(target) }));
  return written();
}

test('output: a log gets plain lines, one for each step and result', async (t) => {
  const lines = (await watched(t, false)).split('\n');
  t.deepEqual(lines, [
    '[1/2] hit: Title of hit',
    'hit: 1 KiB, round 1 of 2, which is a text that is longer than the line',
    '  1 KiB: millrace: CPU 7.5 us/req (7 us/req to 8 us/req)',
    '  skipped: varnish: apt-get install varnish',
    '  hit: done in 1 s',
    '[2/2] broken: Title of broken',
    '  broken: FAILED after 1 s: Error: no disk',
    '',
  ]);
});

test('output: on a terminal the step is one line that is erased before a result', async (t) => {
  const text = await watched(t, true);
  const erase = `\r${String.fromCharCode(27)}[2K`;
  const [, step = '', after = ''] = text.split(erase);
  t.is(step, 'hit: 1 KiB, round 1 of 2, which is a te');
  t.true(after.startsWith('  1 KiB: millrace: CPU'));
  t.is(text.split(erase).length, 3);
});

test('harness: a suite that takes too long is told to stop and keeps its rows', async (t) => {
  const slow = suiteOf('slow', (context) => {
    context.report(sample);
    return new Promise((_, reject) => {
      context.signal.addEventListener('abort', () => reject(new Error('told to stop')));
    });
  });
  const next = suiteOf('next', (context) => context.report(sample));
  const reports = await runSuites([slow, next], options(t, { suiteLimitMs: 1 }));
  t.deepEqual(
    reports.map(({ name, rows }) => [name, rows.length]),
    [
      ['slow', 1],
      ['next', 1],
    ],
  );
  t.regex(reports[0]?.failure ?? '', /not done after 0 s, its limit/);
  t.is(reports[1]?.failure, null);
});

test('harness: one that does not even stop is left behind, and what it started is ended', async (t) => {
  const ended: string[] = [];
  const stuck = suiteOf('stuck', () => new Promise(() => {}));
  const limits = { suiteLimitMs: 1, graceMs: 1, endStuck: () => void ended.push('all') };
  const [report] = await runSuites([stuck], options(t, limits));
  t.deepEqual(ended, ['all']);
  t.regex(report?.failure ?? '', /its limit/);
});
