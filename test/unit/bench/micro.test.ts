// The micro suites' own parts: lines of the native program, rounds put together into rows, and benny as a
// stopwatch that neither hides a failing call nor writes to the console.

import test from 'ava';
import type { Row, SuiteContext } from '../../../bench/harness.js';
import { measureCases } from '../../../bench/micro/benny.js';
import { readLine } from '../../../bench/micro/native.js';
import { collectRounds } from '../../../bench/micro/rows.js';

function contextFor(rounds: number, rows: Row[]): SuiteContext {
  return {
    quick: true,
    rounds,
    directory: '',
    signal: new AbortController().signal,
    wantsRival: () => false,
    report: (row) => rows.push(row),
    skip: () => {},
    progress: () => {},
  };
}

const line =
  '{"subject":"4 threads","case":"read of 4 KiB","metrics":' +
  '[{"name":"p50","unit":"us","better":"lower","value":73.5}],"note":"buffered"}';

test('native: a line becomes a measurement', (t) => {
  t.deepEqual(readLine(line), {
    subject: 'millrace, 4 threads',
    case: 'read of 4 KiB',
    samples: [{ name: 'p50', unit: 'us', better: 'lower', value: 73.5 }],
    note: 'buffered',
  });
});

test('native: a line that does not fit the harness is refused', (t) => {
  const wrong = [
    line.replace('"us"', '"hours"'),
    line.replace('"lower"', '"smaller"'),
    line.replace('73.5', '"73.5"'),
    line.replace('73.5', 'null'),
    line.replace('"subject":"4 threads",', ''),
    '[]',
    'null',
  ];
  for (const text of wrong) t.throws(() => readLine(text), { message: /not a measurement/ }, text);
  t.throws(() => readLine(line.slice(1)), { instanceOf: SyntaxError });
});

test('rounds: one row per subject and case, one value per round, in order', (t) => {
  const rows: Row[] = [];
  const rounds = collectRounds();
  for (const value of [1, 2, 3]) {
    for (const subject of ['a', 'b']) {
      const time = { name: 'time', unit: 'ns', better: 'lower', value: value * 10 } as const;
      rounds.add({ subject, case: 'x', samples: [time, { ...time, name: 'other', value }] });
    }
  }
  rounds.report(contextFor(3, rows));
  t.deepEqual(
    rows.map(({ subject }) => subject),
    ['a', 'b'],
  );
  t.deepEqual(rows[1]?.metrics, [
    { name: 'time', unit: 'ns', better: 'lower', values: [10, 20, 30] },
    { name: 'other', unit: 'ns', better: 'lower', values: [1, 2, 3] },
  ]);
});

test.serial(
  'benny: every round gives a time, a call that ends later gives percentiles',
  async (t) => {
    const rows: Row[] = [];
    let calls = 0;
    await measureCases(contextFor(2, rows), [
      { name: 'at once', unit: 'ns', run: () => [calls++] },
      { name: 'later', unit: 'us', runAsync: () => Promise.resolve() },
    ]);
    t.true(calls > 0);
    t.deepEqual(
      rows.map((row) => [row.case, row.metrics.map(({ name }) => name)]),
      [
        ['at once', ['time']],
        ['later', ['time', 'p50', 'p99']],
      ],
    );
    for (const { metrics } of rows) {
      for (const { values } of metrics)
        t.true(values.length === 2 && values.every((value) => value > 0));
    }
  },
);

test.serial('benny: a call that rejects in the middle fails the suite', async (t) => {
  let calls = 0;
  const runAsync = async () => {
    calls += 1;
    if (calls > 1000) throw new RangeError('call after the thousandth');
  };
  const { log } = console;
  await t.throwsAsync(measureCases(contextFor(1, []), [{ name: 'breaks', unit: 'us', runAsync }]), {
    instanceOf: RangeError,
  });
  t.is(console.log, log);
});
