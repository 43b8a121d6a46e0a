// Charts of results: each recipe gets the newest result that holds its suite whole. Apart from the list of
// recipes, because drawing needs vega and naming a chart does not.

import { chartRecipes } from './chart-list.js';
import { latestWith, type NamedResult, suiteOf } from './results.js';

/** Name to SVG; what nothing was measured for is missing. */
export async function drawCharts(results: readonly NamedResult[]): Promise<Map<string, string>> {
  const drawn = new Map<string, string>();
  for (const recipe of chartRecipes) {
    const found = latestWith(results, recipe.suite);
    const suite = found === null ? null : suiteOf(found.result, recipe.suite);
    const svg = suite === null ? null : await recipe.draw(suite);
    if (svg !== null) drawn.set(recipe.name, svg);
  }
  return drawn;
}
