// A disk that can be made slow while a process writes to it: a library for that process (slow-disk.c),
// built with the C compiler that also builds the addon. No privileges, no special file system: the delay
// is at the system call, everything above it is as it always is.

import { spawnSync } from 'node:child_process';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../../test/support/root.js';
import { InternalError } from '../../ts/errors.js';

export interface SlowDisk {
  /** For the process whose writes to `file` are to be slowed. */
  environment(file: string): Readonly<Record<string, string>>;
  /** Bytes per second; 0: nothing is written any more; null: as fast as the disk is. */
  set(bytesPerSecond: number | null): void;
}

const compiler = 'cc';

export function missingCompiler(): string | null {
  return spawnSync(compiler, ['--version']).status === 0
    ? null
    : 'a slow disk needs a C compiler to be made: apt-get install gcc';
}

/** Lies in `directory`, as fast as the real one until it is told otherwise. */
export function makeSlowDisk(directory: string): SlowDisk {
  const source = join(repositoryRoot(), 'bench', 'support', 'slow-disk.c');
  const library = join(directory, 'slow-disk.so');
  const words = ['-O2', '-shared', '-fPIC', '-o', library, source, '-ldl', '-lpthread'];
  const { status, stderr } = spawnSync(compiler, words, { encoding: 'utf8' });
  if (status !== 0) throw new InternalError('INTERNAL', `slow-disk.c did not compile: ${stderr}`);
  const file = join(directory, 'slow-disk.rate');
  return {
    environment: (disk) => ({
      LD_PRELOAD: library,
      MILLRACE_BENCH_SLOW_FILE: disk,
      MILLRACE_BENCH_SLOW_SWITCH: file,
    }),
    set: (bytesPerSecond) => {
      if (bytesPerSecond === null) {
        rmSync(file, { force: true });
        return;
      }
      // In one step: a half-written number would be another speed.
      writeFileSync(`${file}.new`, String(bytesPerSecond));
      renameSync(`${file}.new`, file);
    },
  };
}
