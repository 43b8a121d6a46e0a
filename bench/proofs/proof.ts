// What the proofs have in common: programs that show with real processes what the design promises, at
// full size by hand and at a smaller one in test/fault/proofs.test.ts. Here: arguments, a stage, and
// the verdict.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { parseSize } from '../../ts/units.js';
import { type Stage, withStage } from '../support/stage.js';

/** Each line is something that should not have been; none: it is shown. */
export type Verdict = readonly string[];

type Say = (line: string) => void;

export interface Proof<Sizes extends Readonly<Record<string, number>>> {
  /** Numbers, by the name of their option: --name 12MiB. */
  readonly full: Sizes;
  readonly run: (stage: Stage, sizes: Sizes, say: Say) => Promise<Verdict>;
}

function sizesFrom<Sizes extends Readonly<Record<string, number>>>(full: Sizes): Sizes {
  const options = Object.fromEntries(Object.keys(full).map((name) => [name, { type: 'string' }]));
  const { values } = parseArgs({ options: options as Record<string, { type: 'string' }> });
  const given = Object.entries(values).map(([name, text]) => {
    const value = parseSize(String(text));
    if (value === null) throw new Error(`--${name} ${text}: not a number or size such as 64MiB`);
    return [name, value];
  });
  return { ...full, ...Object.fromEntries(given) };
}

/** The program: says what it sees, and ends with status 1 where anything is wrong. */
export async function runProof<Sizes extends Readonly<Record<string, number>>>(
  proof: Proof<Sizes>,
): Promise<void> {
  const say: Say = (line) => void process.stdout.write(`${line}\n`);
  const sizes = sizesFrom(proof.full);
  say(JSON.stringify(sizes));
  const directory = mkdtempSync(join(tmpdir(), 'millrace-proof-'));
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort(new Error('interrupted')));
  try {
    const play = (stage: Stage): Promise<Verdict> => proof.run(stage, sizes, say);
    const wrong = await withStage({ directory, signal: stop.signal, isPinned: false }, play);
    for (const line of wrong) say(`WRONG: ${line}`);
    say(wrong.length === 0 ? 'passed' : 'FAILED');
    process.exitCode = wrong.length === 0 ? 0 : 1;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
