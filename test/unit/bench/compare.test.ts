// Comparisons: a difference inside the spread of the rounds is noise, one outside is judged by the metric's
// own direction, and what cannot be compared is named.

import test from 'ava';
import fc from 'fast-check';
import {
  compareResults,
  formatComparison,
  isOurs,
  narrowed,
} from '../../../bench/compare-results.js';
import type { Metric } from '../../../bench/harness.js';
import { median, noiseBand, summarize } from '../../../bench/statistics.js';
import { metric, result, row, suite } from './samples.js';

function verdictOf(
  before: readonly number[],
  after: readonly number[],
  better: Metric['better'] = 'lower',
): string | undefined {
  const of = (values: readonly number[]) =>
    result([suite('hit', [row('millrace', '1 KiB', metric('CPU', 'us/req', values, better))])]);
  return compareResults(of(before), of(after)).differences[0]?.verdict;
}

const isStill = (verdict = ''): boolean => ['no change', 'not judged'].includes(verdict);

test('statistics: the median is the middle, or between the two middles', (t) => {
  t.is(median([3, 1, 2]), 2);
  t.is(median([4, 1, 3, 2]), 2.5);
  t.is(median([7]), 7);
});

test('statistics: one outlier moves neither median nor band much', (t) => {
  const calm = summarize([10, 10.1, 9.9, 10.05, 9.95]);
  const outlier = summarize([10, 10.1, 9.9, 10.05, 12]);
  t.true(Math.abs(outlier.median - calm.median) < 0.1);
  t.true(noiseBand(calm, outlier) < 0.2);
  t.is(noiseBand(calm, calm), 0.05, 'never below five percent');
});

test('statistics: two rounds of three that agree are not taken for exact', (t) => {
  t.true(summarize([10, 10, 14]).deviation >= 1);
});

test('statistics: a band is never negative, and a run compared with itself is no change', (t) => {
  const values = fc.array(fc.double({ min: 0, max: 1e9, noNaN: true }), {
    minLength: 1,
    maxLength: 9,
  });
  const holds = fc.property(values, (sample) => {
    const summary = summarize(sample);
    return noiseBand(summary, summary) >= 0.05 && isStill(verdictOf(sample, sample));
  });
  t.notThrows(() => fc.assert(holds));
});

test('compare: within the spread of the rounds nothing is a change', (t) => {
  t.is(verdictOf([10, 11, 12], [11, 12, 13]), 'no change');
  t.is(verdictOf([10, 10, 10], [10.4, 10.4, 10.4]), 'no change', 'below five percent');
});

test('compare: outside of it the direction of the metric decides', (t) => {
  t.is(verdictOf([10, 10.1, 10.2], [20, 20.1, 20.2], 'lower'), 'worse');
  t.is(verdictOf([10, 10.1, 10.2], [20, 20.1, 20.2], 'higher'), 'better');
  t.is(verdictOf([20, 20.1, 20.2], [10, 10.1, 10.2], 'lower'), 'better');
  t.is(verdictOf([20, 20.1, 20.2], [10, 10.1, 10.2], 'higher'), 'worse');
  t.is(verdictOf([10, 10, 10], [100, 100, 100], 'none'), 'not judged');
});

test('compare: fewer than three rounds show no spread and are not judged', (t) => {
  t.is(verdictOf([10], [100]), 'not judged');
  t.is(verdictOf([10, 10], [100, 100, 100]), 'not judged');
  t.is(verdictOf([10, 10, 10], [12, 12, 12]), 'worse');
  const one = result([]);
  const { warnings } = compareResults(one, { ...one, flags: { ...one.flags, rounds: 2 } });
  t.true(warnings.includes('the second run has fewer than 3 rounds: nothing is judged'));
});

test('compare: as much as unchanged programs moved, the machine did', (t) => {
  const of = (ours: number, nginx: number, none: number) =>
    result([
      suite('hit', [
        row('millrace', '1 KiB', metric('CPU', 'us/req', [ours, ours, ours])),
        row('nginx 1.22', '1 KiB', metric('CPU', 'us/req', [nginx, nginx, nginx])),
        row('no proxy', '1 KiB', metric('CPU', 'us/req', [none, none, none])),
        row('no proxy', '16 KiB', metric('CPU', 'us/req', [none, none, none])),
      ]),
    ]);
  const oursOf = (ours: number) =>
    compareResults(of(40, 16, 10), of(ours, 20, 13)).differences.find(isOurs);
  t.is(oursOf(50)?.verdict, 'no change');
  t.true(Math.abs((oursOf(50)?.band ?? 0) - 0.275) < 1e-9, 'between a quarter and three tenths');
  t.is(oursOf(60)?.verdict, 'worse');
  t.is(oursOf(20)?.verdict, 'better');
});

test('compare: a count that was nothing and is something is a change', (t) => {
  t.is(verdictOf([0, 0, 0], [0, 0, 0]), 'no change');
  t.is(verdictOf([0, 0, 0], [1, 1, 1]), 'worse');
});

test('compare: what only one side has is named, and a unit that changed is another figure', (t) => {
  const before = result([
    suite('hit', [
      row('nginx 1.22', '1 KiB', metric('CPU', 'us/req', [1])),
      row('millrace', '1 KiB', metric('CPU', 'us/req', [1]), metric('rate', 'req/s', [5])),
    ]),
  ]);
  const after = result([
    suite('hit', [
      row('millrace', '1 KiB', metric('CPU', 'us/req', [1]), metric('rate', 'ms', [5])),
    ]),
  ]);
  const { differences, onlyBefore, onlyAfter } = compareResults(before, after);
  t.is(differences.length, 1);
  t.deepEqual(onlyBefore, ['hit, 1 KiB, nginx 1.22, CPU', 'hit, 1 KiB, millrace, rate']);
  t.deepEqual(onlyAfter, ['hit, 1 KiB, millrace, rate']);
});

test('compare: other machines, other flags and broken runs are warned of', (t) => {
  const one = result([suite('hit', [], 'it broke')]);
  const { machine } = one;
  const other = result([], {
    machine: { ...machine, cpu: 'another', loadBefore: 1.5 },
    flags: { ...one.flags, quick: true },
  });
  const { warnings } = compareResults(one, other);
  t.is(warnings.length, 4, warnings.join('\n'));
  t.true(warnings.some((text) => text.includes('a processor and another')));
  t.true(warnings.some((text) => text.includes('--quick differs: false and true')));
  t.true(warnings.some((text) => text.includes('broke off in hit: it broke')));
  t.true(warnings.some((text) => text.includes('busy before the second run: load 1.5')));
  t.deepEqual(compareResults(one, one).warnings.length, 2);
});

test('compare: the text leads with changes and counts the rest', (t) => {
  const of = (cpu: number, rate: number) =>
    result([
      suite('hit', [
        row(
          'millrace',
          '1 KiB',
          metric('CPU', 'us/req', [cpu, cpu, cpu]),
          metric('rate', 'req/s', [rate, rate, rate], 'higher'),
        ),
      ]),
    ]);
  const comparison = compareResults(of(10, 50_000), of(8, 50_100));
  t.deepEqual(formatComparison(comparison, { all: false }), [
    'hit:',
    '  better: 1 KiB, millrace, CPU: 10 us/req -> 8 us/req, -20 % (noise band 5 %)',
    '  1 figures without a change that is more than noise',
    '1 better, 0 worse, 1 no change (within noise), 0 not judged',
  ]);
  t.true(
    formatComparison(comparison, { all: true })[2]?.startsWith('  no change (within noise): '),
  );
});

test('compare: a choice of suites leaves the others out', (t) => {
  const whole = result([suite('hit', []), suite('miss', [])]);
  t.deepEqual(
    narrowed(whole, ['miss']).suites.map(({ name }) => name),
    ['miss'],
  );
  t.is(narrowed(whole, []), whole);
});
