// What is made of results: tables, the targets, the figures of documents, charts and the page. Figures come
// from the named result and from nowhere else, and one that stands outside of markers is found.

import test from 'ava';
import { chartRecipes, sizeIn } from '../../../bench/chart-list.js';
import { barChart, colorOf, lineChart } from '../../../bench/charts.js';
import { regenerated, type Sources, strayFigures } from '../../../bench/document.js';
import { drawCharts } from '../../../bench/draw.js';
import { pageOf } from '../../../bench/page.js';
import { allSuites } from '../../../bench/suites.js';
import { cellOf, markdownOf, metricTable, suiteTable, tableNamed } from '../../../bench/tables.js';
import { gapText, judge, type Target, targets, targetsTable } from '../../../bench/targets.js';
import { metric, named, row, suite } from './samples.js';

const hit = suite('hit', [
  { ...row('millrace', '1 KiB', metric('CPU', 'us/req', [40, 38, 36])), note: 'of our own' },
  row('nginx 1.22', '1 KiB', metric('CPU', 'us/req', [16, 16, 16])),
  row('millrace', '1 MiB', metric('throughput', 'MB/s', [1000], 'higher')),
]);
const old = named(
  'old',
  [suite('hit', [row('millrace', '1 KiB', metric('CPU', 'us/req', [80]))])],
  {
    date: '2026-11-01T00:00:00.000Z',
  },
);
const newest = named('newest', [hit]);
const sources: Sources = { results: [old, newest], charts: new Set(['hit-cpu']), images: 'images' };

test('tables: a cell is the median and half of the range', (t) => {
  t.is(cellOf(metric('CPU', 'us/req', [40, 38, 36])), '38 us/req +-5 %');
  t.is(cellOf(metric('CPU', 'us/req', [16, 16, 16])), '16 us/req');
  t.is(cellOf(metric('origin requests', 'count', [0, 0, 3])), '0');
});

test('tables: a suite has a row for each of its own and a column for each metric', (t) => {
  t.deepEqual(suiteTable(hit), {
    heads: ['case', 'subject', 'CPU', 'throughput'],
    rows: [
      ['1 KiB', 'millrace', '38 us/req +-5 %', ''],
      ['1 KiB', 'nginx 1.22', '16 us/req', ''],
      ['1 MiB', 'millrace', '', '1,000 MB/s'],
    ],
    notes: ['millrace, 1 KiB: of our own'],
  });
});

test('tables: one metric stands with the subjects side by side, and what was skipped is told', (t) => {
  const skipping = { ...hit, skips: [{ subject: 'varnish', why: 'apt-get install varnish' }] };
  t.deepEqual(metricTable(skipping, 'CPU'), {
    heads: ['case', 'millrace', 'nginx 1.22'],
    rows: [['1 KiB', '38 us/req +-5 %', '16 us/req']],
    notes: ['millrace, 1 KiB: of our own', 'Not measured: varnish: apt-get install varnish'],
  });
  t.is(metricTable(hit, 'latency'), null);
  t.is(tableNamed('miss', newest), null);
  t.true(markdownOf(tableNamed('machine', newest)!).includes('| processor | a processor, 2'));
});

test('tables: a cell cannot break out of its column', (t) => {
  t.is(
    markdownOf({ heads: ['a', 'b'], rows: [['x|y', '']], notes: ['n'] }),
    '| a | b |\n|---|---|\n| x\\|y |  |\n\n- n',
  );
});

test('tables: of a suite that was skipped whole only the reasons are told', (t) => {
  t.is(markdownOf({ heads: ['a', 'b'], rows: [], notes: ['not here'] }), '- not here');
});

test('document: what is between markers comes from the named result', (t) => {
  const text = [
    'CPU: <!-- value: hit / 1 KiB / millrace / CPU from latest -->9<!-- /value -->, before:',
    '<!-- value: hit / 1 KiB / millrace / CPU from old --><!-- /value -->',
    '<!-- table: hit / CPU from old -->',
    'stale',
    '<!-- /table -->',
    '<!-- chart: hit-cpu from latest -->',
    '<!-- /chart -->',
    '<!-- table: seed from latest -->',
    '<!-- /table -->',
  ].join('\n');
  const made = regenerated(text, sources);
  t.true(made.includes('from latest -->38 us/req<!-- /value -->'));
  t.true(made.includes('from old -->80 us/req<!-- /value -->'));
  t.true(made.includes('| 1 KiB | 80 us/req |\n\n*bench/results/old.json, 2026-11-01, commit '));
  t.true(made.includes('<img src="images/hit-cpu.svg" alt="CPU time'));
  t.true(made.includes('from latest -->\n*not measured yet*\n<!-- /table -->'));
  t.false(made.includes('stale'));
  t.is(regenerated(made, sources), made, 'once more changes nothing');
});

test('document: a marker that names what is not there is an error', (t) => {
  const make = (marker: string) => () =>
    regenerated(`<!-- ${marker} --><!-- /${marker.split(':')[0]} -->`, sources);
  for (const [marker, message] of [
    ['table: hit from 1.0', /has no 1\.0/],
    ['table: hit / speed from latest', /holds no "hit \/ speed"/],
    ['table: miss from old', /holds no "miss"/],
    ['value: hit / 1 KiB / nginx 9 / CPU from latest', /holds no/],
    ['chart: pie from latest', /no chart is called pie/],
    ['chart: hit-cpu from old', /of the latest/],
  ] as const) {
    t.throws(make(marker), { message }, marker);
  }
});

test('document: a figure outside of markers is found, settings and names are not', (t) => {
  for (const bad of [
    'It takes 12 ms.',
    'up to `500 MB/s` there',
    'twice in 100 requests',
    'saves `15 %` of it',
    '```\nwaits 3 ms\n```',
    '| cell | 7.5 us |',
  ]) {
    t.is(strayFigures(`text\n${bad}\n`).length, 1, bad);
  }
  for (const good of [
    'L1 over HTTP/1.1 with crc32c',
    'at most `64MiB`, in pieces of `256 KiB`',
    '```sh\nsleep 3 # 3 s\n```',
    '```yaml\nhead: 30s\n```',
    '[decision](decisions/0001-engine.md)',
    '<!-- value: a / b / c / d from latest -->12 ms<!-- /value -->',
    '<!-- table: hit from latest -->\n| 1 KiB | 12 ms |\n<!-- /table -->',
  ]) {
    t.deepEqual(strayFigures(`text\n${good}\n`), [], good);
  }
  t.deepEqual(strayFigures('a\nb 12 ms\n'), ['2: 12 ms']);
});

const target: Target = {
  ...{ what: 'CPU', wording: 'half of nginx', suite: 'hit', better: 'lower' },
  ...{ case: /^1 KiB/, metric: /^CPU$/, peers: /^nginx/, factor: 0.5 },
};

test('targets: a share of a peer counts from that peer in the same run', (t) => {
  const judged = judge(target, [old, newest]);
  t.is(judged?.gap, 38 / 8);
  t.is(gapText(judged?.gap ?? null), '4.75 x off');
  t.is(judge(target, [old])?.gap, null, 'no peer in that run');
  t.is(judge(target, []), null);
  t.is(judge({ ...target, better: 'higher' }, [newest])?.gap, 8 / 38);
  t.is(gapText(8 / 38), 'met');
  const { factor: _, ...rest } = target;
  t.is(judge({ ...rest, beyond: 3 }, [newest])?.gap, 2);
  t.is(judge({ ...rest, value: 38 }, [newest])?.gap, 1);
});

test('targets: a line without figures says so', (t) => {
  const { rows } = targetsTable([newest], [target, { ...target, suite: 'seed' }]);
  t.deepEqual(rows[0], [
    'CPU',
    'half of nginx',
    '38 us/req',
    'nginx 1.22: 16 us/req',
    '4.75 x off',
    'newest',
  ]);
  t.is(rows[1]?.[2], 'not measured yet');
});

test('targets: a line that nobody here can measure says why', (t) => {
  const { rows } = targetsTable([newest], [{ what: 'a year', wording: 'whole', why: 'too long' }]);
  t.deepEqual(rows, [['a year', 'whole', 'not measured: too long', '', '', '']]);
});

test('targets: another subject than millrace itself may be meant', (t) => {
  t.is(judge({ ...target, subject: 'nginx 1.22', value: 8 }, [newest])?.gap, 2);
  t.is(judge({ ...target, subject: 'nobody' }, [newest]), null);
});

test('targets: every suite that one names is there', (t) => {
  const names = new Set(allSuites.map(({ name }) => name));
  const missing = targets.filter((one) => 'suite' in one && !names.has(one.suite));
  t.deepEqual(missing, []);
});

test('targets: each has one way to be met', (t) => {
  for (const one of targets) {
    if ('why' in one) continue;
    const { what, value, factor, beyond, peers } = one;
    t.is([value, factor, beyond].filter((given) => given !== undefined).length, 1, what);
    t.true(value !== undefined || peers !== null, what);
  }
});

const seedRows = [1, 10, 100].flatMap((size) => [
  row('millrace', `${size} MB, origin at 100 MB/s`, metric('TTFB', 'ms', [1])),
  row('simple proxy', `${size} MB, origin at 100 MB/s`, metric('TTFB', 'ms', [size * 10])),
]);

test('charts: sizes are read from the case, and a rate is no size', (t) => {
  t.is(sizeIn('10 MB, origin at 100 MB/s'), 1e7);
  t.is(sizeIn('64 KiB of 1024 MiB'), 65_536);
  t.is(sizeIn('origin at 100 MB/s'), null);
});

test('charts: one is drawn where its suite has the figures, else it is missing', async (t) => {
  const drawn = await drawCharts([named('a', [suite('seed', seedRows), hit])]);
  t.deepEqual([...drawn.keys()], ['ttfb']);
  t.deepEqual([...(await drawCharts([])).keys()], []);
  t.is(new Set(chartRecipes.map(({ name }) => name)).size, chartRecipes.length);
});

test('charts: lines are named where they end and have colours for a dark page', async (t) => {
  const draw = () =>
    lineChart({
      ...{ title: 'Title', subtitle: 'below', xTitle: 'size', yTitle: 'ms' },
      ...{ xLabel: String, yLabel: (value: number) => `<${value}>`, yIsLogarithmic: true },
      points: [
        { subject: 'millrace', x: 1, y: 2 },
        { subject: 'millrace', x: 10, y: 20 },
        { subject: 'simple proxy', x: 1, y: 2 },
        { subject: 'simple proxy', x: 10, y: 20 },
      ],
    });
  const svg = await draw();
  for (const text of ['>Title<', '>millrace<', '>simple proxy<', '>&lt;10&gt;<', '>ms<']) {
    t.true(svg.includes(text), text);
  }
  t.regex(svg, /prefers-color-scheme:dark.*\[stroke="#0072b2"\]\{stroke:#56b4e9\}/);
  t.true(svg.includes('stroke="#0072b2"') && svg.includes('stroke="#d55e00"'));
  t.is(await draw(), svg, 'the same chart is the same text');
});

test('charts: every bar carries its subject and its value', async (t) => {
  const svg = await barChart({
    ...{ title: 'Title', subtitle: 'below', xTitle: 'us' },
    bars: [
      { group: '1 KiB', subject: 'millrace', value: 7, label: '7 us' },
      { group: '1 KiB', subject: 'nginx 1.22', value: 16, label: '16 us' },
      { group: '16 KiB', subject: 'millrace', value: 9, label: '9 us' },
    ],
  });
  for (const text of ['1 KiB', '16 KiB', 'millrace', 'nginx 1.22', '7 us', '16 us', '9 us']) {
    t.true(svg.includes(`>${text}<`), text);
  }
  t.not(colorOf('millrace, direct I/O'), colorOf('nginx 1.22'));
});

test('page: it needs nothing beside it, tells failures, and escapes what suites say', async (t) => {
  const broken = suite('miss', [row('a <b>', 'c', metric('d', 'ms', [1]))], 'no disk & no hope');
  const html = await pageOf(named('run', [suite('seed', seedRows), broken]));
  t.true(html.includes('Broke off: no disk &amp; no hope'));
  t.true(html.includes('<td>a &lt;b&gt;</td>'));
  // A case once, above its subjects; the spread beside the figure.
  t.is(html.split('>10 MB, origin at 100 MB/s<').length, 2);
  t.true(html.includes('<td>simple proxy</td><td>100 ms</td>'));
  t.true(html.includes('<svg') && html.includes('<style>'));
  t.notRegex(html, /<(?:script|link|img)\b|url\(|@import/);
});
