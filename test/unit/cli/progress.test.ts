// Progress in a log is one plain line for each tenth; on a terminal it is a bar that ends when
// it is stopped. The terminal is a stream that says it is one, so that what is written can be
// read here, and no test depends on how the tests were started.

import { spawnSync } from 'node:child_process';
import { PassThrough } from 'node:stream';
import test from 'ava';
import { startProgress } from '../../../ts/cli/progress.js';

function stream(
  isTTY: boolean,
  columns = 80,
): { target: NodeJS.WriteStream; written: () => string } {
  const target = Object.assign(new PassThrough(), { isTTY, columns, rows: 24 });
  return {
    target: target as unknown as NodeJS.WriteStream,
    written: () => String(target.read() ?? ''),
  };
}

const segments = (value: number): string => `${value} segments`;

test('progress: a log gets a line for each tenth and no more', (t) => {
  const { target, written } = stream(false);
  const progress = startProgress('format', 1000, segments, target);
  for (let value = 0; value <= 1000; value += 1) progress.update(value);
  progress.stop();
  const lines = written().split('\n');
  t.is(lines.length, 12);
  t.is(lines[0], 'format: 0% (0 segments of 1000 segments)');
  t.is(lines[1], 'format: 10% (100 segments of 1000 segments)');
  t.is(lines[10], 'format: 100% (1000 segments of 1000 segments)');
  t.is(lines[11], '');
});

test('progress: steps back, beyond the end and after the stop write nothing', (t) => {
  const { target, written } = stream(false);
  const progress = startProgress('warm', 10, String, target);
  progress.update(5);
  progress.update(3);
  progress.update(25);
  progress.update(26);
  progress.stop();
  progress.update(10);
  t.deepEqual(written().trimEnd().split('\n'), [
    'warm: 0% (0 of 10)',
    'warm: 50% (5 of 10)',
    'warm: 100% (10 of 10)',
  ]);
});

test('progress: work of size nothing is done at once', (t) => {
  const { target, written } = stream(false);
  startProgress('verify', 0, String, target).stop();
  t.is(written(), 'verify: 100% (0 of 0)\n');
});

test('progress: a terminal gets a bar with the value as people read it', (t) => {
  const { target, written } = stream(true);
  const progress = startProgress('format', 200, segments, target);
  progress.update(100);
  progress.stop();
  const shown = written();
  t.true(shown.includes('format ['));
  t.true(shown.includes('50% 100 segments of 200 segments'));
});

test('progress: a narrow terminal loses the bar and not the numbers', (t) => {
  for (const [columns, isDrawn] of [
    [28, false],
    [44, true],
  ] as const) {
    const { target, written } = stream(true, columns);
    const progress = startProgress('segments', 200, String, target);
    progress.update(100);
    progress.stop();
    const shown = written();
    t.is(shown.includes('['.concat('=')), isDrawn, `${columns} columns`);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal is told what to do by them.
    const lines = shown.split(/\x1b\[1G|\x1b\[0K/).filter((line) => line.startsWith('segments'));
    t.true(lines.some((line) => line.endsWith(' 50% 100 of 200')));
    for (const line of lines) t.true(line.length <= columns, line);
  }
});

test('progress: whoever interrupts it gets the cursor back', (t) => {
  const module = new URL('../../../ts/cli/progress.js', import.meta.url);
  const program = `
    import { startProgress } from ${JSON.stringify(module.href)};
    Object.assign(process.stderr, { isTTY: true, columns: 80 });
    startProgress('format', 200, String, process.stderr);
    process.kill(process.pid, 'SIGINT');
    process.stdin.resume();
  `;
  const args = ['--input-type=module', '--eval', program];
  const { signal, stderr } = spawnSync(process.execPath, args);
  t.is(signal, 'SIGINT');
  t.true(stderr.includes('\u001b[?25h'));
});
