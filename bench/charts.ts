// Charts as SVG text: lines over object sizes, and bars of subjects side by side. Drawn by vega-lite on
// the server side. Every series is named where it ends and every bar carries its value, so there is no
// legend and no grid to read off; colours are told apart by the colour-blind and have twins for a dark
// page, which the SVG itself swaps in.

import { Error as errorsOnly, logger, parse, resetSVGDefIds, View } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';

/** On a light page, and its twin on a dark one. After Okabe and Ito. */
const palette = {
  text: ['#24292f', '#e6edf3'],
  faint: ['#6e7781', '#9198a1'],
  rule: ['#d0d7de', '#3d444d'],
  ours: ['#0072b2', '#56b4e9'],
  baseline: ['#d55e00', '#e69f00'],
  other: ['#8c959f', '#848d97'],
} as const;

/** The product stands out, the baseline of the design is the other pole, rivals stay behind. */
export function colorOf(subject: string): string {
  if (subject.startsWith('millrace')) return palette.ours[0];
  return subject.startsWith('simple') ? palette.baseline[0] : palette.other[0];
}

export interface Point {
  readonly subject: string;
  readonly x: number;
  readonly y: number;
}

export interface LineChart {
  readonly title: string;
  readonly subtitle: string;
  readonly points: readonly Point[];
  readonly xTitle: string;
  readonly yTitle: string;
  /** Of the axis: what 1e6 on it is called. */
  readonly xLabel: (value: number) => string;
  readonly yLabel: (value: number) => string;
  readonly yIsLogarithmic: boolean;
}

export interface Bar {
  readonly group: string;
  readonly subject: string;
  readonly value: number;
  /** "6.6 us/req" */
  readonly label: string;
}

export interface BarChart {
  readonly title: string;
  readonly subtitle: string;
  readonly xTitle: string;
  readonly bars: readonly Bar[];
}

const font = 'system-ui, "Segoe UI", "Helvetica Neue", "DejaVu Sans", sans-serif';

const config = {
  background: 'transparent',
  font,
  padding: 8,
  view: { stroke: null },
  title: {
    anchor: 'start',
    color: palette.text[0],
    subtitleColor: palette.faint[0],
    fontSize: 15,
    subtitleFontSize: 12,
    subtitlePadding: 4,
    offset: 14,
  },
  axis: {
    domainColor: palette.rule[0],
    tickColor: palette.rule[0],
    gridColor: palette.rule[0],
    labelColor: palette.text[0],
    titleColor: palette.faint[0],
    titleFontWeight: 'normal',
    labelFontSize: 12,
    titleFontSize: 12,
  },
} as const;

/** Logarithmic over sizes; a series needs two points to be a line. */
export function lineChart(chart: LineChart): Promise<string> {
  const xs = sorted(new Set(chart.points.map(({ x }) => x)));
  const values = chart.points.map((point) => ({ ...point, color: colorOf(point.subject) }));
  const ends = endLabels(chart);
  const y = {
    field: 'y',
    type: 'quantitative',
    scale: chart.yIsLogarithmic ? { type: 'log', nice: true } : { zero: true, nice: true },
    axis: {
      title: chart.yTitle,
      titleAngle: 0,
      titleAlign: 'left',
      titleAnchor: 'end',
      titleX: 0,
      titleY: -12,
      grid: true,
      ticks: false,
      domain: false,
      labelPadding: 6,
      values: yValues(chart),
      labelExpr: textOf(yValues(chart), chart.yLabel),
    },
  };
  const x = {
    field: 'x',
    type: 'quantitative',
    scale: { type: 'log', nice: false, padding: 6 },
    axis: {
      title: chart.xTitle,
      grid: false,
      values: xs,
      labelExpr: textOf(xs, chart.xLabel),
    },
  };
  const color = { field: 'color', type: 'nominal', scale: null };
  return toSvg({
    title: { text: chart.title, subtitle: chart.subtitle },
    width: 440,
    height: 240,
    data: { values },
    encoding: { x, y },
    layer: [
      {
        mark: { type: 'line', strokeWidth: 2.5 },
        encoding: { color, detail: { field: 'subject', type: 'nominal' } },
      },
      { mark: { type: 'point', filled: true, size: 50, opacity: 1 }, encoding: { color } },
      {
        data: { values: ends },
        mark: { type: 'text', align: 'left', baseline: 'middle', dx: 14, fontSize: 12 },
        encoding: { text: { field: 'subject' }, color },
      },
    ],
  });
}

/** The last point of each series, moved apart where two would be printed over each other. */
function endLabels({ points, yIsLogarithmic }: LineChart): object[] {
  const last = new Map<string, Point>();
  for (const point of points) {
    const known = last.get(point.subject);
    if (known === undefined || point.x >= known.x) last.set(point.subject, point);
  }
  const ys = points.map(({ y }) => y);
  const [low, high] = [Math.min(...ys), Math.max(...ys)];
  // Fifteen lines of text fit beside the plot.
  const step = yIsLogarithmic ? Math.log(high / low) / 15 : high / 15;
  let floor = Number.NEGATIVE_INFINITY;
  return [...last.values()]
    .sort((a, b) => a.y - b.y)
    .map((point) => {
      const place = yIsLogarithmic ? Math.log(point.y) : point.y;
      floor = Math.max(place, floor + step);
      const y = yIsLogarithmic ? Math.exp(floor) : floor;
      return { ...point, y, color: colorOf(point.subject) };
    });
}

/** Powers of ten where the axis is logarithmic; else vega chooses. */
function yValues({ points, yIsLogarithmic }: LineChart): number[] {
  const ys = points.map(({ y }) => y);
  const high = Math.max(...ys);
  if (!yIsLogarithmic) return steps(high);
  const from = Math.floor(Math.log10(Math.min(...ys)));
  const to = Math.ceil(Math.log10(high));
  return Array.from({ length: to - from + 1 }, (_, place) => 10 ** (from + place));
}

/** From nothing to the highest value in four or five round steps. */
function steps(high: number): number[] {
  if (high <= 0) return [0];
  const rough = high / 4;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 2.5, 5].find((factor) => factor * unit >= rough) ?? 10) * unit;
  return Array.from({ length: Math.ceil(high / step - 1e-9) + 1 }, (_, place) => place * step);
}

/** Vega asks for an expression: a choice among the texts of the values that there are. */
function textOf(values: readonly number[], label: (value: number) => string): string {
  const cases = values.map((value) => {
    const near = `abs(datum.value - ${value}) <= ${Math.abs(value) * 1e-6}`;
    return `${near} ? ${JSON.stringify(label(value))} : `;
  });
  return `${cases.join('')}''`;
}

const sorted = (values: Iterable<number>): number[] => [...values].sort((a, b) => a - b);

/** One block of bars per group, on one axis from nothing; the subjects in the order given. */
export function barChart(chart: BarChart): Promise<string> {
  const groups = [...new Set(chart.bars.map(({ group }) => group))];
  const values = chart.bars.map((bar) => ({ ...bar, color: colorOf(bar.subject) }));
  const most = Math.max(...chart.bars.map(({ value }) => value));
  const color = { field: 'color', type: 'nominal', scale: null };
  const y = {
    field: 'subject',
    type: 'nominal',
    sort: null,
    axis: { title: null, ticks: false, domain: false, labelPadding: 8, labelLimit: 220 },
  };
  const x = {
    field: 'value',
    type: 'quantitative',
    // Room for the label behind the longest bar.
    scale: { domain: [0, most * 1.18], nice: false },
    axis: null,
  };
  const header = { title: null, labelAnchor: 'start', labelOrient: 'top', labelFontWeight: 'bold' };
  return toSvg({
    title: { text: chart.title, subtitle: [chart.subtitle, chart.xTitle] },
    data: { values },
    facet: {
      row: {
        field: 'group',
        type: 'nominal',
        sort: groups,
        header: { ...header, labelColor: palette.text[0], labelFontSize: 12, labelPadding: 6 },
      },
    },
    spacing: 18,
    resolve: { scale: { y: 'independent' } },
    spec: {
      width: 420,
      height: { step: 24 },
      encoding: { x, y },
      layer: [
        { mark: { type: 'bar', height: 16 }, encoding: { color } },
        {
          mark: { type: 'text', align: 'left', dx: 6, fontSize: 12, color: palette.text[0] },
          encoding: { text: { field: 'label' } },
        },
      ],
    },
  });
}

async function toSvg(spec: object): Promise<string> {
  const whole = { $schema: 'https://vega.github.io/schema/vega-lite/v6.json', config, ...spec };
  // Specs are put together as plain objects, which vega-lite's type cannot follow; it warns that the
  // groups of a bar chart have axes of their own, which is what they should have.
  const quiet = { logger: logger(errorsOnly) };
  // The same chart is the same text, whatever was drawn before it.
  resetSVGDefIds();
  const view = new View(parse(compile(whole as unknown as TopLevelSpec, quiet).spec), {
    renderer: 'none',
  });
  try {
    return withDarkTwins(await view.toSVG());
  } finally {
    view.finalize();
  }
}

/** Attributes give way to style sheets: each colour is replaced by its twin on a dark page. */
function withDarkTwins(svg: string): string {
  const rules = Object.values(palette).flatMap(([light, dark]) => [
    `[fill="${light}"]{fill:${dark}}`,
    `[stroke="${light}"]{stroke:${dark}}`,
  ]);
  const style = `<style>@media (prefers-color-scheme:dark){${rules.join('')}}</style>`;
  return `${svg.replace(/(<svg[^>]*>)/, `$1${style}`)}\n`;
}
