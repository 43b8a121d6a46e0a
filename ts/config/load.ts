// The one way to a Config: read, parse, lay --set on top, interpolate, judge every key, judge the
// keys together, build. Either all of it is right, or one error tells everything that is wrong, a
// line each.

import { readFileSync, statSync } from 'node:fs';
import { ConfigError } from '../errors.js';
import { buildConfig } from './build.js';
import { explainIssues, formatProblem, type Problem, show, suggestKey } from './explain.js';
import { findNotInEffect } from './not-in-effect.js';
import { checkRules } from './rules.js';
import { type Config, type ConfigInput, configSchema } from './schema.js';
import { type Source, sourceOfInput, sourceOfText } from './source.js';

export interface LoadOptions {
  /** File to read; where `text` is given too, only the name that messages call it by. */
  readonly path?: string;
  readonly text?: string;
  /** Options of the programmatic API; texts in it are not interpolated. */
  readonly input?: ConfigInput;
  /** What ${NAME} is looked up in; the process's own by default. */
  readonly env?: NodeJS.ProcessEnv;
  /** KEY=VALUE, in the order given. */
  readonly set?: readonly string[];
}

export interface LoadedConfig {
  readonly config: Config;
  /** Keys that were given and change nothing in this version. */
  readonly notInEffect: readonly string[];
  /** The file's path as given, or what stands for it in messages. */
  readonly source: string;
}

// A configuration is a few kilobytes; this is for the day somebody names the cache file by mistake.
const fileSizeMax = 256 * 1024;

const readAdvice: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file; create it, or name another',
  EACCES: 'permission denied; let the user that runs millrace read it',
  EISDIR: 'it is a directory; name the file in it',
  ENOTDIR: 'a part of the path is not a directory; check the path',
};

function readText(path: string): string {
  try {
    if (statSync(path).size <= fileSizeMax) return readFileSync(path, 'utf8');
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    const advice = readAdvice[code] ?? `${message}; check the path`;
    throw new ConfigError('CONFIG_UNREADABLE', `cannot read ${path}: ${advice}`, { cause: error });
  }
  throw new ConfigError(
    'CONFIG_UNREADABLE',
    `cannot read ${path}: it is larger than 256KiB, which no configuration is; name the right file`,
  );
}

function openSource({ path, text, input, env = process.env, set = [] }: LoadOptions): Source {
  if (input !== undefined) return sourceOfInput(input, set);
  if (text !== undefined) return sourceOfText(path ?? 'configuration', text, { set, env });
  if (path !== undefined) return sourceOfText(path, readText(path), { set, env });
  return sourceOfText('command line', '', { set, env });
}

/** Top level keys that have a problem, and those that a misspelt one was probably meant to be. */
function wrongKeys(problems: readonly Problem[]): Set<string> {
  const wrong = new Set<string>();
  for (const { path } of problems) {
    const key = String(path[0]);
    wrong.add(key);
    const meant = path.length === 1 ? suggestKey([], key) : null;
    if (meant !== null) wrong.add(meant.split('.')[0]!);
  }
  return wrong;
}

function withoutKeys(values: object, keys: ReadonlySet<string>): unknown {
  return Object.fromEntries(Object.entries(values).filter(([key]) => !keys.has(key)));
}

function firstLine(problem: Problem, source: Source): number {
  const written = problem.place ?? source.locate(problem.path);
  const place = written ?? (problem.near === undefined ? null : source.locate(problem.near));
  return Number(/:(\d+)/.exec(place?.slice(source.name.length) ?? '')?.[1] ?? Infinity);
}

function refuse(problems: readonly Problem[], source: Source): never {
  const lines = problems
    .map((problem) => ({ line: firstLine(problem, source), text: formatProblem(problem, source) }))
    .sort((one, other) => (one.line === other.line ? 0 : one.line - other.line))
    .map(({ text }) => text);
  throw new ConfigError('CONFIG_INVALID', [...new Set(lines)].join('\n'));
}

/** Throws ConfigError: CONFIG_UNREADABLE, or CONFIG_INVALID whose message lists every problem. */
export function loadConfig(options: LoadOptions): LoadedConfig {
  const source = openSource(options);
  const { values } = source;
  // Text that is not YAML, or is a list, has no keys to judge.
  const isMap = typeof values === 'object' && values !== null && !Array.isArray(values);
  const isParsed = source.problems.every(({ place }) => place === undefined);
  if (!isParsed) refuse(source.problems, source);
  if (!isMap) {
    refuse([{ path: [], text: `found ${show(values)}; allowed: a map of keys` }], source);
  }

  // A text whose variable is missing is wrong already; what is left of it is not worth a second
  // line.
  const judged = configSchema.safeParse(values);
  const isKnown = ({ path }: Problem) =>
    source.problems.some((known) => known.path.join('\0') === path.join('\0'));
  const issues = judged.success ? [] : explainIssues(judged.error.issues, values);
  const problems = [...source.problems, ...issues.filter((problem) => !isKnown(problem))];

  const wrong = wrongKeys(problems);
  const rest = judged.success ? judged : configSchema.safeParse(withoutKeys(values, wrong));
  if (rest.success) problems.push(...checkRules(rest.data, wrong));
  if (problems.length > 0 || !judged.success) refuse(problems, source);
  return {
    config: buildConfig(judged.data),
    notInEffect: findNotInEffect(values),
    source: source.name,
  };
}
