// The store on a real block device: a loop device over a file. Needs root and losetup; says so where it has
// neither.

import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { formatDevice } from '../../ts/store/format.js';
import { hashOf, hashOfStored, openRaw, putObject } from '../support/raw-file.js';

const run = promisify(execFile);
const directIoFlag = 0o40000;

interface LoopDevice {
  readonly path: string;
  readonly directory: string;
}

/** Null, with the reason in the log, where no loop device can be had. */
async function attachLoop(t: ExecutionContext): Promise<LoopDevice | null> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-loop-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  const backing = join(directory, 'backing');
  await writeFile(backing, '');
  await truncate(backing, 300 * 1024 * 1024);
  try {
    const { stdout } = await run('losetup', ['--find', '--show', backing]);
    const path = stdout.trim();
    t.teardown(() => run('losetup', ['--detach', path]).catch(() => {}));
    return { path, directory };
  } catch (error) {
    t.log(`skipped: no loop device here (${(error as Error).message.split('\n')[0]})`);
    return null;
  }
}

function format(path: string): Promise<unknown> {
  return formatDevice({
    path,
    createSize: null,
    blockSize: 4096,
    zeroFill: false,
    useDirectIo: true,
    overwriteStore: false,
  });
}

/** Open flags of this process's descriptors on the device, from the kernel. */
function flagsOn(path: string): number[] {
  const flags: number[] = [];
  for (const file of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${file}`) !== path) continue;
      const info = readFileSync(`/proc/self/fdinfo/${file}`, 'utf8');
      flags.push(Number.parseInt(/flags:\s*(\d+)/.exec(info)?.[1] ?? '0', 8));
    } catch {
      // The descriptor was closed meanwhile.
    }
  }
  return flags;
}

test('block device: objects survive a close, read and written with O_DIRECT', async (t) => {
  const loop = await attachLoop(t);
  if (loop === null) return t.pass();
  await format(loop.path);
  const bodies = [100, 70_000, 1_048_576, 3_500_001].map((length) => randomBytes(length));
  let store = await openRaw(loop.path);
  t.true(flagsOn(loop.path).some((flags) => (flags & directIoFlag) !== 0));
  t.is(store.stats().volumes?.[0]?.directIo, true);
  for (const [number, body] of bodies.entries()) await putObject(store, `http://t/${number}`, body);
  await store.close();
  store = await openRaw(loop.path);
  for (const [number, body] of bodies.entries()) {
    t.is(await hashOfStored(store, `http://t/${number}`), hashOf(body));
  }
  await store.close();
});

test('block device: a mounted file system is not formatted, and the place is named', async (t) => {
  const loop = await attachLoop(t);
  if (loop === null) return t.pass();
  const place = join(loop.directory, 'mnt');
  await mkdir(place);
  try {
    await run('mkfs.ext4', ['-q', '-L', 'precious', loop.path]);
    await run('mount', [loop.path, place]);
  } catch (error) {
    t.log(`skipped: nothing can be mounted here (${(error as Error).message.split('\n')[0]})`);
    return t.pass();
  }
  let isMounted = true;
  const unmount = async () => {
    if (isMounted) await run('umount', [place]);
    isMounted = false;
  };
  t.teardown(() => unmount().catch(() => {}));
  const mounted = await t.throwsAsync(format(loop.path));
  t.regex(mounted?.message ?? '', new RegExp(`mounted at ${place}`));
  await unmount();
  const foreign = await t.throwsAsync(format(loop.path));
  t.regex(foreign?.message ?? '', /ext4.*precious/);
});
