// The store on a real block device: a loop device over a file. Needs root and losetup; says so where it has
// neither.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { formatDevice } from '../../ts/store/format.js';
import { configFile, runCommand, startCommand } from '../support/command.js';
import { isDirect } from '../support/direct-io.js';
import { attachLoop, runTool } from '../support/loop-device.js';
import { hashOf, hashOfStored, openRaw, putObject } from '../support/raw-file.js';

const mib = 1024 * 1024;

function format(path: string, createSize: number | null = null): Promise<unknown> {
  return formatDevice({
    path,
    createSize,
    blockSize: 4096,
    zeroFill: false,
    useDirectIo: true,
    overwriteStore: false,
  });
}

test('block device: objects survive a close, read and written with O_DIRECT', async (t) => {
  const loop = await attachLoop(t);
  if (loop === null) return t.pass();
  await format(loop.path);
  const bodies = [100, 70_000, 1_048_576, 3_500_001].map((length) => randomBytes(length));
  let store = await openRaw(loop.path);
  t.true(isDirect(loop.path));
  t.is(store.stats().volumes?.[0]?.directIo, true);
  for (const [number, body] of bodies.entries()) await putObject(store, `http://t/${number}`, body);
  await store.close();
  store = await openRaw(loop.path);
  for (const [number, body] of bodies.entries()) {
    t.is(await hashOfStored(store, `http://t/${number}`), hashOf(body));
  }
  await store.close();
});

/** An ext4 on a loop device, mounted. Null where that cannot be had. */
async function mountedLoop(t: ExecutionContext, sizeBytes?: number) {
  const loop = await attachLoop(t, sizeBytes);
  if (loop === null) return null;
  const place = join(loop.directory, 'mnt');
  await mkdir(place);
  const labelled = ['mkfs.ext4', '-q', '-L', 'precious', loop.path];
  if ((await runTool(t, 'e2fsprogs', labelled)) === null) return null;
  if ((await runTool(t, 'mount', ['mount', loop.path, place])) === null) return null;
  let isMounted = true;
  const unmount = async () => {
    if (isMounted) await runTool(t, 'mount', ['umount', place]);
    isMounted = false;
  };
  t.teardown(unmount);
  return { loop, place, unmount };
}

test('block device: a mounted file system is not formatted, and the place is named', async (t) => {
  const mounted = await mountedLoop(t);
  if (mounted === null) return t.pass();
  const { loop, place, unmount } = mounted;
  const refused = await t.throwsAsync(format(loop.path));
  t.regex(refused?.message ?? '', new RegExp(`mounted at ${place}`));
  await unmount();
  const foreign = await t.throwsAsync(format(loop.path));
  t.regex(foreign?.message ?? '', /ext4.*precious/);
});

test('block device: one of several on a file system that turned read-only costs its share', async (t) => {
  const mounted = await mountedLoop(t, 400 * mib);
  if (mounted === null) return t.pass();
  const { loop, place } = mounted;
  const paths = [join(loop.directory, 'one.disk'), join(place, 'two.disk')];
  for (const path of paths) await format(path, 256 * mib);
  const store = await openRaw(...paths);
  const body = randomBytes(70_000);
  for (let number = 0; number < 40; number += 1) await putObject(store, `http://t/${number}`, body);
  await store.close();
  const remount = (how: string) => runTool(t, 'mount', ['mount', '-o', `remount,${how}`, place]);
  // What ext4 does by itself when its disk fails.
  if ((await remount('ro')) === null) return t.pass();
  const alone = await openRaw(...paths);
  const { volumes, leftOut } = alone.stats();
  t.is(volumes?.length, 1);
  t.deepEqual(leftOut, [{ device: paths[1]!, reason: 'the file system is read-only' }]);
  await alone.close();
  const error = await t.throwsAsync(openRaw(paths[1]!), { code: 'ERR_MILLRACE_STORE_IO' });
  t.regex(
    error?.message ?? '',
    /two\.disk lies on a read-only file system; look at the kernel's log/,
  );
  await remount('rw');
  const both = await openRaw(...paths);
  t.is(both.stats().volumes?.length, 2);
  await both.close();
});

/** A process that claims the device the way a file system or another store does, until it is killed. */
const claim = `
const { constants, openSync } = require('node:fs');
openSync(process.argv[1], constants.O_RDWR | 0o200);
console.log('claimed');
process.stdin.resume();
`;

test('block device: one that another program holds is refused, and the program is named', async (t) => {
  const loop = await attachLoop(t);
  if (loop === null) return t.pass();
  const holder = spawn(process.execPath, ['-e', claim, loop.path], { stdio: ['pipe', 'pipe', 2] });
  t.teardown(() => holder.kill('SIGKILL'));
  await once(holder.stdout!, 'data');
  const held = await t.throwsAsync(format(loop.path));
  t.regex(held?.message ?? '', new RegExp(`process ${holder.pid} \\(.+\\) has it open`));
  holder.kill('SIGKILL');
  await once(holder, 'close');
  await t.notThrowsAsync(format(loop.path));
});

test('block device: one that device mapper holds is refused, and its volume is named', async (t) => {
  const loop = await attachLoop(t);
  if (loop === null) return t.pass();
  const name = `millrace-test-${process.pid}`;
  const table = `0 ${(256 * 1024 * 1024) / 512} linear ${loop.path} 0`;
  const made = await runTool(t, 'dmsetup', ['dmsetup', 'create', name, '--table', table]);
  if (made === null) return t.pass();
  const remove = () => runTool(t, 'dmsetup', ['dmsetup', 'remove', name]);
  t.teardown(remove);
  const held = await t.throwsAsync(format(loop.path));
  t.regex(held?.message ?? '', new RegExp(`part of dm-\\d+ \\(${name}\\)`));
});

test('block device: of two processes on one store one serves, the other names it', async (t) => {
  const loop = await attachLoop(t);
  if (loop === null) return t.pass();
  await format(loop.path);
  const config = configFile(
    loop.directory,
    [
      'upstream_address: "127.0.0.1:1"',
      'listen: "127.0.0.1:0"',
      `raw_disk_cache: { device_path: ${JSON.stringify(loop.path)} }`,
    ].join('\n'),
  );
  const rivals = [1, 2].map(() => startCommand(t, ['serve', '-c', config]));
  const starts = await Promise.allSettled(rivals.map((rival) => rival.logged('ready')));
  const winners = rivals.filter((_, at) => starts[at]!.status === 'fulfilled');
  t.is(winners.length, 1);
  const [winner] = winners;
  const loser = rivals.find((rival) => rival !== winner)!;
  const { status, stderr } = await loser.ended;
  t.is(status, 3);
  t.regex(stderr.join('\n'), new RegExp(`process ${winner!.child.pid} \\(.+\\) has it open`));
  const formatting = await runCommand(t, ['format', loop.path, '--yes']);
  t.is(formatting.status, 3, 'nor is it emptied under its owner');
});
