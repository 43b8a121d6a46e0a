// docs/PERFORMANCE.md and README.md against the committed results: what stands between markers is what
// `npm run bench:report` would write, the charts are those of the results, no figure stands anywhere
// else, and every counter that the document tells to watch exists.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { chartRecipes } from '../bench/chart-list.js';
import { regenerated, strayFigures } from '../bench/document.js';
import { drawCharts } from '../bench/draw.js';
import { benchPaths } from '../bench/paths.js';
import { readResults } from '../bench/results.js';
import { zeroCounters } from '../ts/proxy/services.js';
import { repositoryRoot } from './support/root.js';
import { fileAt, filesMatching } from './support/tree.js';

const paths = benchPaths(repositoryRoot());
const results = readResults(paths.results);
const update = 'write it anew with: npm run bench:report';
const documents = [
  { path: 'docs/PERFORMANCE.md', images: 'images' },
  { path: 'README.md', images: 'docs/images' },
];

test('performance: tables, charts and figures are those of the committed results', async (t) => {
  const charts = new Set((await drawCharts(results)).keys());
  for (const { path, images } of documents) {
    const { text } = fileAt(path);
    t.is(text, regenerated(text, { results, charts, images }), `${path}: ${update}`);
  }
});

test('performance: docs/images holds the charts of the committed results and no others', async (t) => {
  const drawn = await drawCharts(results);
  for (const { name } of chartRecipes) {
    const path = join(paths.images, `${name}.svg`);
    const text = existsSync(path) ? readFileSync(path, 'utf8') : undefined;
    t.is(text, drawn.get(name), `docs/images/${name}.svg: ${update}`);
  }
});

test('performance: no figure stands outside of the markers', (t) => {
  t.deepEqual(strayFigures(fileAt('docs/PERFORMANCE.md').text), []);
});

test('performance: committed results are whole, of a commit, and no quick runs', (t) => {
  for (const { name, result } of results) {
    t.false(result.flags.quick, name);
    t.truthy(result.commit, name);
    t.deepEqual(
      result.suites.filter(({ failure }) => failure !== null).map((suite) => suite.name),
      [],
      name,
    );
  }
  t.pass();
});

test('performance: every counter to watch is one that GET /stats has', (t) => {
  const ofProxy = new Set([...Object.keys(zeroCounters()), 'fillsOpen']);
  const ofStore = new Set(
    filesMatching(/^native\/addon\/store-wrap-stats\.cc$|^ts\/store\/store\.ts$/).flatMap(
      ({ text }) => [...text.matchAll(/(?:set\w*\(|\{)"(\w+)"/g)].map((match) => match[1] ?? ''),
    ),
  );
  const { text } = fileAt('docs/PERFORMANCE.md');
  const named = [...text.matchAll(/`(proxy|store)\.(\w+)`/g)];
  t.true(named.length > 40);
  for (const [whole, part, name] of named) {
    t.true((part === 'proxy' ? ofProxy : ofStore).has(name ?? ''), whole);
  }
});
