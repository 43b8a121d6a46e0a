// Mutants that no test can notice, each with the reason: the inverted decision means the same.

export interface Explanation {
  readonly file: string;
  /** As the mutator prints them. */
  readonly before: string;
  readonly after: string;
  readonly why: string;
}

export const explanations: readonly Explanation[] = [
  {
    file: 'ts/http/hop-by-hop.ts',
    before: "line === 'keep-alive' || line === 'close'",
    after: "(line === 'keep-alive') && (line === 'close')",
    why: 'a shortcut: what follows takes nothing out for the sake of these two either',
  },
  {
    file: 'ts/http/fields.ts',
    before: 'i < value.length',
    after: '(i) <= (value.length)',
    why: 'behind the end there is no character, which is neither a quote nor a comma',
  },
  {
    file: 'ts/http/entity-tag.ts',
    before: 'opening > comma',
    after: '(opening) >= (comma)',
    why: 'a quote and a comma are never in the same place',
  },
  {
    file: 'ts/http/entity-tag.ts',
    before: 'position < value.length',
    after: '(position) <= (value.length)',
    why: 'behind the end there is one more member, which is empty and left out',
  },
];
