// What the three commands of the benchmark share: how one is started and how its failures are told. Exit
// status 0: done; 1: something was found (a suite failed, a figure is worse); 2: the command is wrong or
// names what is not there; 130: interrupted. The same as those of millrace itself.

import { MillraceError } from '../ts/errors.js';

export const exitFound = 1;
export const exitUsage = 2;
export const exitInterrupted = 130;
const exitBug = 70;

/** Runs `command` and leaves its number as the exit status. Never rejects. */
export async function runCommand(
  command: (args: readonly string[]) => Promise<number> | number,
): Promise<void> {
  try {
    process.exitCode = await command(process.argv.slice(2));
  } catch (error) {
    const isOurs = error instanceof MillraceError;
    const text = isOurs ? error.message : String((error as Error).stack ?? error);
    process.stderr.write(`${text}\n`);
    process.exitCode = isOurs ? exitUsage : exitBug;
  }
}
