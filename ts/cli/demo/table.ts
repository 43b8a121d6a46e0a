// The demo's result as a table for a terminal of 100 columns, and how its numbers are written.

import { formatSize } from '../../units.js';

export interface Row {
  readonly what: string;
  /** "HIT memory", "MISS" */
  readonly outcome: string;
  /** Of the slowest where there were several. */
  readonly ttfbMs: number;
  readonly totalMs: number;
  /** Body bytes that all clients together received. */
  readonly bytes: number;
  readonly originRequests: number;
  /** Highest resident memory of the proxy process so far. */
  readonly memoryBytes: number;
}

const heads = ['', 'outcome', 'TTFB', 'total', 'throughput', 'origin', 'memory'] as const;

export function formatMs(durationMs: number): string {
  if (durationMs < 10) return `${durationMs.toFixed(1)} ms`;
  return durationMs < 10_000 ? `${Math.round(durationMs)} ms` : `${Math.round(durationMs / 1e3)} s`;
}

function cellsOf(row: Row): string[] {
  const rate = row.totalMs > 0 ? row.bytes / row.totalMs / 1000 : 0;
  return [
    row.what,
    row.outcome,
    formatMs(row.ttfbMs),
    formatMs(row.totalMs),
    `${rate < 10 ? rate.toFixed(1) : Math.round(rate)} MB/s`,
    String(row.originRequests),
    formatSize(Math.round(row.memoryBytes / 2 ** 20) * 2 ** 20),
  ];
}

/** Texts left, numbers right. */
export function formatTable(rows: readonly Row[]): string[] {
  const lines = [[...heads], ...rows.map(cellsOf)];
  const widths = heads.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const write = (line: readonly string[]): string =>
    line
      .map((cell, column) =>
        column < 2 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
      )
      .join('  ')
      .trimEnd();
  const rule = widths.map((width) => '-'.repeat(width)).join('  ');
  return [write(lines[0]!), rule, ...lines.slice(1).map(write)];
}
