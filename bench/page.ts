// One result as one HTML page that needs nothing beside it: style and charts are inside. Light or dark as
// the reader's browser wants it; what was skipped or broke off is told where its figures would be.

import { chartRecipes } from './chart-list.js';
import { drawCharts } from './draw.js';
import type { SuiteReport } from './harness.js';
import type { NamedResult } from './results.js';
import { machineTable, suiteTable, type Table } from './tables.js';

const style = `
:root { color-scheme: light dark; --text: #24292f; --faint: #6e7781; --rule: #d0d7de; --page: #ffffff;
  --mark: #0072b2; --bad: #d55e00 }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6edf3; --faint: #9198a1; --rule: #3d444d; --page: #0d1117; --mark: #56b4e9;
    --bad: #e69f00 }
}
body { margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: var(--text);
  background: var(--page); font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif }
h1 { font-size: 1.5rem } h2 { font-size: 1.2rem; margin: 2.5rem 0 0.3rem }
nav a { margin-right: 0.9em; white-space: nowrap } a { color: var(--mark) }
p, li { max-width: 46rem } .faint { color: var(--faint) } .failed { color: var(--bad) }
.wide { overflow-x: auto; margin: 0.8rem 0 }
svg { max-width: 100%; min-width: 26rem; height: auto; display: block }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: 0.2rem 1.2rem 0.2rem 0; text-align: left; vertical-align: baseline;
  border-bottom: 1px solid var(--rule) }
th { color: var(--faint); font-weight: normal; white-space: nowrap }
td:first-child { white-space: nowrap }
.figures td { white-space: nowrap } .figures td + td, .figures th + th { text-align: right }
tr.case td { padding-top: 0.9rem; border-bottom: none; white-space: normal }
tr.ours td { font-weight: 600; color: var(--mark) }
small { color: var(--faint); font-weight: normal; font-size: 0.8em }
ul { padding-left: 1.2rem; color: var(--faint); font-size: 0.9rem; margin: 0.6rem 0 }
`;

export async function pageOf(shown: NamedResult): Promise<string> {
  const { result, name } = shown;
  const charts = await drawCharts([shown]);
  const links = result.suites.map((suite) => `<a href="#${suite.name}">${escaped(suite.name)}</a>`);
  const sections = result.suites.map((suite) => sectionOf(suite, charts));
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>millrace: benchmark ${escaped(name)}</title>
<style>${style}</style>
<h1>millrace: benchmark ${escaped(name)}</h1>
<p class="faint">A cell is the median of the rounds and half of their range.</p>
${tableOf(machineTable(shown))}
<nav>${links.join('\n')}</nav>
${sections.join('\n')}
</html>
`;
}

function sectionOf(suite: SuiteReport, charts: ReadonlyMap<string, string>): string {
  const drawn = chartRecipes
    .filter((recipe) => recipe.suite === suite.name && charts.has(recipe.name))
    .map(({ name }) => `<div class="wide">${charts.get(name)}</div>`);
  const failure =
    suite.failure === null ? '' : `<p class="failed">Broke off: ${escaped(suite.failure)}</p>`;
  return `<h2 id="${suite.name}">${escaped(suite.name)}: ${escaped(suite.title)}</h2>
<p>${escaped(suite.about)}</p>
${failure}${drawn.join('')}${figuresOf(suiteTable(suite))}`;
}

/** The table of a suite: its cases below each other, each with its subjects. */
function figuresOf({ heads, rows, notes }: Table): string {
  const below = listOf(notes);
  if (rows.length === 0) return below;
  const [, ...names] = heads;
  const lines = rows.flatMap(([name = '', subject = '', ...cells], index) => {
    const isOurs = subject.startsWith('millrace') ? ' class="ours"' : '';
    const line = `<tr${isOurs}><td>${escaped(subject)}</td>${cells.map(figureCell).join('')}</tr>`;
    if (name === rows[index - 1]?.[0]) return [line];
    return [`<tr class="case"><td colspan="${names.length}">${escaped(name)}</td></tr>`, line];
  });
  const head = `<tr>${names.map((text) => `<th>${escaped(text)}</th>`).join('')}</tr>`;
  return `<div class="wide"><table class="figures">${head}${lines.join('')}</table></div>${below}`;
}

/** The spread smaller than the figure that it belongs to. */
function figureCell(text: string): string {
  const [value = '', spread] = text.split(' +-');
  const beside = spread === undefined ? '' : ` <small>&plusmn;${escaped(spread)}</small>`;
  return `<td>${escaped(value)}${beside}</td>`;
}

function tableOf({ rows, notes }: Table): string {
  const lines = rows.map(
    (cells) => `<tr>${cells.map((text) => `<td>${escaped(text)}</td>`).join('')}</tr>`,
  );
  return `<div class="wide"><table>${lines.join('')}</table></div>${listOf(notes)}`;
}

function listOf(notes: readonly string[]): string {
  const list = notes.map((note) => `<li>${escaped(note)}</li>`).join('');
  return list === '' ? '' : `<ul>${list}</ul>`;
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
