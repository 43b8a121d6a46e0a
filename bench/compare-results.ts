// Two results against each other. For every figure that both have: the medians, the difference, and the
// band below which a difference is noise. The band has two parts: the spread of the rounds of both, and
// the drift of the machine between the runs, which the other programs show that were measured beside
// millrace and did not change. Only what lies outside is called better or worse; a figure with no better
// direction, or of too few rounds, is told and not judged.

import { formatChange, formatValue } from './format.js';
import type { Metric, Row, Unit } from './harness.js';
import { type Result, suiteOf } from './results.js';
import { median, noiseBand, roundsMin, summarize } from './statistics.js';

export type Verdict = 'better' | 'worse' | 'no change' | 'not judged';

export interface Difference {
  readonly suite: string;
  readonly case: string;
  readonly subject: string;
  readonly metric: string;
  readonly unit: Unit;
  readonly before: number;
  readonly after: number;
  /** Relative to `before`; infinite where that is 0 and `after` is not. */
  readonly change: number;
  /** What the change has to exceed, relative too. */
  readonly band: number;
  readonly verdict: Verdict;
}

export interface Comparison {
  readonly differences: readonly Difference[];
  /** "suite, case, subject, metric" of what only one side has. */
  readonly onlyBefore: readonly string[];
  readonly onlyAfter: readonly string[];
  /** What makes the two runs unlike: other machine, other flags. */
  readonly warnings: readonly string[];
}

interface Figure {
  readonly suite: string;
  readonly row: Row;
  readonly metric: Metric;
}

function figuresOf(result: Result): Map<string, Figure> {
  const figures = new Map<string, Figure>();
  for (const suite of result.suites) {
    for (const row of suite.rows) {
      for (const metric of row.metrics) {
        const name = [suite.name, row.case, row.subject, metric.name].join(', ');
        figures.set(name, { suite: suite.name, row, metric });
      }
    }
  }
  return figures;
}

export function compareResults(before: Result, after: Result): Comparison {
  const old = figuresOf(before);
  const now = figuresOf(after);
  const differences: Difference[] = [];
  for (const [name, figure] of old) {
    const other = now.get(name);
    // A metric whose unit or direction changed is another metric.
    if (other === undefined || other.metric.unit !== figure.metric.unit) continue;
    differences.push(differenceOf(figure, other));
  }
  return {
    differences: differences.map((difference) => withDrift(difference, differences)),
    onlyBefore: [...old.keys()].filter((name) => isMissing(old.get(name), now.get(name))),
    onlyAfter: [...now.keys()].filter((name) => isMissing(now.get(name), old.get(name))),
    warnings: warningsOf(before, after),
  };
}

function isMissing(figure: Figure | undefined, other: Figure | undefined): boolean {
  return other === undefined || other.metric.unit !== figure?.metric.unit;
}

function differenceOf(old: Figure, now: Figure): Difference {
  const before = summarize(old.metric.values);
  const after = summarize(now.metric.values);
  const step = after.median - before.median;
  const change = step === 0 ? 0 : step / Math.abs(before.median);
  const band = noiseBand(before, after);
  return {
    suite: old.suite,
    case: old.row.case,
    subject: old.row.subject,
    metric: old.metric.name,
    unit: old.metric.unit,
    before: before.median,
    after: after.median,
    change,
    band,
    verdict: verdictOf(change, band, betterOf(now.metric, Math.min(before.count, after.count))),
  };
}

function betterOf({ better }: Metric, rounds: number): Metric['better'] {
  return rounds < roundsMin ? 'none' : better;
}

function verdictOf(change: number, band: number, better: Metric['better']): Verdict {
  if (better === 'none') return 'not judged';
  if (Math.abs(change) <= band) return 'no change';
  return change > 0 === (better === 'higher') ? 'better' : 'worse';
}

/** What a change of ours could have moved; everything else is the same program in both runs. */
export function isOurs({ subject }: Pick<Difference, 'subject'>): boolean {
  return subject.startsWith('millrace');
}

/** By how much the same figure of unchanged programs moved: that much the machine did. */
function withDrift(difference: Difference, all: readonly Difference[]): Difference {
  const drifts = all
    .filter((other) => !isOurs(other) && isSameFigure(other, difference))
    .map(({ change }) => Math.abs(change))
    .filter(Number.isFinite);
  const band = drifts.length === 0 ? 0 : median(drifts);
  if (band <= difference.band) return difference;
  const isNoise = isChange(difference.verdict) && Math.abs(difference.change) <= band;
  return { ...difference, band, verdict: isNoise ? 'no change' : difference.verdict };
}

function isSameFigure(one: Difference, other: Difference): boolean {
  return one.suite === other.suite && one.case === other.case && one.metric === other.metric;
}

function warningsOf(before: Result, after: Result): string[] {
  const warnings: string[] = [];
  const compare = (what: string, one: unknown, other: unknown): void => {
    if (one !== other) warnings.push(`${what} differs: ${one} and ${other}`);
  };
  compare('processor', before.machine.cpu, after.machine.cpu);
  compare('number of processors', before.machine.cpuCount, after.machine.cpuCount);
  compare('kernel', before.machine.kernel, after.machine.kernel);
  compare('disk', before.machine.disk.device, after.machine.disk.device);
  compare('file system', before.machine.disk.filesystem, after.machine.disk.filesystem);
  compare('Node', before.versions.node, after.versions.node);
  compare('--quick', before.flags.quick, after.flags.quick);
  compare('--rounds', before.flags.rounds, after.flags.rounds);
  for (const [name, result] of Object.entries({ first: before, second: after })) {
    if (result.flags.rounds < roundsMin) {
      warnings.push(`the ${name} run has fewer than ${roundsMin} rounds: nothing is judged`);
    }
    for (const { name: suite, failure } of result.suites) {
      if (failure !== null) warnings.push(`the ${name} run broke off in ${suite}: ${failure}`);
    }
    // Half a processor of strangers moves every figure of a machine with a few.
    if (result.machine.loadBefore > result.machine.cpuCount / 4) {
      warnings.push(
        `the machine was busy before the ${name} run: load ${result.machine.loadBefore}`,
      );
    }
  }
  return warnings;
}

export interface ComparisonText {
  /** Also the figures that did not change. */
  readonly all: boolean;
}

/** For people: one block per suite, what changed first, and counts at the end. */
export function formatComparison(comparison: Comparison, { all }: ComparisonText): string[] {
  const { differences, onlyBefore, onlyAfter, warnings } = comparison;
  const lines = warnings.map((warning) => `warning: ${warning}`);
  for (const suite of new Set(differences.map((difference) => difference.suite))) {
    const ofSuite = differences.filter((difference) => difference.suite === suite);
    const shown = ofSuite.filter(({ verdict }) => all || isChange(verdict));
    lines.push(`${suite}:`, ...shown.map((difference) => `  ${formatDifference(difference)}`));
    const still = countOf(ofSuite, 'no change');
    if (still > 0 && !all)
      lines.push(`  ${still} figures without a change that is more than noise`);
  }
  for (const name of onlyBefore) lines.push(`only in the first: ${name}`);
  for (const name of onlyAfter) lines.push(`only in the second: ${name}`);
  const count = (verdict: Verdict): number => countOf(differences, verdict);
  lines.push(
    `${count('better')} better, ${count('worse')} worse, ` +
      `${count('no change')} no change (within noise), ${count('not judged')} not judged`,
  );
  return lines;
}

function countOf(differences: readonly Difference[], verdict: Verdict): number {
  return differences.filter((difference) => difference.verdict === verdict).length;
}

const isChange = (verdict: Verdict): boolean => verdict === 'better' || verdict === 'worse';

export function formatDifference(difference: Difference): string {
  const { subject, metric, unit, before, after, change, band, verdict } = difference;
  const from = formatValue(before, unit);
  const to = formatValue(after, unit);
  const word = verdict === 'no change' ? 'no change (within noise)' : verdict;
  return (
    `${word}: ${difference.case}, ${subject}, ${metric}: ${from} -> ${to}, ` +
    `${formatChange(change)} (noise band ${formatChange(band).replace('+', '')})`
  );
}

/** Whether the run can be of use in `suite`: what --suite of a comparison narrows it to. */
export function narrowed(result: Result, suites: readonly string[]): Result {
  if (suites.length === 0) return result;
  const kept = suites.map((name) => suiteOf(result, name)).filter((suite) => suite !== null);
  return { ...result, suites: kept };
}
