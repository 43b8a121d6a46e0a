// Results and rows for the tests of the benchmark, small enough to be checked by hand.

import type { Metric, Row, SuiteReport, Unit } from '../../../bench/harness.js';
import type { NamedResult, Result } from '../../../bench/results.js';

export function metric(
  name: string,
  unit: Unit,
  values: readonly number[],
  better: Metric['better'] = 'lower',
): Metric {
  return { name, unit, better, values };
}

export function row(subject: string, name: string, ...metrics: Metric[]): Row {
  return { subject, case: name, metrics };
}

export function suite(
  name: string,
  rows: readonly Row[],
  failure: string | null = null,
): SuiteReport {
  const about = `What ${name} measures.`;
  return { name, title: `Title of ${name}`, about, durationS: 1.5, rows, skips: [], failure };
}

export function result(suites: readonly SuiteReport[], changes: Partial<Result> = {}): Result {
  return {
    format: 1,
    date: '2026-11-24T12:00:00.000Z',
    commit: { hash: '0123456789abcdef0123456789abcdef01234567', isDirty: false },
    flags: { quick: false, rounds: 3, suites: suites.map(({ name }) => name), rivals: 'all' },
    machine: {
      cpu: 'a processor',
      cpuCount: 2,
      architecture: 'x64',
      memoryBytes: 8 * 2 ** 30,
      kernel: '6.1.0',
      system: 'a system',
      disk: {
        filesystem: 'ext4',
        device: 'vda',
        model: null,
        isRotational: false,
        sizeBytes: 2 ** 38,
        freeBytes: 2 ** 37,
      },
      loadBefore: 0.1,
    },
    versions: { node: '20.20.0', millrace: '0.1.0', nginx: '1.22.1' },
    suites,
    ...changes,
  };
}

export function named(
  name: string,
  suites: readonly SuiteReport[],
  changes: Partial<Result> = {},
): NamedResult {
  return { name, result: result(suites, changes) };
}
