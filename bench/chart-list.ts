// Which charts there are, of which suite each is drawn, and what is taken from it. A chart whose suite was
// not measured, or did not measure what the chart shows, is not drawn.

import { parseSize } from '../ts/units.js';
import { type Bar, barChart, lineChart, type Point } from './charts.js';
import { formatNumber, formatValue } from './format.js';
import type { Metric, Row, SuiteReport, Unit } from './harness.js';
import { summarize } from './statistics.js';

export interface ChartRecipe {
  /** Of its file, docs/images/NAME.svg. */
  readonly name: string;
  readonly suite: string;
  /** What it shows, for those who do not see it. */
  readonly alt: string;
  draw(suite: SuiteReport): Promise<string> | null;
}

function metricOf(row: Row, unit: Unit, name?: RegExp): Metric | undefined {
  return row.metrics.find((metric) => metric.unit === unit && (name?.test(metric.name) ?? true));
}

/** The first size in a text, decimal as in "10 MB" or binary as in "64 KiB"; null without one. */
export function sizeIn(text: string): number | null {
  const match = /(\d+(?:\.\d+)?) ?([KMGT]i?B)\b(?!\/s)/.exec(text);
  return match === null ? null : parseSize(`${match[1]}${match[2]}`);
}

function pointsOf(rows: readonly Row[], unit: Unit, name?: RegExp): Point[] {
  return rows.flatMap((row) => {
    const metric = metricOf(row, unit, name);
    const x = sizeIn(row.case);
    if (metric === undefined || x === null) return [];
    return [{ subject: row.subject, x, y: summarize(metric.values).median }];
  });
}

function barsOf(rows: readonly Row[], unit: Unit, name?: RegExp): Bar[] {
  return rows.flatMap((row) => {
    const metric = metricOf(row, unit, name);
    if (metric === undefined) return [];
    const value = summarize(metric.values).median;
    return [{ group: row.case, subject: row.subject, value, label: formatValue(value, unit) }];
  });
}

const megabytes = (value: number): string => `${formatNumber(value / 1e6)} MB`;

function overSizes(
  points: readonly Point[],
  texts: { readonly title: string; readonly subtitle: string; readonly yTitle: string },
  yIsLogarithmic: boolean,
): Promise<string> | null {
  // One size is no line, and nothing below zero has a logarithm.
  const sizes = new Set(points.map(({ x }) => x));
  if (sizes.size < 2 || points.some(({ y }) => y <= 0)) return null;
  const axes = { xTitle: 'object size', xLabel: megabytes, yLabel: formatNumber };
  return lineChart({ ...texts, ...axes, points, yIsLogarithmic });
}

const isThrottled = ({ case: text }: Row): boolean => /100 MB\/s|(?<!un)throttled/.test(text);

export const chartRecipes: readonly ChartRecipe[] = [
  {
    name: 'ttfb',
    suite: 'seed',
    alt:
      'Time to the first body byte of a miss against the size of the object, with millrace and with ' +
      'a proxy that downloads first',
    draw: ({ rows }) =>
      overSizes(
        pointsOf(rows.filter(isThrottled), 'ms', /ttfb/i),
        {
          title: 'Time to the first body byte of a miss',
          subtitle: 'at the client, origin limited to 100 MB/s; median; less is better',
          yTitle: 'ms',
        },
        true,
      ),
  },
  {
    name: 'throughput',
    suite: 'seed',
    alt: 'Throughput of a miss against the size of the object, millrace and a proxy that downloads first',
    draw: ({ rows }) =>
      overSizes(
        pointsOf(
          // The bare origin is many times as fast: beside it the two would be one line.
          rows.filter((row) => !isThrottled(row) && row.subject !== 'no proxy'),
          'MB/s',
        ),
        {
          title: 'Throughput of a miss',
          subtitle: 'one client, origin without a limit; median; more is better',
          yTitle: 'MB/s',
        },
        false,
      ),
  },
  {
    name: 'hit-cpu',
    suite: 'hit',
    alt: 'CPU time of one hit from memory, millrace beside other servers',
    draw: ({ rows }) => {
      const hot = rows.filter((row) => /^hot, \d+ KiB$/.test(row.case));
      const bars = barsOf(hot, 'us/req');
      if (bars.length === 0) return null;
      return barChart({
        title: 'CPU time of one hit from memory',
        subtitle: 'one worker of each on the same core; median; less is better',
        xTitle: 'microseconds of user and system time per request',
        bars,
      });
    },
  },
  {
    name: 'memory',
    suite: 'memory',
    alt: 'Highest resident memory while cold objects are downloaded, millrace beside other programs',
    draw: ({ rows }) => {
      const large = rows.filter((row) => /^(10 x 100 MB|1 GiB)$/.test(row.case));
      // A quick run has the small ones only.
      const bars = barsOf(large.length === 0 ? rows : large, 'bytes', /^resident peak/);
      if (bars.length === 0) return null;
      return barChart({
        title: 'Highest resident memory',
        subtitle: 'while cold objects are downloaded; median; less is better',
        xTitle: 'of the whole process, read from outside',
        bars,
      });
    },
  },
];
