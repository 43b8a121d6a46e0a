// Loop devices and the tools that write other people's formats, for the tests that need a real block device.
// Both take root or packages that are not everywhere: null, with the reason in the test's log, where they
// cannot be had, so that a skip says what to install.

import { execFile } from 'node:child_process';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ExecutionContext } from 'ava';

const run = promisify(execFile);
const mib = 1024 * 1024;

export interface LoopDevice {
  readonly path: string;
  /** The file behind it. */
  readonly backing: string;
  /** Of the test, gone after it. */
  readonly directory: string;
}

/** What ran, or null and a line in the log where the program is missing or refuses. */
export async function runTool(
  t: ExecutionContext,
  debianPackage: string,
  command: readonly string[],
): Promise<string | null> {
  const [program, ...args] = command;
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin`, LC_ALL: 'C' };
  try {
    return (await run(program!, args, { env, timeout: 30_000 })).stdout.trim();
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const why = isMissing
      ? `${program} is not installed (Debian: apt-get install ${debianPackage})`
      : `${(error as Error).message.split('\n').slice(0, 2).join('; ')}`;
    t.log(`skipped: ${why}`);
    return null;
  }
}

/** Null, with the reason in the log, where no loop device can be had. */
export async function attachLoop(
  t: ExecutionContext,
  sizeBytes = 300 * mib,
): Promise<LoopDevice | null> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-loop-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  const backing = join(directory, 'backing');
  await writeFile(backing, '');
  await truncate(backing, sizeBytes);
  if (process.getuid?.() !== 0) {
    t.log('skipped: a loop device takes root');
    return null;
  }
  const path = await runTool(t, 'mount', ['losetup', '--find', '--show', backing]);
  if (path === null) return null;
  t.teardown(() => run('losetup', ['--detach', path]).catch(() => {}));
  return { path, backing, directory };
}
