// How measured values are written for people: in the run's lines, in comparisons, in the report and in
// the tables of the documents, so that one figure looks the same everywhere. Three significant digits:
// the machine does not repeat more than that.

import type { Metric, Row, Unit } from './harness.js';
import { summarize } from './statistics.js';

const kib = 1024;

/** Three significant digits, thousands separated, no exponent. */
export function formatNumber(value: number): string {
  if (value === 0) return '0';
  const magnitude = Math.floor(Math.log10(Math.abs(value)));
  const factor = 10 ** (2 - magnitude);
  const rounded = magnitude >= 2 ? Math.round(value) : Math.round(value * factor) / factor;
  const digits = Math.min(12, Math.max(0, 2 - magnitude));
  const [whole = '', fraction = ''] = Math.abs(rounded).toFixed(digits).split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  const rest = fraction.replace(/0+$/, '');
  return `${rounded < 0 ? '-' : ''}${grouped}${rest === '' ? '' : `.${rest}`}`;
}

function formatBytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let scaled = Math.abs(value);
  let place = 0;
  while (scaled >= kib && place < units.length - 1) {
    scaled /= kib;
    place += 1;
  }
  return `${formatNumber(value < 0 ? -scaled : scaled)} ${units[place]}`;
}

/** With its unit: "0.91 ms", "31,200 req/s", "84 MiB". */
export function formatValue(value: number, unit: Unit): string {
  if (unit === 'bytes') return formatBytes(value);
  if (unit === 'count' || unit === 'ratio') return formatNumber(value);
  if (unit === 'ms' && Math.abs(value) >= 10_000) return `${formatNumber(value / 1000)} s`;
  return `${formatNumber(value)} ${unit}`;
}

/** A share with its sign: "+12 %", "-3 %". */
export function formatChange(share: number): string {
  if (!Number.isFinite(share)) return 'from 0';
  const percent = Math.round(share * 100);
  return `${percent > 0 ? '+' : ''}${percent} %`;
}

/** Median and, with several rounds, lowest to highest. */
export function formatMetric({ values, unit }: Pick<Metric, 'values' | 'unit'>): string {
  const { median, min, max, count } = summarize(values);
  const middle = formatValue(median, unit);
  const [low, high] = [formatValue(min, unit), formatValue(max, unit)];
  return count < 2 || low === high ? middle : `${middle} (${low} to ${high})`;
}

/** The row as one plain line; its note is for tables. */
export function formatRow(row: Row): string {
  const metrics = row.metrics.map((metric) => `${metric.name} ${formatMetric(metric)}`).join(', ');
  return `${row.case}: ${row.subject}: ${metrics}`;
}
