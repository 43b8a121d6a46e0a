// The figures of docs/PERFORMANCE.md and README.md. A figure stands between two markers that name where
// it comes from; `npm run bench:report` writes what is between them, a test compares. Outside of markers
// no figure may stand, which the same test checks. Three kinds:
//   <!-- table: NAME from RESULT --> lines <!-- /table -->     (NAME: see tables.ts)
//   <!-- chart: NAME from latest --> lines <!-- /chart -->     (NAME: see chart-list.ts)
//   <!-- value: SUITE / CASE / SUBJECT / METRIC from RESULT -->0.9 ms<!-- /value -->
// RESULT is the name of a committed file, or "latest": the newest that holds the suite whole.

import { ConfigError } from '../ts/errors.js';
import { chartRecipes } from './chart-list.js';
import { formatValue } from './format.js';
import { latestWith, type NamedResult, suiteOf } from './results.js';
import { summarize } from './statistics.js';
import { markdownOf, tableNamed } from './tables.js';
import { targetsTable } from './targets.js';

export interface Sources {
  /** Oldest first. */
  readonly results: readonly NamedResult[];
  /** The charts that could be drawn from them. */
  readonly charts: ReadonlySet<string>;
  /** The way from the document to the charts: "images". */
  readonly images: string;
}

const marker = /<!-- (table|chart|value): ([^<>]+?) from (\S+) -->([\s\S]*?)<!-- \/\1 -->/g;
const notMeasured = 'not measured yet';

/** The text with everything between markers made anew. Throws ConfigError for a marker that lies. */
export function regenerated(text: string, sources: Sources): string {
  return text.replace(marker, (_, kind: string, name: string, from: string) => {
    const open = `<!-- ${kind}: ${name} from ${from} -->`;
    const close = `<!-- /${kind} -->`;
    if (kind === 'value') return `${open}${valueText(name, from, sources)}${close}`;
    const make = kind === 'table' ? tableText : chartText;
    return `${open}\n${make(name, from, sources)}\n${close}`;
  });
}

/** Null: nothing holds the suite yet. */
function resultFor(name: string, from: string, { results }: Sources): NamedResult | null {
  const suite = name.split(' / ')[0] ?? '';
  if (from === 'latest') {
    return suite === 'machine' ? (results.at(-1) ?? null) : latestWith(results, suite);
  }
  const found = results.find((result) => result.name === from);
  if (found !== undefined) return found;
  throw new ConfigError('CONFIG_INVALID', `"${name} from ${from}": bench/results has no ${from}`);
}

function absent(name: string, { name: from }: NamedResult): ConfigError {
  return new ConfigError('CONFIG_INVALID', `the result ${from} holds no "${name}"`);
}

function tableText(name: string, from: string, sources: Sources): string {
  if (name === 'targets') return markdownOf(targetsTable(sources.results));
  const found = resultFor(name, from, sources);
  if (found === null) return `*${notMeasured}*`;
  const table = tableNamed(name, found);
  if (table === null) throw absent(name, found);
  return `${markdownOf(table)}\n\n${sourceOf(found)}`;
}

function sourceOf({ name, result }: NamedResult): string {
  const { rounds } = result.flags;
  const commit = result.commit === null ? '' : `, commit ${result.commit.hash.slice(0, 12)}`;
  const count = rounds === 1 ? 'one round' : `median of ${rounds} rounds`;
  return `*bench/results/${name}.json, ${result.date.slice(0, 10)}${commit}; ${count}.*`;
}

function chartText(name: string, from: string, { charts, images }: Sources): string {
  const recipe = chartRecipes.find((candidate) => candidate.name === name);
  if (recipe === undefined) throw new ConfigError('CONFIG_INVALID', `no chart is called ${name}`);
  if (from !== 'latest') {
    throw new ConfigError(
      'CONFIG_INVALID',
      `chart ${name}: there is one file of it, of the latest`,
    );
  }
  if (!charts.has(name)) return `*${notMeasured}*`;
  return `<img src="${images}/${name}.svg" alt="${recipe.alt}">`;
}

function valueText(name: string, from: string, sources: Sources): string {
  const [suiteName = '', one, subject, metricName] = name.split(' / ');
  const found = resultFor(suiteName, from, sources);
  if (found === null) return notMeasured;
  const row = suiteOf(found.result, suiteName)?.rows.find(
    (candidate) => candidate.case === one && candidate.subject === subject,
  );
  const metric = row?.metrics.find((candidate) => candidate.name === metricName);
  if (metric === undefined) throw absent(name, found);
  return formatValue(summarize(metric.values).median, metric.unit);
}

/** What only a measurement can tell: times, rates, shares, multiples. */
const measured = new RegExp(
  [
    /\d[\d.,]*\s*(?:ns|us|ms|s|seconds?|minutes?|%|percent|x|times)(?![\w-])/,
    /\d[\d.,]*\s*(?:[KMGT]i?B|req|s|us|b(?:it)?s?)\/\w+/,
  ]
    .map(({ source }) => source)
    .join('|'),
  'i',
);
/** A number that is no part of a name such as L1, HTTP/1.1 or crc32c. */
const anyNumber = /(?<![\w./-])\d[\d.,]*(?:\s*[^\s|]+)?/;

/** Examples of commands and configurations; in other blocks, pictures, no measured figure may stand. */
const example = /^```(?:sh|yaml)\n[\s\S]*?^```$/gm;
const block = /^```[\s\S]*?^```$/gm;

/**
 * "LINE: TEXT" of every figure outside of markers. Settings stand in code (`64MiB`): there only what a
 * measurement alone can tell is refused.
 */
export function strayFigures(text: string): string[] {
  const blank = (match: string): string => match.replace(/[^\n]/g, ' ');
  const unmarked = text
    .replace(marker, blank)
    .replace(/<!--[\s\S]*?-->/g, blank)
    .replace(example, blank)
    .replace(/\]\([^)]*\)/g, blank);
  // Lines of a picture count as code.
  const code = unmarked.replace(block, (whole) => whole.replace(/^.*\S.*$/gm, '`$&`'));
  return code.split('\n').flatMap((line, index) => {
    const inCode = [...line.matchAll(/`[^`]*`/g)].flatMap(([part]) => measured.exec(part) ?? []);
    const outside = anyNumber.exec(line.replace(/`[^`]*`/g, blank));
    return [...inCode, ...(outside ?? [])].map((found) => `${index + 1}: ${found.trim()}`);
  });
}
