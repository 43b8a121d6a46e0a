// What somebody sees while the suites run. On a terminal the line of what is being done now is rewritten
// in place below the results; in a log every step is a plain line of its own. Results go to the same
// stream, in the order in which they are measured.

import { formatNumber, formatRow } from './format.js';
import type { Watcher } from './harness.js';

/** Back to the first column, and everything on the line gone. */
const eraseLine = `\r${String.fromCharCode(27)}[2K`;

export function watchOn(stream: NodeJS.WriteStream): Watcher {
  const columns = (): number => stream.columns ?? 80;
  let label = '';
  let isStatusShown = false;
  const clear = (): void => {
    if (isStatusShown) stream.write(eraseLine);
    isStatusShown = false;
  };
  const line = (text: string): void => {
    clear();
    stream.write(`${text}\n`);
  };
  const status = (text: string): void => {
    const shown = `${label}: ${text}`;
    if (!stream.isTTY) {
      stream.write(`${shown}\n`);
      return;
    }
    // A line that wraps cannot be rewritten in place.
    stream.write(`${eraseLine}${shown.slice(0, Math.max(1, columns() - 1))}`);
    isStatusShown = true;
  };
  return {
    suiteStarts(suite, place, total) {
      line(`[${place}/${total}] ${suite.name}: ${suite.title}`);
      label = suite.name;
    },
    progress: status,
    row: (row) => line(`  ${formatRow(row)}`),
    skip: ({ subject, why }) => line(`  skipped: ${subject}: ${why}`),
    suiteEnds({ name, durationS, failure }) {
      if (failure === null) line(`  ${name}: done in ${formatNumber(durationS)} s`);
      else line(`  ${name}: FAILED after ${formatNumber(durationS)} s: ${failure}`);
    },
  };
}
