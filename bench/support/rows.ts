// Collects what the rounds of a suite measured, and makes rows of it: one per subject and case, one value
// per round and metric. Rows are reported when the rounds are over, in the order in which they first
// appeared.

import type { Metric, Row, SuiteContext, Unit } from '../harness.js';

export interface Figure {
  readonly name: string;
  readonly unit: Unit;
  readonly better: Metric['better'];
  readonly value: number;
}

export interface Rows {
  add(subject: string, name: string, figures: readonly Figure[], note?: string): void;
  report(context: SuiteContext): void;
}

interface Collected {
  readonly subject: string;
  readonly case: string;
  readonly metrics: Map<string, { unit: Unit; better: Metric['better']; values: number[] }>;
  note?: string;
}

export function collectRows(): Rows {
  const rows = new Map<string, Collected>();
  return {
    add: (subject, name, figures, note) => {
      const key = JSON.stringify([subject, name]);
      const row: Collected = rows.get(key) ?? { subject, case: name, metrics: new Map() };
      rows.set(key, row);
      if (note !== undefined) row.note = note;
      for (const figure of figures) {
        const { unit, better, value } = figure;
        const metric = row.metrics.get(figure.name) ?? { unit, better, values: [] };
        row.metrics.set(figure.name, metric);
        metric.values.push(value);
      }
    },
    report: (context) => {
      for (const { metrics, ...row } of rows.values()) {
        const all = [...metrics].map(([name, metric]) => ({ name, ...metric }));
        context.report({ ...row, metrics: all } satisfies Row);
      }
    },
  };
}

export const lower = (name: string, unit: Unit, value: number): Figure => ({
  name,
  unit,
  better: 'lower',
  value,
});

export const higher = (name: string, unit: Unit, value: number): Figure => ({
  name,
  unit,
  better: 'higher',
  value,
});

export const told = (name: string, unit: Unit, value: number): Figure => ({
  name,
  unit,
  better: 'none',
  value,
});

/** `share`: 0.5 is the median. Of values in any order; NaN of none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const place = Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1));
  return sorted[place] ?? Number.NaN;
}
