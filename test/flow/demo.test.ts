// The demo checks itself: hashes, origin requests, memory. Here it is run as a person would run it, and
// nothing of it may be left behind.

import { readdirSync } from 'node:fs';
import test from 'ava';
import { runCommand, startCommand, temporaryFolder } from '../support/command.js';

test.serial('demo: everything it shows is as it has to be', async (t) => {
  const TMPDIR = temporaryFolder(t);
  const { status, stdout, stderr } = await runCommand(t, ['demo'], { TMPDIR });
  t.deepEqual(
    stderr.filter((line) => line.startsWith('WRONG')),
    [],
  );
  t.is(status, 0, stderr.join('\n'));
  const rows = stdout.join('\n');
  t.regex(rows, /^cold +MISS .* 1 +\d+MiB$/m);
  t.regex(rows, /^again +HIT memory .* 0 +\d+MiB$/m);
  t.regex(rows, /^after a restart +HIT disk .* 0 +\d+MiB$/m);
  t.regex(rows, /^10 clients at once, cold +\w.* 1 +\d+MiB$/m);
  t.deepEqual(readdirSync(TMPDIR), []);
});

test.serial('demo: a signal stops it and leaves nothing behind', async (t) => {
  const TMPDIR = temporaryFolder(t);
  const { child, printed, ended } = startCommand(t, ['demo'], { TMPDIR });
  await printed(/^origin: /);
  t.is(readdirSync(TMPDIR).length, 1);
  child.kill('SIGTERM');
  const { status } = await ended;
  t.is(status, 130);
  t.deepEqual(readdirSync(TMPDIR), []);
});

test('demo: a file that is too small is refused', async (t) => {
  const TMPDIR = temporaryFolder(t);
  const { status, stderr } = await runCommand(t, ['demo', '--size', '1MiB'], { TMPDIR });
  t.is(status, 2);
  t.regex(stderr.join('\n'), /--size: found 1MiB; allowed: at least/);
  t.deepEqual(readdirSync(TMPDIR), []);
});
