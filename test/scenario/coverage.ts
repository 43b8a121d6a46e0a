// docs/reference/rfc-coverage.md: made from the clauses and from the titles of the scenarios as they stand
// in the sources. Without arguments nothing is run; `write` as an argument writes the file.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../support/root.js';
import { filesMatching } from '../support/tree.js';
import { type Clause, sections } from './clauses.js';

export const coveragePath = 'docs/reference/rfc-coverage.md';

export interface Titled {
  readonly path: string;
  readonly title: string;
}

/** Every title that is given to `scenario`, in the order of the sources. */
export function titlesOf(text: string): string[] {
  return [...text.matchAll(/\bscenario\(\s*(['"`])((?:\\.|(?!\1)[^\\])*)\1/g)].map((match) =>
    match[2]!.replace(/\\(.)/g, '$1'),
  );
}

export function scenarioTitles(): Titled[] {
  return filesMatching(/^test\/scenario\/[^/]+\.test\.ts$/)
    .filter(({ path }) => /\/(\d+b?|threats|promises)-[^/]+$/.test(path))
    .flatMap(({ path, text }) => titlesOf(text).map((title) => ({ path, title })));
}

/** `5b.3a max-stale: ...` belongs to clause 5b.3; undefined for a title of no clause. */
export function clauseOf(title: string): string | undefined {
  return /^(\d+b?\.\d+)[a-z]? /.exec(title)?.[1];
}

export interface Problem {
  readonly clause: string;
  readonly what: string;
}

/** Clauses without a scenario, scenarios without a clause, and one title given twice. */
export function problemsOf(titles: readonly Titled[]): Problem[] {
  const clauses = new Map(
    sections.flatMap((each) => each.clauses.map((clause) => [clause.id, clause])),
  );
  const problems: Problem[] = [];
  for (const { id, leftOut, notYet } of clauses.values()) {
    const isCovered = titles.some(({ title }) => clauseOf(title) === id);
    const isExcused = leftOut !== undefined || notYet !== undefined;
    if (!isCovered && !isExcused) problems.push({ clause: id, what: 'no scenario' });
    if (isCovered && leftOut !== undefined) problems.push({ clause: id, what: 'not left out' });
  }
  const seen = new Set<string>();
  for (const { path, title } of titles) {
    const clause = clauseOf(title);
    if (/^\d/.test(title) && (clause === undefined || !clauses.has(clause))) {
      problems.push({ clause: title, what: `${path}: no such clause` });
    }
    const section = clause?.split('.')[0];
    if (section !== undefined && !path.includes(`/${section}-`)) {
      problems.push({ clause: title, what: `${path}: not the file of its section` });
    }
    const mark = title.split(' ')[0]!;
    if (clause !== undefined && seen.has(mark))
      problems.push({ clause: mark, what: 'given twice' });
    seen.add(mark);
  }
  return problems;
}

export function coverage(titles: readonly Titled[]): string {
  const clauses = sections.flatMap((each) => each.clauses);
  const left = clauses.filter((clause) => clause.leftOut !== undefined);
  const lines = [
    '# What of the RFCs is covered',
    '',
    'Which clause of HTTP caching is shown by which scenario of `test/scenario`. M: the RFC requires',
    'it; S: it advises it; O: allowed, and it saves origin traffic; D: the RFCs leave a choice, and',
    'this is ours.',
    '',
    `${clauses.length} clauses; left out: ${left.length}. A test compares this file, and`,
    '`npm run build:test && node build/test/scenario/coverage.js write` makes it.',
    '',
  ];
  for (const { id, title, sources, clauses } of sections) {
    lines.push(`## ${id}. ${title}`, '', `${sources}`, '');
    lines.push('| clause | level | what | scenarios |', '|---|---|---|---|');
    for (const clause of clauses) lines.push(rowOf(clause, titles));
    lines.push('');
  }
  const groups = titles.filter(({ title }) => clauseOf(title) === undefined);
  lines.push('## Beside the clauses', '');
  lines.push('What hostile clients and origins try, and the promises that hold all the same.', '');
  for (const path of new Set(groups.map((each) => each.path))) {
    lines.push(`\`${path}\``, '');
    for (const each of groups) if (each.path === path) lines.push(`- ${escaped(each.title)}`);
    lines.push('');
  }
  return `${lines.join('\n').trimEnd()}\n`;
}

function rowOf(clause: Clause, titles: readonly Titled[]): string {
  const own = titles.filter(({ title }) => clauseOf(title) === clause.id);
  const shown = own.map(({ title }) => escaped(title.slice(title.indexOf(' ') + 1)));
  if (clause.leftOut !== undefined) shown.push(`left out: ${clause.leftOut}`);
  if (clause.without !== undefined) shown.push(`left out: ${clause.without}`);
  if (clause.notYet !== undefined) shown.push(`**not yet:** ${clause.notYet}`);
  return `| ${clause.id} | ${clause.levels.join(' ')} | ${clause.what} | ${shown.join('<br>')} |`;
}

function escaped(title: string): string {
  return title.replaceAll('|', '\\|').replaceAll('*', '\\*').replaceAll('<', '&lt;');
}

if (process.argv[2] === 'write') {
  writeFileSync(join(repositoryRoot(), coveragePath), coverage(scenarioTitles()));
}
