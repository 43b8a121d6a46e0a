// The demo checks itself: hashes, origin requests, memory. Here it is run as a person would run it, and
// nothing of it may be left behind.

import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import test from 'ava';
import { runCommand, startCommand } from '../support/command.js';

function folders(): string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith('millrace-demo-'));
}

test.serial('demo: everything it shows is as it has to be', async (t) => {
  const { status, stdout, stderr } = await runCommand(t, ['demo']);
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
  t.deepEqual(folders(), []);
});

test.serial('demo: a signal stops it and leaves nothing behind', async (t) => {
  const { child, ended } = startCommand(t, ['demo']);
  // The first line says that the device is made and the origin runs.
  await new Promise<void>((resolve) => child.stdout?.once('readable', resolve));
  child.kill('SIGTERM');
  const { status } = await ended;
  t.is(status, 130);
  t.deepEqual(folders(), []);
});

test('demo: a file that is too small is refused before anything is made', async (t) => {
  const { status, stderr } = await runCommand(t, ['demo', '--size', '1MiB']);
  t.is(status, 2);
  t.regex(stderr.join('\n'), /--size: found 1MiB; allowed: at least/);
});
