// Workers that load the addon first and die under I/O. Node unloads an addon that only a worker had loaded;
// threads of ours that still run would then execute nothing.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { makeRawFile } from '../support/raw-file.js';
import { repositoryRoot } from '../support/root.js';

const run = promisify(execFile);

test('worker: terminated under I/O eight times, it leaves a store that opens', async (t) => {
  const file = await makeRawFile();
  t.teardown(file.remove);
  const program = join(repositoryRoot(), 'build', 'test', 'support', 'worker-first.js');
  const { stdout } = await run(process.execPath, [program, file.path], { timeout: 90_000 });
  const seen = JSON.parse(stdout) as { recovered: number; corrupt: number; isWhole: boolean };
  t.true(seen.recovered > 0);
  t.is(seen.corrupt, 0);
  t.true(seen.isWhole);
});
