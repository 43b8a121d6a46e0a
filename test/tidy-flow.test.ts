// The picture of the request's flow in docs/ARCHITECTURE.md against the table of its steps in ts/proxy: a
// picture that nobody checks is wrong within a month.

import test from 'ava';
import { stepGraph } from '../ts/proxy/exchange.js';
import { fileAt } from './support/tree.js';

/** Edges `a --> b` of the mermaid block that follows the line `<!-- flow -->`. */
function flowEdges(text: string): string[] {
  const block = /^<!-- flow -->\n+```mermaid\nflowchart LR\n([\s\S]*?)\n```$/m.exec(text)?.[1];
  if (block === undefined) throw new Error('no ```mermaid flowchart LR after a line <!-- flow -->');
  const edges: string[] = [];
  for (const line of block.split('\n').map((text) => text.trim())) {
    if (line === '' || line.startsWith('%%')) continue;
    const edge = /^(\w+)\s*-->\s*(?:\|[^|]*\|\s*)?(\w+);?$/.exec(line);
    if (edge === null) throw new Error(`not an edge "step --> step": ${line}`);
    edges.push(`${edge[1]} --> ${edge[2]}`);
  }
  return edges;
}

test('flow: the picture in ARCHITECTURE.md equals the step table', (t) => {
  const table = Object.entries(stepGraph).flatMap(([step, next]) =>
    next.map((target) => `${step} --> ${target}`),
  );
  t.true(table.length > 0);
  t.deepEqual(flowEdges(fileAt('docs/ARCHITECTURE.md').text).sort(), table.sort());
});

test('flow: every step of the table can be reached from accept', (t) => {
  const reached = new Set(['accept']);
  for (const step of reached) for (const next of stepGraph[step] ?? []) reached.add(next);
  t.deepEqual(
    Object.keys(stepGraph).filter((step) => !reached.has(step)),
    [],
  );
});

test('flow: the reader of the picture takes edges and refuses anything else', (t) => {
  const picture = (line: string) =>
    `<!-- flow -->\n\`\`\`mermaid\nflowchart LR\n  ${line}\n\`\`\`\n`;
  t.deepEqual(flowEdges(picture('accept --> route\n  route -->|none| fail')), [
    'accept --> route',
    'route --> fail',
  ]);
  t.throws(() => flowEdges(picture('accept ==> route')), { message: /not an edge/ });
  t.throws(() => flowEdges('no picture'), { message: /mermaid/ });
});
