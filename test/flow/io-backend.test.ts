// Which backend moves the blocks, as the operator sees it: the start's log line, the threads of the process,
// and what happens where the kernel refuses io_uring, as it does in most containers. That refusal is real: a
// small python3 program puts a filter on system calls and becomes the service.

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { configFile, type Running, startCommand, temporaryFolder } from '../support/command.js';

// Load the call's number; io_uring_setup (425 everywhere) gets EPERM, the rest passes.
const withoutIoUring = `
import ctypes, os, struct, sys
code = struct.pack('HBBIHBBIHBBIHBBI', 0x20, 0, 0, 0, 0x15, 0, 1, 425, 6, 0, 0, 0x50001, 6, 0, 0, 0x7fff0000)
buffer = ctypes.create_string_buffer(code, len(code))
class Program(ctypes.Structure):
    _fields_ = [('count', ctypes.c_ushort), ('code', ctypes.c_void_p)]
program = Program(4, ctypes.cast(buffer, ctypes.c_void_p))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) != 0 or libc.prctl(22, 2, ctypes.byref(program), 0, 0) != 0:
    sys.exit('no filter')
if len(sys.argv) > 1: os.execv(sys.argv[1], sys.argv[1:])
`;

function serve(t: ExecutionContext, backend: string, through: readonly string[] = []): Running {
  const folder = temporaryFolder(t);
  const device = JSON.stringify(join(folder, 'store.disk'));
  const config = configFile(
    folder,
    `upstream_address: "127.0.0.1:1"
listen: "127.0.0.1:0"
raw_disk_cache: { device_path: ${device}, total_size: 256MiB, create: true, io_backend: ${backend} }
`,
  );
  return startCommand(t, ['serve', '-c', config], {}, through);
}

function threadNames({ child }: Running): string[] {
  const tasks = `/proc/${child.pid}/task`;
  const names = readdirSync(tasks).map((task) => readFileSync(`${tasks}/${task}/comm`, 'utf8'));
  return names.map((name) => name.trim());
}

const count = (names: string[], name: string): number =>
  names.filter((each) => each === name).length;

test('io_backend: threads serve the device when they are asked for, and nothing is refused', async (t) => {
  const running = serve(t, 'threads');
  const { ioBackend, noIoUring } = await running.logged('opened the store');
  t.is(ioBackend, 'threads');
  t.is(noIoUring, undefined);
  await running.logged('ready');
  t.is(count(threadNames(running), 'millrace-io'), 4);
  t.is(count(threadNames(running), 'millrace-uring'), 0);
});

test('io_backend: io_uring is one thread with a ring and two that check', async (t) => {
  const probe = serve(t, 'auto');
  const { ioBackend, noIoUring } = await probe.logged('opened the store');
  if (ioBackend !== 'io_uring') {
    t.true(typeof noIoUring === 'string' && noIoUring.length > 0);
    t.log(`left out: ${String(noIoUring)}`);
    return;
  }
  const running = serve(t, 'io_uring');
  t.is((await running.logged('opened the store')).ioBackend, 'io_uring');
  await running.logged('ready');
  t.is(count(threadNames(running), 'millrace-uring'), 1);
  t.is(count(threadNames(running), 'millrace-check'), 2);
  t.is(count(threadNames(running), 'millrace-io'), 0);
});

test('io_backend: where a filter refuses io_uring, auto serves by threads and says why', async (t) => {
  const through = filter(t);
  if (through === null) return;
  const running = serve(t, 'auto', through);
  const { ioBackend, noIoUring } = await running.logged('opened the store');
  t.is(ioBackend, 'threads');
  t.regex(
    String(noIoUring),
    /^io_uring_setup failed with errno 1 \(not permitted\): a seccomp filter/,
  );
  await running.logged('ready');
  t.is(count(threadNames(running), 'millrace-io'), 4);
});

test('io_backend: where a filter refuses io_uring, asking for it is an error of the start', async (t) => {
  const through = filter(t);
  if (through === null) return;
  const { status, stderr } = await serve(t, 'io_uring', through).ended;
  t.is(status, 3);
  const said = stderr.join('\n');
  t.regex(said, /store\.disk: io_uring was asked for, and io_uring_setup failed with errno 1/);
  t.regex(said, /allow it, or set io_backend to auto or threads/);
  t.notRegex(said, /\.js:\d+/, 'no stack');
});

/** The command that forbids io_uring to what follows it; null, said in the log, where there is none. */
function filter(t: ExecutionContext): string[] | null {
  const command = ['/usr/bin/env', 'python3', '-c', withoutIoUring];
  try {
    execFileSync(command[0]!, command.slice(1), { stdio: 'ignore' });
    return command;
  } catch {
    t.log('left out: no python3, or no filter for system calls here');
    return null;
  }
}
