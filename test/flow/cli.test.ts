// The command line from outside: what a wrong configuration, a wrong device or a taken address look like
// to the person who started it, and that a running service stops when it is asked to.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  createReadStream,
  openSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { configFile, runCommand, startCommand, temporaryFolder } from '../support/command.js';

const deviceSize = 256 * 2 ** 20;
const memoryOnly = `upstream_address: "127.0.0.1:1"
listen: "127.0.0.1:0"
enable_l2_cache: false
`;

function withDevice(device: string): string {
  return `upstream_address: "127.0.0.1:1"
listen: "127.0.0.1:0"
raw_disk_cache: { device_path: ${JSON.stringify(device)} }
`;
}

async function formatted(t: ExecutionContext, folder: string): Promise<string> {
  const device = join(folder, 'store.disk');
  const made = await runCommand(t, ['format', device, '--size', '256MiB', '--no-zero-fill']);
  t.is(made.status, 0, made.stderr.join('\n'));
  return device;
}

/** A file system as another program made it, or its superblock's magic where there is no mkfs. */
function makeExt4(path: string): void {
  writeFileSync(path, '');
  truncateSync(path, deviceSize);
  try {
    execFileSync('mkfs.ext4', ['-q', '-F', path], {
      env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
    });
  } catch {
    const file = openSync(path, 'r+');
    writeSync(file, Buffer.from([0x53, 0xef]), 0, 2, 1024 + 56);
    closeSync(file);
  }
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const bytes of createReadStream(path)) hash.update(bytes as Buffer);
  return hash.digest('hex');
}

test('cli: without a command it says what there is, and the status is 2', async (t) => {
  const { status, stderr } = await runCommand(t, []);
  t.is(status, 2);
  for (const name of ['serve', 'check', 'format', 'demo', 'build-addon']) {
    t.regex(stderr.join('\n'), RegExp(`^  ${name} `, 'm'));
  }
});

test('cli: --version is the package version', async (t) => {
  const { status, stdout } = await runCommand(t, ['--version']);
  t.is(status, 0);
  t.regex(stdout.join('\n'), /^\d+\.\d+\.\d+\S*$/);
});

test('preset: it prints which there are, and each as configuration', async (t) => {
  const all = await runCommand(t, ['preset']);
  t.is(all.status, 0);
  const names = all.stdout.map((line) => line.split(' ')[0]!);
  t.deepEqual(names, ['hf', 'oci', 'npm', 'apt', 'hls']);
  const { status, stdout } = await runCommand(t, ['preset', 'oci']);
  t.is(status, 0);
  const config = configFile(temporaryFolder(t), `${memoryOnly}${stdout.join('\n')}\n`);
  t.is((await runCommand(t, ['check', '-c', config])).status, 0);
  const wrong = await runCommand(t, ['preset', 'helm']);
  t.is(wrong.status, 2);
  t.regex(wrong.stderr.join('\n'), /there is no preset "helm"; allowed: hf, oci/);
});

test('check: a preset lies under the file, or is all of it', async (t) => {
  const config = configFile(temporaryFolder(t), memoryOnly);
  const both = await runCommand(t, ['check', '-c', config, '--preset', 'npm']);
  t.is(both.status, 0);
  t.true(both.stdout.some((line) => /^routes\[1\]: .*tgz/.test(line)));
  const keys = ['upstream_address=a.example:80', 'enable_l2_cache=false'];
  const alone = await runCommand(t, ['check', '--preset', 'npm', '--set', ...keys]);
  t.is(alone.status, 0);
  t.deepEqual(
    alone.stdout.filter((line) => line.startsWith('route')),
    both.stdout.filter((line) => line.startsWith('route')),
  );
  const listens = ['listen=127.0.0.1:0', 'upstream_address=127.0.0.1:1', 'enable_l2_cache=false'];
  const preset = ['--preset', 'npm', '--set', ...listens];
  t.is((await runCommand(t, ['doctor', ...preset])).status, 0);
  const nowhere = await runCommand(t, ['stats', ...preset]);
  t.is(nowhere.status, 2);
  t.regex(nowhere.stderr.join(), /^command line: admin\.listen is missing/);
  const slip = await runCommand(t, ['check', '-c', config, '--preset', 'nmp']);
  t.is(slip.status, 2);
  t.deepEqual(slip.stderr, [
    '--preset: found "nmp"; allowed: hf, oci, npm, apt, hls; did you mean npm?',
  ]);
  const none = await runCommand(t, ['check']);
  t.is(none.status, 2);
  t.regex(none.stderr.join('\n'), /--config, or --preset and --set/);
});

test('serve: an unknown key is named with its line, and the status is 2', async (t) => {
  const config = configFile(temporaryFolder(t), `${memoryOnly}cache_tll: 60\n`);
  const { status, stdout, stderr } = await runCommand(t, ['serve', '-c', config]);
  t.is(status, 2);
  t.deepEqual(stdout, []);
  t.regex(stderr[0] ?? '', /:4: cache_tll: unknown key/);
  t.notRegex(stderr.join('\n'), /\.js:\d+/, 'no stack');
});

test('serve: a taken port is named, and the status is 3', async (t) => {
  const owner = createServer().listen(0, '127.0.0.1');
  await once(owner, 'listening');
  t.teardown(() => owner.close());
  const address = `127.0.0.1:${(owner.address() as AddressInfo).port}`;
  const config = configFile(temporaryFolder(t), memoryOnly);
  const { status, stderr } = await runCommand(t, [
    ...['serve', '-c', config],
    ...['--set', `listen=${address}`],
  ]);
  t.is(status, 3);
  t.regex(stderr.join('\n'), new RegExp(`${address}: another process`));
  t.notRegex(stderr.join('\n'), /\.js:\d+/, 'no stack');
});

test('serve: a missing device is told with the command that makes it', async (t) => {
  const folder = temporaryFolder(t);
  const device = join(folder, 'none.disk');
  const config = configFile(folder, withDevice(device));
  const { status, stderr } = await runCommand(t, [
    ...['serve', '-c', config],
    ...['--set', 'raw_disk_cache.total_size=256MiB', 'raw_disk_cache.use_direct_io=false'],
  ]);
  t.is(status, 3);
  const command = `npx millrace format ${device} --size 256MiB --no-direct-io`;
  t.true(stderr.join('\n').includes(command), stderr.join('\n'));
  const made = await runCommand(t, command.split(' ').slice(2));
  t.is(made.status, 0, 'the command that is named does it');
});

test('serve: a device without a store is told with the command that formats it', async (t) => {
  const folder = temporaryFolder(t);
  const device = join(folder, 'empty.disk');
  writeFileSync(device, '');
  truncateSync(device, deviceSize);
  const config = configFile(folder, withDevice(device));
  const { status, stderr } = await runCommand(t, ['serve', '-c', config]);
  t.is(status, 3);
  t.true(stderr.join('\n').includes(`npx millrace format ${device}`), stderr.join('\n'));
});

test('serve: says ready with its address, answers, and stops with status 0', async (t) => {
  const folder = temporaryFolder(t);
  const config = configFile(folder, withDevice(join(folder, 'made.disk')));
  const running = startCommand(t, [
    ...['serve', '-c', config, '--set', 'raw_disk_cache.create=true', 'lanes=auto'],
    ...['raw_disk_cache.total_size=256MiB', 'admin.listen=127.0.0.1:0'],
  ]);
  const { listen, admin } = await running.logged('ready');
  t.regex(String((listen as string[])[0]), /^http:\/\/127\.0\.0\.1:\d+$/);
  await running.logged('not in effect in this version: lanes');
  const answer = await fetch(`${String(admin)}/stats`);
  const { proxy, store } = (await answer.json()) as Record<string, Record<string, unknown>>;
  t.is(proxy?.exchanges, 0);
  t.like((store?.volumes as object[] | undefined)?.[0], { device: join(folder, 'made.disk') });
  running.child.kill('SIGTERM');
  const { status, stderr } = await running.ended;
  t.is(status, 0);
  t.deepEqual(stderr, []);
});

test('serve: what went wrong is in the log, a line for each request only for debugging', async (t) => {
  const config = configFile(temporaryFolder(t), memoryOnly);
  const exchangesAt = async (level: string, path: string) => {
    const running = startCommand(t, ['serve', '-c', config, '--set', `log_level=${level}`]);
    const { listen } = await running.logged('ready');
    // Nobody listens on the origin's port. Only what is in the cache would be answered differently.
    await (await fetch(`${(listen as string[])[0]}/${path}`)).text();
    const only = { 'cache-control': 'only-if-cached' };
    await (await fetch(`${(listen as string[])[0]}/${path}`, { headers: only })).text();
    running.child.kill('SIGTERM');
    const { stdout } = await running.ended;
    return stdout
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter(({ msg }) => msg === 'exchange');
  };
  const [refused, ...others] = await exchangesAt('info', 'a');
  t.is(refused?.level, 'warn');
  t.is(refused?.error, 'ERR_MILLRACE_UPSTREAM_REFUSED');
  t.deepEqual(others, []);
  const levels = (await exchangesAt('debug', 'b')).map(({ level }) => level);
  t.deepEqual(levels, ['warn', 'debug']);
});

test('serve: the address of a process that was killed is taken over', async (t) => {
  const folder = temporaryFolder(t);
  const admin = join(folder, 'admin.sock');
  const config = configFile(folder, `${memoryOnly}admin: { listen: "unix:${admin}" }\n`);
  const first = startCommand(t, ['serve', '-c', config]);
  await first.logged('ready');
  const refused = await runCommand(t, ['serve', '-c', config]);
  t.is(refused.status, 3, 'while its owner lives it is not');
  t.true(refused.stderr.join('\n').includes(`unix:${admin}: another process`));
  first.child.kill('SIGKILL');
  await first.ended;
  const second = startCommand(t, ['serve', '-c', config]);
  await second.logged('ready');
  const request = get({ socketPath: admin, path: '/stats' });
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  answer.resume();
  t.is(answer.statusCode, 200);
});

// Alone: others here stand still while they make file systems, and the first signal's grace would pass.
test.serial('serve: a second signal ends it at once', async (t) => {
  const origin = createServer().listen(0, '127.0.0.1');
  await once(origin, 'listening');
  t.teardown(() => origin.close());
  const { port } = origin.address() as AddressInfo;
  const config = configFile(temporaryFolder(t), memoryOnly);
  const set = `upstream_address=127.0.0.1:${port}`;
  const running = startCommand(t, ['serve', '-c', config, '--set', set]);
  const { listen } = await running.logged('ready');
  // An origin that takes the connection and says nothing keeps one exchange open.
  const request = get(`${(listen as string[])[0]}/never`);
  request.on('error', () => {});
  await once(origin, 'connection');
  running.child.kill('SIGTERM');
  await running.logged('stopping');
  running.child.kill('SIGTERM');
  const { status } = await running.ended;
  t.is(status, 143);
});

test('serve: a device that is named twice is told with all names', async (t) => {
  const folder = temporaryFolder(t);
  const device = await formatted(t, folder);
  const link = join(folder, 'link.disk');
  symlinkSync(device, link);
  const list = [device, link].map((path) => `{ device_path: ${JSON.stringify(path)} }`);
  const text = `upstream_address: "127.0.0.1:1"\nraw_disk_cache: [${list.join(', ')}]\n`;
  const { status, stderr } = await runCommand(t, ['serve', '-c', configFile(folder, text)]);
  t.is(status, 3);
  t.deepEqual(stderr, [`raw_disk_cache (${device}, ${link}): the same device is named twice`]);
});

test('serve: what was made of a store since is not written over', async (t) => {
  const folder = temporaryFolder(t);
  const device = await formatted(t, folder);
  const config = configFile(folder, withDevice(device));
  const overwrite = (text: string | Buffer, offset: number): void => {
    const file = openSync(device, 'r+');
    writeSync(file, Buffer.from(text as string), 0, text.length, offset);
    closeSync(file);
  };
  const refuses = async (found: RegExp): Promise<void> => {
    const before = await sha256Of(device);
    for (const args of [
      ['serve', '-c', config],
      ['format', device, '--yes'],
      ['inspect', device],
    ]) {
      const { status, stderr } = await runCommand(t, args);
      t.is(status, 3, args.join(' '));
      const said =
        args[0] === 'serve' ? /written over a millrace store; run npx millrace inspect/ : found;
      t.regex(stderr.join('\n'), said);
    }
    t.is(await sha256Of(device), before);
  };
  // A file system whose maker has left all four superblocks where they were.
  overwrite('XFSB', 0);
  await refuses(/holds an XFS file system/);
  // Some other data over the front alone.
  overwrite(Buffer.alloc(192 * 1024, 'data'), 0);
  await refuses(/holds unknown data at offset 0/);
});

test('format: a file system is refused even with --yes, and nothing is written', async (t) => {
  const path = join(temporaryFolder(t), 'ext4.img');
  makeExt4(path);
  const before = await sha256Of(path);
  const { status, stdout, stderr } = await runCommand(t, ['format', path, '--yes']);
  t.is(status, 3);
  t.deepEqual(stdout, []);
  t.regex(stderr.join('\n'), /holds an ext2\/ext3\/ext4 file system.* never overwrites/);
  t.is(await sha256Of(path), before);
});

test('format: a device in use names who holds it', async (t) => {
  const folder = temporaryFolder(t);
  const device = await formatted(t, folder);
  const config = configFile(folder, withDevice(device));
  const owner = startCommand(t, ['serve', '-c', config]);
  await owner.logged('ready');
  for (const args of [
    ['format', device, '--yes'],
    ['serve', '-c', config],
  ]) {
    const { status, stderr } = await runCommand(t, args);
    t.is(status, 3);
    t.regex(stderr.join('\n'), new RegExp(`owned by process ${owner.child.pid}\\b`));
  }
});

test('format: what it prints can be put into a configuration', async (t) => {
  const folder = temporaryFolder(t);
  const device = join(folder, 'store.disk');
  const { status, stdout } = await runCommand(t, ['format', device, '--size', '256MiB']);
  t.is(status, 0);
  t.true(stdout.some((line) => /^ {2}segments +\d+ of \d+MiB$/.test(line)));
  const yaml = stdout.slice(stdout.indexOf('l2_backend: "raw_disk"')).join('\n');
  const config = configFile(folder, `upstream_address: "127.0.0.1:1"\n${yaml}\n`);
  t.is((await runCommand(t, ['check', '-c', config])).status, 0);
  const running = startCommand(t, ['serve', '-c', config, '--set', 'listen=127.0.0.1:0']);
  await running.logged('ready');
});
