// docs/reference/rfc-coverage.md against the clauses and the scenarios: no clause without a scenario, no
// scenario without a clause, and a document that says so.

import test from 'ava';
import {
  clauseOf,
  coverage,
  coveragePath,
  problemsOf,
  scenarioTitles,
  titlesOf,
} from './scenario/coverage.js';
import { fileAt } from './support/tree.js';

test('coverage: every clause has a scenario or a reason, every scenario a clause', (t) => {
  const titles = scenarioTitles();
  t.true(titles.length > 200, 'the reader of titles finds them');
  t.deepEqual(problemsOf(titles), []);
});

test('coverage: the document is the one that coverage.js writes', (t) => {
  t.is(fileAt(coveragePath).text, coverage(scenarioTitles()));
});

test('coverage: what is missing, foreign or given twice is noticed', (t) => {
  const titles = scenarioTitles();
  const path = 'test/scenario/2-keys.test.ts';
  const without = titles.filter(({ title }) => clauseOf(title) !== '2.4');
  t.deepEqual(problemsOf(without), [{ clause: '2.4', what: 'no scenario' }]);
  for (const title of ['2.99 nothing', '2.4 again', '10.6 it is there', '3.1z elsewhere']) {
    t.is(problemsOf([...titles, { path, title }]).length > 0, true, title);
  }
  t.deepEqual(titlesOf("scenario('1.1 a', f);\nscenario(\n  \"it's\",\n  f);\nscenario(`x`, f)"), [
    '1.1 a',
    "it's",
    'x',
  ]);
});
