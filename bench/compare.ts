// `npm run bench:compare -- A B`: reads two results and prints what changed by more than noise. What a
// change is, compare-results.ts says. With --strict the exit status is 1 when something of millrace is worse.

import { exitFound, runCommand } from './command.js';
import { compareResults, formatComparison, isOurs, narrowed } from './compare-results.js';
import { parseCommand, quietCommand } from './flags.js';
import { benchPaths, checkoutRoot, findResult } from './paths.js';

interface Options {
  readonly strict: boolean;
  readonly all: boolean;
  readonly suite: string[];
}

function compare(args: readonly string[]): number {
  const command = quietCommand('npm run bench:compare --')
    .description('Says what the second result changes, and refuses to call noise a change.')
    .argument('<first>', 'a file, the name of a committed result, latest, or committed')
    .argument('<second>', 'the same')
    .option('--all', 'also the figures that did not change', false)
    .option('--strict', 'exit status 1 when something of millrace is worse', false)
    .option('--suite <name>', 'only this suite; may be given several times', collect, []);
  const options = parseCommand(command, args) as Options | null;
  if (options === null) return 0;
  const paths = benchPaths(checkoutRoot(import.meta.dirname));
  const [first = '', second = ''] = command.args;
  const before = findResult(first, paths);
  const after = findResult(second, paths);
  const comparison = compareResults(
    narrowed(before.result, options.suite),
    narrowed(after.result, options.suite),
  );
  process.stdout.write(`first: ${before.name}, second: ${after.name}\n`);
  process.stdout.write(`${formatComparison(comparison, options).join('\n')}\n`);
  const isWorse = comparison.differences.some(
    (difference) => difference.verdict === 'worse' && isOurs(difference),
  );
  return options.strict && isWorse ? exitFound : 0;
}

function collect(value: string, list: string[]): string[] {
  return [...list, value];
}

void runCommand(compare);
