// Mutants that no test can notice, each with the reason: the inverted decision means the same.

export interface Explanation {
  readonly file: string;
  /** As the mutator prints them. */
  readonly before: string;
  readonly after: string;
  readonly why: string;
}

export const explanations: readonly Explanation[] = [];
