// What is said about the values of several rounds: a median, because a noisy machine has outliers in
// one direction; a spread that one outlier does not blow up; and the band below which a difference
// between two runs is taken for noise. Pure functions.

export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** Robust estimate of a standard deviation, in the values' own unit. */
  readonly deviation: number;
  readonly count: number;
}

/** Below this no difference is called a change: two runs of one build differ by as much. */
export const bandMin = 0.05;
/** Fewer rounds show no spread, and without one nothing can be told from noise. */
export const roundsMin = 3;
/** Deviations on either side of no change: three, since a comparison judges a hundred metrics. */
const deviations = 3;
/** Of a normal distribution: standard deviation by median absolute deviation. */
const madScale = 1.4826;

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

export function summarize(values: readonly number[]): Summary {
  const center = median(values);
  const min = Math.min(...values);
  const max = Math.max(...values);
  const mad = median(values.map((value) => Math.abs(value - center)));
  // Of three rounds two that agree have a MAD of nothing; the range still says that they vary.
  const deviation = Math.max(madScale * mad, (max - min) / 4);
  return { median: center, min, max, deviation, count: values.length };
}

/** Relative to the first median: what a difference has to exceed to be called a change. */
export function noiseBand(before: Summary, after: Summary): number {
  if (before.median === 0) return bandMin;
  const spread = Math.hypot(before.deviation, after.deviation) / Math.abs(before.median);
  return Math.max(bandMin, deviations * spread);
}
