// Tables of the documents and of the report, made from results and from nothing else. A cell is a median
// and how far the rounds lay from it. Which table is called how:
//   machine          on what was measured
//   SUITE            every row of a suite, one column per metric
//   SUITE / METRIC   one metric, subjects side by side
//   targets          the design's targets against the newest figures

import { formatNumber, formatValue } from './format.js';
import type { Metric, Row, SuiteReport } from './harness.js';
import { type NamedResult, suiteOf } from './results.js';
import { summarize } from './statistics.js';

export interface Table {
  readonly heads: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Sentences below the table. */
  readonly notes: readonly string[];
}

/** "0.91 ms +-4 %": half of the range of the rounds, relative to the median. */
export function cellOf({ values, unit }: Pick<Metric, 'values' | 'unit'>): string {
  const { median, min, max, count } = summarize(values);
  const text = formatValue(median, unit);
  if (count < 2 || median === 0) return text;
  const percent = Math.round(((max - min) / 2 / Math.abs(median)) * 100);
  return percent === 0 ? text : `${text} +-${percent} %`;
}

function distinct(texts: Iterable<string>): string[] {
  return [...new Set(texts)];
}

export function suiteTable(suite: SuiteReport): Table {
  const metrics = distinct(suite.rows.flatMap((row) => row.metrics.map(({ name }) => name)));
  // Whatever the order was in which they were measured, the subjects of a case stand together.
  const cases = distinct(suite.rows.map((row) => row.case));
  const byCase = cases.flatMap((one) => suite.rows.filter((row) => row.case === one));
  const rows = byCase.map((row) => [
    row.case,
    row.subject,
    ...metrics.map((name) => metricCell(row, name)),
  ]);
  return { heads: ['case', 'subject', ...metrics], rows, notes: notesOf(suite, suite.rows) };
}

function metricCell(row: Row | undefined, name: string): string {
  const metric = row?.metrics.find((candidate) => candidate.name === name);
  return metric === undefined ? '' : cellOf(metric);
}

/** Null where the suite knows no such metric. */
export function metricTable(suite: SuiteReport, name: string): Table | null {
  const rows = suite.rows.filter((row) => row.metrics.some((metric) => metric.name === name));
  if (rows.length === 0) return null;
  const subjects = distinct(rows.map(({ subject }) => subject));
  const cases = distinct(rows.map((row) => row.case));
  const cell = (one: string, subject: string): string =>
    metricCell(
      rows.find((row) => row.case === one && row.subject === subject),
      name,
    );
  return {
    heads: ['case', ...subjects],
    rows: cases.map((one) => [one, ...subjects.map((subject) => cell(one, subject))]),
    notes: notesOf(suite, rows),
  };
}

/** A note that several rows share is told once. */
function notesOf(suite: SuiteReport, rows: readonly Row[]): string[] {
  const places = new Map<string, Row[]>();
  for (const row of rows) {
    if (row.note !== undefined) places.set(row.note, [...(places.get(row.note) ?? []), row]);
  }
  const notes = [...places].map(([note, of]) => `${placesOf(of)}: ${note}`);
  return [...notes, ...suite.skips.map(({ subject, why }) => `Not measured: ${subject}: ${why}`)];
}

function placesOf(rows: readonly Row[]): string {
  const subjects = distinct(rows.map(({ subject }) => subject));
  // "10 MB, origin unthrottled" and "10 MB, origin at 100 MB/s" share what the note is about.
  const shared = distinct(rows.map((row) => row.case.split(', ')[0] ?? ''));
  return shared.length === 1 ? `${subjects.join(', ')}, ${shared[0]}` : subjects.join(', ');
}

export function machineTable({ result, name }: NamedResult): Table {
  const { machine, commit, versions, flags, date } = result;
  const { disk } = machine;
  const others = Object.entries(versions).filter(([key]) => key !== 'node' && key !== 'millrace');
  const rows = [
    ['result', `${name}, ${date.slice(0, 10)}`],
    ['commit', commit === null ? 'unknown' : commitText(commit)],
    ['processor', `${machine.cpu}, ${machine.cpuCount} of them, ${machine.architecture}`],
    ['memory', formatValue(machine.memoryBytes, 'bytes')],
    ['system', `${machine.system}, Linux ${machine.kernel}`],
    ['disk', `${diskName(disk)}, ${disk.filesystem}, ${formatValue(disk.sizeBytes, 'bytes')}`],
    ['Node', versions.node ?? 'unknown'],
    ['beside it', others.map(([key, version]) => `${key} ${version}`).join(', ') || 'nothing'],
    ['rounds', `${flags.rounds}${flags.quick ? ' (quick: for a look, not for a claim)' : ''}`],
    ['load before', formatNumber(machine.loadBefore)],
  ];
  return { heads: ['', ''], rows, notes: [] };
}

function diskName({ device, model }: { device: string; model: string | null }): string {
  return model === null ? device : `${device} (${model})`;
}

function commitText({ hash, isDirty }: { hash: string; isDirty: boolean }): string {
  return `${hash.slice(0, 12)}${isDirty ? ' and changes that are not in it' : ''}`;
}

/** A table by its name, of one result; null where the result does not have it. */
export function tableNamed(name: string, from: NamedResult): Table | null {
  if (name === 'machine') return machineTable(from);
  const [suiteName = '', metric] = name.split(' / ');
  const suite = suiteOf(from.result, suiteName);
  if (suite === null) return null;
  return metric === undefined ? suiteTable(suite) : metricTable(suite, metric);
}

export function markdownOf({ heads, rows, notes }: Table): string {
  const escaped = (cell: string): string => cell.replaceAll('|', '\\|');
  const line = (cells: readonly string[]): string => `| ${cells.map(escaped).join(' | ')} |`;
  const table = [line(heads), `|${heads.map(() => '---').join('|')}|`, ...rows.map(line)];
  const list = notes.map((note) => `- ${note}`);
  // Of a suite that was skipped whole there is nothing but the reasons.
  if (rows.length === 0) return list.join('\n');
  return [...table, ...(list.length === 0 ? [] : ['', ...list])].join('\n');
}
