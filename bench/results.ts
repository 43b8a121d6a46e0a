// Result files: their schema, how they are written, read and found. What a run measured is kept value by
// value, so that a later comparison can judge the spread for itself. Committed ones are in bench/results
// and are the only source of the figures in the documents; others land in bench/out.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { ConfigError } from '../ts/errors.js';
import type { RivalChoice, SuiteReport } from './harness.js';

const metricSchema = z.strictObject({
  name: z.string().min(1),
  unit: z.enum(['ms', 'us', 'ns', 'MB/s', 'req/s', 'bytes', 'count', 's/GB', 'us/req', 'ratio']),
  better: z.enum(['lower', 'higher', 'none']),
  values: z.array(z.number()).min(1),
});

const rowSchema = z.strictObject({
  subject: z.string().min(1),
  case: z.string().min(1),
  metrics: z.array(metricSchema).min(1),
  note: z.string().exactOptional(),
});

const suiteSchema = z.strictObject({
  name: z.string().min(1),
  title: z.string(),
  about: z.string(),
  durationS: z.number(),
  rows: z.array(rowSchema),
  skips: z.array(z.strictObject({ subject: z.string(), why: z.string() })),
  failure: z.string().nullable(),
});

const machineSchema = z.strictObject({
  cpu: z.string(),
  cpuCount: z.number(),
  architecture: z.string(),
  memoryBytes: z.number(),
  kernel: z.string(),
  system: z.string(),
  disk: z.strictObject({
    filesystem: z.string(),
    device: z.string(),
    model: z.string().nullable(),
    isRotational: z.boolean().nullable(),
    sizeBytes: z.number(),
    freeBytes: z.number(),
  }),
  loadBefore: z.number(),
});

export const resultSchema = z.strictObject({
  format: z.literal(1),
  /** When the run began, in UTC. */
  date: z.iso.datetime(),
  commit: z.strictObject({ hash: z.string(), isDirty: z.boolean() }).nullable(),
  flags: z.strictObject({
    quick: z.boolean(),
    rounds: z.number(),
    suites: z.array(z.string()),
    rivals: z.union([z.literal('all'), z.literal('none'), z.array(z.string())]),
  }),
  machine: machineSchema,
  versions: z.record(z.string(), z.string()),
  suites: z.array(suiteSchema),
});

/** The same, as nobody may change it. */
export interface Result extends Omit<z.output<typeof resultSchema>, 'flags' | 'suites'> {
  readonly flags: {
    readonly quick: boolean;
    readonly rounds: number;
    /** Those that ran. */
    readonly suites: readonly string[];
    readonly rivals: RivalChoice;
  };
  readonly suites: readonly SuiteReport[];
}

/** A result and the name it goes by: that of its file without ".json". */
export interface NamedResult {
  readonly name: string;
  readonly result: Result;
}

/** What committed files are called: no directories, nothing a shell would see. */
export function isResultName(name: string): boolean {
  return /^[a-z0-9][a-z0-9.-]{0,63}$/.test(name) && !name.endsWith('.json');
}

/** Throws ConfigError that says what is wrong with which file. */
export function parseResult(text: string, path: string): Result {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ConfigError('CONFIG_INVALID', `${path}: not JSON; it is no benchmark result`, {
      cause: error,
    });
  }
  const parsed = resultSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const place = issue?.path.join('.') ?? '';
  throw new ConfigError(
    'CONFIG_INVALID',
    `${path}: no benchmark result of this version: ${place}: ${issue?.message ?? 'unreadable'}`,
  );
}

export function readResult(path: string): NamedResult {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError('CONFIG_UNREADABLE', `${path} cannot be read; is the name right?`, {
      cause: error,
    });
  }
  return { name: basename(path, '.json'), result: parseResult(text, path) };
}

/** Every result of a directory, oldest first; none where there is no directory. */
export function readResults(directory: string): NamedResult[] {
  let names: string[];
  try {
    names = readdirSync(directory).filter((name) => name.endsWith('.json'));
  } catch {
    return [];
  }
  const byDate = (one: NamedResult, other: NamedResult): number =>
    one.result.date < other.result.date ? -1 : 1;
  return names
    .sort()
    .map((name) => readResult(join(directory, name)))
    .sort(byDate);
}

/** The newest that holds the suite whole; a run of one suite does not hide the others' figures. */
export function latestWith(results: readonly NamedResult[], suite: string): NamedResult | null {
  const holds = ({ result }: NamedResult): boolean =>
    result.suites.some(({ name, failure }) => name === suite && failure === null);
  return results.findLast(holds) ?? null;
}

/**
 * Of every suite the newest that is whole, as if one run had measured them all: a full run may be made in
 * pieces, each of which leaves a file. Machine, date and flags are those of the newest piece. Null: there is
 * no result.
 */
export function mergedOf(results: readonly NamedResult[], name: string): NamedResult | null {
  const newest = results.at(-1);
  if (newest === undefined) return null;
  const names = new Set(results.flatMap(({ result }) => result.suites.map((suite) => suite.name)));
  const suites = [...names].flatMap((one) => {
    const from = latestWith(results, one);
    const suite = from === null ? null : suiteOf(from.result, one);
    if (from === null || suite === null) return [];
    return [{ ...suite, about: `${suite.about} Measured in ${from.name}.` }];
  });
  return { name, result: { ...newest.result, suites } };
}

export function suiteOf(result: Result, name: string): SuiteReport | null {
  return result.suites.find((suite) => suite.name === name) ?? null;
}

export function writeResult(path: string, result: Result): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${layOut(resultSchema.parse(roundedOf(result)), '')}\n`);
}

/** Six digits: more than a machine repeats, and a file that people can read. */
function roundedOf(result: Result): Result {
  const six = (value: number): number => Number(value.toPrecision(6));
  return {
    ...result,
    suites: result.suites.map((suite) => ({
      ...suite,
      durationS: six(suite.durationS),
      rows: suite.rows.map((row) => ({
        ...row,
        metrics: row.metrics.map((metric) => ({ ...metric, values: metric.values.map(six) })),
      })),
    })),
  };
}

const columns = 100;

/** JSON as the linter lays it out, so that a committed file passes it: short arrays on one line. */
export function layOut(value: unknown, indent: string): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const inner = `${indent}  `;
  if (!Array.isArray(value)) {
    const fields = Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .map(([key, field]) => {
        const name = `${inner}${JSON.stringify(key)}: `;
        // What follows the name shares its line.
        return `${name}${layOutAfter(field, inner, name.length)}`;
      });
    return fields.length === 0 ? '{}' : `{\n${fields.join(',\n')}\n${indent}}`;
  }
  return layOutAfter(value, indent, indent.length);
}

function layOutAfter(value: unknown, indent: string, column: number): string {
  if (!Array.isArray(value)) return layOut(value, indent);
  const isPlain = value.every((item) => typeof item !== 'object' || item === null);
  const items = value.map((item) => (isPlain ? JSON.stringify(item) : layOut(item, `${indent}  `)));
  const line = `[${items.join(', ')}]`;
  // One column for the comma that may follow.
  if (isPlain && column + line.length < columns) return line;
  const inner = `${indent}  `;
  const isNumbers = value.every((item) => typeof item === 'number');
  const lines = isNumbers ? filled(items, columns - inner.length) : items;
  return `[\n${lines.map((text) => inner + text).join(',\n')}\n${indent}]`;
}

/** As many numbers on a line as fit. */
function filled(items: readonly string[], width: number): string[] {
  const lines: string[] = [];
  for (const item of items) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 2 + item.length < width) {
      lines[lines.length - 1] = `${last}, ${item}`;
    } else lines.push(item);
  }
  return lines;
}
