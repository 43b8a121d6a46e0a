// Collects what the rounds of a micro suite measure: a row per subject and case, one value per round and
// metric, reported together at the end in the order in which the rows first appeared.

import type { Metric, SuiteContext } from '../harness.js';

export interface Sample {
  readonly name: string;
  readonly unit: Metric['unit'];
  readonly better: Metric['better'];
  readonly value: number;
}

export interface Measured {
  readonly subject: string;
  readonly case: string;
  readonly samples: readonly Sample[];
  readonly note?: string;
}

export interface Rounds {
  add(measured: Measured): void;
  /** Reports every row that was measured. */
  report(context: SuiteContext): void;
}

interface Collected {
  readonly first: Measured;
  readonly values: Map<string, number[]>;
}

export function collectRounds(): Rounds {
  const rows = new Map<string, Collected>();
  return {
    add(measured) {
      const name = `${measured.subject}\n${measured.case}`;
      const row = rows.get(name) ?? { first: measured, values: new Map<string, number[]>() };
      rows.set(name, row);
      for (const { name: metric, value } of measured.samples) {
        const values = row.values.get(metric);
        if (values === undefined) row.values.set(metric, [value]);
        else values.push(value);
      }
    },
    report(context) {
      for (const { first, values } of rows.values()) {
        context.report({
          subject: first.subject,
          case: first.case,
          metrics: first.samples.map(({ name, unit, better }) => ({
            name,
            unit,
            better,
            values: values.get(name) ?? [],
          })),
          ...(first.note === undefined ? {} : { note: first.note }),
        });
      }
    },
  };
}
