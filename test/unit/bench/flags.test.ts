// Flags of `npm run bench`: their defaults, and what is refused with a sentence that says what is allowed.
// How figures are written for people is here too.

import { tmpdir } from 'node:os';
import test from 'ava';
import { type BenchFlags, parseFlags } from '../../../bench/flags.js';
import { formatChange, formatMetric, formatNumber, formatValue } from '../../../bench/format.js';
import { ConfigError } from '../../../ts/errors.js';

const known = ['seed', 'hit', 'miss'];
const parse = (...args: string[]): BenchFlags | null => parseFlags(args, known);

test('flags: without any all suites run, five rounds, beside every rival', (t) => {
  t.deepEqual(parse(), {
    quick: false,
    rounds: 5,
    suites: [],
    rivals: 'all',
    out: null,
    commitAs: null,
    directory: tmpdir(),
    list: false,
  });
});

test('flags: each says what it says', (t) => {
  t.deepEqual(parse('--suite', 'hit', '--suite', 'miss')?.suites, ['hit', 'miss']);
  t.deepEqual(parse('--rivals', 'nginx, varnish')?.rivals, ['nginx', 'varnish']);
  t.is(parse('--rivals', 'none')?.rivals, 'none');
  t.is(parse('--rounds', '7')?.rounds, 7);
  t.is(parse('--quick')?.rounds, 1);
  t.is(parse('--quick', '--rounds', '3')?.rounds, 3);
  t.is(parse('--out', 'a.json')?.out, 'a.json');
  t.is(parse('--commit-as', '0.1.0')?.commitAs, '0.1.0');
  t.is(parse('--directory', 'd')?.directory, 'd');
  t.true(parse('--list')?.list);
});

for (const [args, message] of [
  [['--suite', 'hits'], /no suite is called hits; there are: seed, hit, miss/],
  [['--rounds', '0'], /1 to 1000/],
  [['--rounds', '1.5'], /1 to 1000/],
  [['--rivals', 'nginx,,squid'], /all, none, or names/],
  [['--commit-as', 'results/a'], /a name of a-z/],
  [['--commit-as', 'a', '--out', 'b'], /exclude each other/],
  [['--commit-as', 'a', '--quick'], /quick run/],
  [['--fast'], /unknown option '--fast'/],
  [['hit'], /too many arguments/],
] as const) {
  test(`flags: refused: ${args.join(' ')}`, (t) => {
    const error = t.throws(() => parse(...args), { instanceOf: ConfigError });
    t.regex(error?.message ?? '', message);
  });
}

test('format: three significant digits, thousands apart, no exponent', (t) => {
  for (const [value, text] of [
    [0, '0'],
    [0.00012345, '0.000123'],
    [0.9149, '0.915'],
    [9.996, '10'],
    [12.34, '12.3'],
    [123.4, '123'],
    [31_249, '31,249'],
    [1_234_567, '1,234,567'],
    [-0.5, '-0.5'],
    [99.96, '100'],
  ] as const) {
    t.is(formatNumber(value), text);
  }
});

test('format: a value carries its unit', (t) => {
  t.is(formatValue(1536, 'bytes'), '1.5 KiB');
  t.is(formatValue(84 * 2 ** 20, 'bytes'), '84 MiB');
  t.is(formatValue(9.06, 'bytes'), '9.06 B');
  t.is(formatValue(12_340, 'ms'), '12.3 s');
  t.is(formatValue(1, 'count'), '1');
  t.is(formatValue(0.138, 's/GB'), '0.138 s/GB');
});

test('format: several rounds are told by their median and ends', (t) => {
  t.is(formatMetric({ unit: 'ms', values: [3, 1, 2] }), '2 ms (1 ms to 3 ms)');
  t.is(formatMetric({ unit: 'ms', values: [2] }), '2 ms');
  t.is(formatMetric({ unit: 'ms', values: [2, 2.0001] }), '2 ms');
  t.is(formatChange(0.123), '+12 %');
  t.is(formatChange(-0.5), '-50 %');
  t.is(formatChange(Number.POSITIVE_INFINITY), 'from 0');
});
