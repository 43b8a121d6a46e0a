// docs/reference/config.md against the schema: every key of one is in the other, with the default
// that the schema has and the word on its effect that not-in-effect.ts has. A key that is added or
// taken away without its line in the document fails here.

import { readFileSync } from 'node:fs';
import test from 'ava';
import { schemaKeys } from '../../../ts/config/keys.js';
import { laterKeys } from '../../../ts/config/not-in-effect.js';

interface Row {
  readonly key: string;
  readonly fallback: string;
  readonly inEffect: string;
}

// ava runs in the root of the package.
const page = readFileSync('docs/reference/config.md', 'utf8');

const rows: readonly Row[] = page
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => {
    const cells = line.split('|').map((cell) => cell.trim());
    return { key: cells[1]!.replaceAll('`', ''), fallback: cells[3]!, inEffect: cells[5]! };
  });

function shownFallback(fallback: unknown): string {
  if (fallback === undefined) return '';
  return typeof fallback === 'string' ? `\`${fallback}\`` : `\`${JSON.stringify(fallback)}\``;
}

/** "yes", "no", or "partly", by the list that `check` prints from. */
function effectOf(key: string): string {
  const plain = laterKeys.filter(({ when }) => when === undefined).map((later) => later.key);
  if (plain.some((later) => key === later || key.startsWith(`${later}.`))) return 'no';
  const isPartly = laterKeys.some((later) => later.key.replace(/\[[^\]]*\]$/, '') === key);
  return isPartly ? 'partly' : 'yes';
}

test('config reference: every key of the schema is described once', (t) => {
  const described = rows.map(({ key }) => key).sort();
  const known = schemaKeys().map(({ key }) => key);
  t.true(known.length > 50);
  t.deepEqual(described, [...known].sort());
});

test('config reference: defaults are those of the schema', (t) => {
  for (const { key, fallback } of schemaKeys()) {
    t.is(rows.find((row) => row.key === key)?.fallback, shownFallback(fallback), key);
  }
});

test('config reference: it says what is in effect', (t) => {
  for (const { key, inEffect } of rows) t.is(inEffect.split(':')[0], effectOf(key), key);
});

test('config reference: every later key is a key of the schema', (t) => {
  const known = new Set(schemaKeys().map(({ key }) => key));
  for (const { key } of laterKeys) t.true(known.has(key.replace(/\[(1\.\.)?\]$/, '')), key);
});
