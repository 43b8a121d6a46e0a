// The keys that are accepted, and type checked, and yet change nothing in this version. Each one is
// named at start and by `check`, so that nobody relies on an option without effect. A feature that
// is built takes its key off this list; the list is empty when the first release is cut.

import { formatPath, type KeyPath } from './keys.js';

export interface LaterKey {
  /** As schemaKeys() writes it; a last step `[1..]` stands for every item but the first. Where a list may
   * stand for the one value, its items are meant. */
  readonly key: string;
  /** Where only some values are not in effect. */
  readonly when?: (value: unknown) => boolean;
}

export const laterKeys: readonly LaterKey[] = [
  { key: 'listen', when: (value) => typeof value === 'string' && value.startsWith('https:') },
  { key: 'listen[]', when: (value) => typeof value === 'string' && value.startsWith('https:') },
  { key: 'routes[].rewrite' },
  { key: 'routes[].headers' },
  { key: 'routes[].limit_rate' },
  { key: 'metrics_endpoint' },
  { key: 'lanes', when: (value) => value !== 0 && value !== '0' },
];

interface Found {
  readonly path: KeyPath;
  readonly value: unknown;
  /** What cannot be said by a path. */
  readonly suffix: string;
}

function step(found: Found, name: string): Found[] {
  const { path, value } = found;
  if (typeof value !== 'object' || value === null) return [];
  if (name === '[1..]') {
    return Array.isArray(value) && value.length > 1 ? [{ ...found, suffix: '[1..]' }] : [];
  }
  if (name === '[]') {
    if (!Array.isArray(value)) return [];
    return value.map((item, index) => ({ path: [...path, index], value: item, suffix: '' }));
  }
  if (Array.isArray(value)) {
    return value.flatMap((item, index) =>
      step({ path: [...path, index], value: item, suffix: '' }, name),
    );
  }
  return Object.entries(value)
    .filter(([key]) => name === 'NAME' || key === name)
    .map(([key, item]) => ({ path: [...path, key], value: item, suffix: '' }));
}

/** Which of the given keys are not in effect, in the order of laterKeys. */
export function findNotInEffect(root: unknown): string[] {
  return laterKeys.flatMap(({ key, when }) => {
    let found: Found[] = [{ path: [], value: root, suffix: '' }];
    for (const name of key.match(/\[[^\]]*\]|[^.[]+/g) ?? []) {
      found = found.flatMap((place) => step(place, name));
    }
    return found
      .filter(({ value }) => when === undefined || when(value))
      .map(({ path, suffix }) => formatPath(path) + suffix);
  });
}
