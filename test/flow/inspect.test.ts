// The commands that look at a device and at a running instance, as somebody types them: over a device that is
// in use, one that was closed, one that is damaged, and one that is none.

import { once } from 'node:events';
import {
  closeSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import test, { type ExecutionContext } from 'ava';
import { configFile, runCommand, startCommand, temporaryFolder } from '../support/command.js';

const sizes = [100, 70_000, 3_000_000];
/** Nothing that shrinks: what is on the disk is then what was sent. */
const bodyOf = (size: number): Buffer => {
  const body = Buffer.alloc(size);
  let state = size;
  for (let at = 0; at < size; at += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    body[at] = state >>> 24;
  }
  return body;
};

async function originOf(t: ExecutionContext): Promise<number> {
  const server = createServer((request, response) => {
    const body = bodyOf(Number(request.url?.slice(1)));
    response.writeHead(200, { 'cache-control': 'max-age=600', etag: '"a"' }).end(body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** Of the JSON of inspect and verify. */
function devicesIn({ stdout }: { readonly stdout: string[] }): Record<string, unknown>[] {
  return (JSON.parse(stdout.join('\n')) as { devices: Record<string, unknown>[] }).devices;
}

/** A device with one object of each size, still in use until `stop`. */
async function filled(t: ExecutionContext) {
  const folder = temporaryFolder(t);
  const device = join(folder, 'inspect.disk');
  const config = configFile(
    folder,
    [
      `upstream_address: "127.0.0.1:${await originOf(t)}"`,
      'listen: "127.0.0.1:0"',
      `raw_disk_cache: { device_path: ${JSON.stringify(device)}, total_size: 256MiB, create: true }`,
    ].join('\n'),
  );
  const running = startCommand(t, ['serve', '-c', config]);
  const [address] = (await running.logged('ready')).listen as string[];
  for (const size of sizes) {
    const answer = await fetch(`${address}/${size}`);
    t.true(bodyOf(size).equals(Buffer.from(await answer.arrayBuffer())));
  }
  const stop = async (): Promise<void> => {
    running.child.kill('SIGTERM');
    t.is((await running.ended).status, 0);
  };
  return { device, config, address: String(address), pid: running.child.pid, stop };
}

test('stats: every counter of a running instance, for people and as JSON', async (t) => {
  const { config, device, stop } = await filled(t);
  const shown = await runCommand(t, ['stats', '-c', config]);
  t.is(shown.status, 0);
  t.true(shown.stdout.some((line) => /^ {2}misses +3$/.test(line)));
  t.true(shown.stdout.includes('store, volumes 0'));
  const json = await runCommand(t, ['stats', '-c', config, '--json']);
  t.like(JSON.parse(json.stdout.join('\n')), { proxy: { misses: 3 }, store: { fills: 3 } });
  await stop();
  const gone = await runCommand(t, ['stats', '-c', config]);
  t.is(gone.status, 3);
  t.deepEqual(gone.stderr, [
    `cannot ask unix:${device}.sock: nobody listens there; ` +
      'is millrace running with this configuration?',
  ]);
});

test('inspect: a device in use and at rest, and what is stored under a URL', async (t) => {
  const { config, device, address, pid, stop } = await filled(t);
  const inUse = await runCommand(t, ['inspect', '-c', config]);
  t.is(inUse.status, 0);
  t.true(inUse.stdout.some((line) => RegExp(`^in use by +process ${pid} \\(`).test(line)));
  t.true(
    inUse.stdout.some((line) => /^hit +0 of 6 records \(0\.0 %\) since the start$/.test(line)),
  );
  await stop();
  const shown = await runCommand(t, ['inspect', device, '--json']);
  t.like(devicesIn(shown)[0], {
    device,
    owner: '',
    clean: true,
    copies: ['', '', '', ''],
    size: 256 * 2 ** 20,
    records: { single: 2, head: 1, chunk: 3 },
  });
  const text = await runCommand(t, ['inspect', device]);
  const lineAfter = (title: string) => text.stdout[text.stdout.indexOf(title) + 1] ?? '';
  t.regex(lineAfter('fill, in tenths:'), /^ {6}0 7\.{46}$/, 'one segment is three quarters full');
  t.regex(lineAfter('age:'), /^ {6}0 m\.{46}$/);
  t.is(
    text.stdout.at(-1),
    'hit share: not known; nobody uses the device, and hits are not written down',
  );
  const found = await runCommand(t, ['inspect', device, '--url', `${address}/3000000`, '--json']);
  t.is(found.status, 0);
  const [record] = devicesIn(found)[0]!.records as Record<string, unknown>[];
  t.like(record, { kind: 'head', bodyLength: 3_000_000, chunksFound: 3, chunksWanted: 3 });
  t.like(record?.head, { status: 200, etag: '"a"' });
  const none = await runCommand(t, ['inspect', device, '--url', `${address}/nothing`]);
  t.is(none.status, 1);
});

test('inspect: the share of records that were hit is asked of the instance', async (t) => {
  const folder = temporaryFolder(t);
  const device = join(folder, 'hits.disk');
  const config = configFile(
    folder,
    [
      `upstreams: { hub: { origins: "http://127.0.0.1:${await originOf(t)}" } }`,
      // Without the port, which is another one in each life.
      'routes: [ { upstream: hub, cache: { key: { host: cache.test } } } ]',
      'listen: "127.0.0.1:0"',
      `raw_disk_cache: { device_path: ${JSON.stringify(device)}, total_size: 256MiB, create: true }`,
    ].join('\n'),
  );
  const serve = async () => {
    const running = startCommand(t, ['serve', '-c', config]);
    const [address] = (await running.logged('ready')).listen as string[];
    const get = async (size: number): Promise<string | null> => {
      const answer = await fetch(`${address}/${size}`);
      t.is((await answer.arrayBuffer()).byteLength, size);
      return answer.headers.get('x-cache');
    };
    const stop = async (): Promise<void> => {
      running.child.kill('SIGTERM');
      t.is((await running.ended).status, 0);
    };
    return { running, get, stop };
  };
  const first = await serve();
  for (const size of [100, 200, 300, 400]) t.is(await first.get(size), 'MISS');
  await first.stop();
  // Memory is empty: this one is asked for on the disk.
  const second = await serve();
  await second.running.logged('found 4 records in \\d+ ms');
  t.is(await second.get(100), 'HIT');
  const link = join(folder, 'link.disk');
  symlinkSync(device, link);
  for (const how of [[device], ['-c', config], [link], [relative(process.cwd(), device)]]) {
    const [report] = devicesIn(await runCommand(t, ['inspect', ...how, '--json']));
    const segments = report?.segments as object[];
    t.like(segments[0], { found: 4, hit: 1 });
    t.like(segments[1], { found: 0, hit: 0 });
    t.is(report?.hitsUnknown, null);
  }
  const text = await runCommand(t, ['inspect', device]);
  t.true(text.stdout.some((line) => /^hit +1 of 4 records \(25\.0 %\)/.test(line)));
  t.regex(text.stdout.at(-1) ?? '', /^ {6}0 2\.{46}$/);
  await second.stop();
  const rest = await runCommand(t, ['inspect', device, '--json']);
  const [report] = devicesIn(rest);
  t.like((report!.segments as object[])[0], { found: null, hit: null });
  t.regex(String(report?.hitsUnknown), /^nobody uses the device/);
});

test('verify: a device as it was written, one flipped byte, and no store at all', async (t) => {
  const { config, device, address, stop } = await filled(t);
  await stop();
  const good = await runCommand(t, ['verify', '-c', config]);
  t.is(good.status, 0);
  t.regex(good.stdout.join(), /6 records in 1 segments, .+ all as they were written$/);
  const bytes = readFileSync(device);
  const at = bytes.indexOf(bodyOf(70_000).subarray(100, 200));
  t.true(at > 0);
  bytes[at]! ^= 1;
  writeFileSync(device, bytes);
  const bad = await runCommand(t, ['verify', device]);
  t.is(bad.status, 1);
  t.is(bad.stdout.length, 2);
  t.true(bad.stdout[0]?.endsWith(`its body does not match its checksums, ${address}/70000`));
  const json = await runCommand(t, ['verify', device, '--json']);
  t.is(json.status, 1);
  t.like(devicesIn(json)[0], { device, damaged: 1, records: 6 });
  const foreign = await runCommand(t, ['verify', config]);
  t.is(foreign.status, 3);
  t.true(foreign.stderr.some((line) => line.startsWith(`${config}: `)));
});

/** Overwrites some bytes with what nothing of ours looks like. */
function scribble(device: string, offset: number, length: number): void {
  const file = openSync(device, 'r+');
  writeSync(file, Buffer.alloc(length, 0xa5), 0, length, offset);
  closeSync(file);
}

test('verify: what leads to the records counts, too', async (t) => {
  const { config, device, stop } = await filled(t);
  // The first generation of the journal lies in the second half.
  t.is((await runCommand(t, ['purge', '-c', config, '--tag', 'none'])).status, 0);
  await stop();
  const mib = 2 ** 20;
  const journal = 33 * mib;
  const segment = 65 * mib;
  const footer = segment + 4 * mib - 4096;
  const whole = readFileSync(device);
  const damages: (readonly [number, number | null, RegExp])[] = [
    [64 * 1024, null, /superblock/],
    [journal, null, /purge journal/],
    [footer, 0, /footer/],
    [segment, 0, /header/],
  ];
  for (const [offset, at, reason] of damages) {
    writeFileSync(device, whole);
    scribble(device, offset, 4096);
    const { status, stdout } = await runCommand(t, ['verify', device, '--json']);
    t.is(status, 1, String(reason));
    const { damaged, listed } = JSON.parse(stdout.join('\n')).devices[0];
    t.is(damaged, 1);
    t.like(listed[0], { offset, segment: at });
    t.regex(listed[0].reason, reason);
  }
});

test('inspect, verify: several devices are one document, and one of them may be missing', async (t) => {
  const folder = temporaryFolder(t);
  const paths = ['one', 'two'].map((name) => join(folder, `${name}.disk`));
  for (const path of paths) {
    const made = await runCommand(t, ['format', path, '--size', '256MiB', '--no-zero-fill']);
    t.is(made.status, 0);
  }
  const list = [paths[0]!, '/nowhere', paths[1]!].map((path) => `{ device_path: ${path} }`);
  const config = configFile(
    folder,
    `upstream_address: "127.0.0.1:1"\nraw_disk_cache: [${list.join(', ')}]\n`,
  );
  for (const command of ['inspect', 'verify']) {
    const json = await runCommand(t, [command, '-c', config, '--json']);
    t.is(json.status, 3);
    const [first, second, third] = devicesIn(json);
    t.like(first, { device: paths[0], owner: '' });
    t.like(second, { device: '/nowhere', code: 'ERR_MILLRACE_STORE_MISSING_DEVICE' });
    t.like(third, { device: paths[1], owner: '' });
    const text = await runCommand(t, [command, '-c', config]);
    t.is(text.status, 3);
    t.true(text.stderr.includes('/nowhere does not exist'));
  }
  const url = ['--url', 'http://cache.test/a'];
  const none = await runCommand(t, ['inspect', '-c', config, ...url, '--json']);
  t.is(none.status, 3);
  t.like(devicesIn(none)[2], { device: paths[1], records: [] });
  const doctor = await runCommand(t, ['doctor', '-c', config]);
  t.is(doctor.status, 0);
  t.true(doctor.stdout.some((line) => /^warn +device \/nowhere .*left out/.test(line)));
});

test('inspect: by URL each variant is found, with tags as texts', async (t) => {
  const server = createServer((request, response) => {
    const { 'accept-language': language = '' } = request.headers;
    const fields = { vary: 'accept-language', etag: `"${language}"`, 'surrogate-key': 'a b' };
    response.writeHead(200, { 'cache-control': 'max-age=600', ...fields }).end(language);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const folder = temporaryFolder(t);
  const device = join(folder, 'vary.disk');
  const config = configFile(
    folder,
    [
      `upstream_address: "127.0.0.1:${(server.address() as AddressInfo).port}"`,
      'listen: "127.0.0.1:0"',
      `raw_disk_cache: { device_path: ${JSON.stringify(device)}, total_size: 256MiB, create: true }`,
    ].join('\n'),
  );
  const running = startCommand(t, ['serve', '-c', config]);
  const [address] = (await running.logged('ready')).listen as string[];
  for (const language of ['de', 'en']) {
    await (await fetch(`${address}/a`, { headers: { 'accept-language': language } })).text();
  }
  running.child.kill('SIGTERM');
  t.is((await running.ended).status, 0);
  const json = await runCommand(t, ['inspect', device, '--url', `${address}/a`, '--json']);
  const records = devicesIn(json)[0]?.records as { variants: unknown; head: { tags: string[] } }[];
  const bodies = records.filter(({ variants }) => variants === null);
  t.is(bodies.length, 2);
  for (const { head } of bodies) {
    t.is(head.tags.length, 2);
    t.true(head.tags.every((tag) => /^[0-9a-f]{16}$/.test(tag)));
  }
  const text = await runCommand(t, ['inspect', device, '--url', `${address}/a`]);
  t.true(text.stdout.some((line) => /^variant +accept-language: en$/.test(line)));
});

test('verify: an instance starts meanwhile', async (t) => {
  const folder = temporaryFolder(t);
  const device = join(folder, 'looked-at.disk');
  const sized = ['--size', '256MiB', '--no-zero-fill'];
  t.is((await runCommand(t, ['format', device, ...sized])).status, 0);
  const config = configFile(
    folder,
    `upstream_address: "127.0.0.1:1"\nlisten: "127.0.0.1:0"\n` +
      `raw_disk_cache: { device_path: ${JSON.stringify(device)} }\n`,
  );
  // Stopped in the middle of its work, as one that reads a large device for an hour.
  const looking = startCommand(t, ['verify', device]);
  const started = (async () => {
    for await (const line of createInterface({ input: looking.child.stderr! })) return line;
    return '';
  })();
  t.regex(await started, /^segments verified: 0%/);
  looking.child.kill('SIGSTOP');
  const running = startCommand(t, ['serve', '-c', config]);
  await running.logged('ready');
  running.child.kill('SIGTERM');
  t.is((await running.ended).status, 0);
  looking.child.kill('SIGCONT');
  await looking.ended;
});

test('doctor: what is well, what is missing and what to do', async (t) => {
  const { config, device, stop } = await filled(t);
  const well = await runCommand(t, ['doctor', '-c', config, '--json']);
  t.is(well.status, 0, well.stderr.join('\n'));
  const findings = JSON.parse(well.stdout.join('\n')) as { state: string; what: string }[];
  t.is(findings.find(({ what }) => what === `device ${device}`)?.state, 'ok');
  await stop();
  const missing = ['--set', 'raw_disk_cache.create=false', 'raw_disk_cache.device_path=/none'];
  const ill = await runCommand(t, ['doctor', '-c', config, ...missing]);
  t.is(ill.status, 1);
  const at = ill.stdout.findIndex((line) => /^fail +device \/none/.test(line));
  t.regex(ill.stdout[at + 1] ?? '', /run: npx millrace format \/none --size 256MiB/);
});

test('doctor: each fault of a device is named', async (t) => {
  const folder = temporaryFolder(t);
  const device = join(folder, 'faulty.disk');
  const config = configFile(
    folder,
    `upstream_address: "127.0.0.1:1"\nlisten: "127.0.0.1:0"\n` +
      `raw_disk_cache: { device_path: ${JSON.stringify(device)} }\n`,
  );
  const findings = async (...set: string[]): Promise<string[]> => {
    const given = set.length === 0 ? [] : ['--set', ...set];
    const { stdout } = await runCommand(t, ['doctor', '-c', config, ...given, '--json']);
    const all = JSON.parse(stdout.join('\n')) as Record<'state' | 'what' | 'found', string>[];
    return all
      .filter(({ what }) => what === `device ${device}`)
      .map(({ state, found }) => `${state}: ${found}`);
  };
  writeFileSync(device, '');
  truncateSync(device, 100 * 2 ** 20);
  t.regex((await findings()).join(), /^fail: has 100MiB, and a store needs 256MiB$/);
  truncateSync(device, 256 * 2 ** 20);
  t.regex((await findings()).join(), /^fail: is empty and no store yet$/);
  writeFileSync(device, 'SQLite format 3', { flag: 'r+' });
  t.regex((await findings()).join(), /^fail: holds unknown data at offset 0, which millrace did/);
  rmSync(device);
  const sized = ['--size', '256MiB', '--no-zero-fill'];
  t.is((await runCommand(t, ['format', device, ...sized])).status, 0);
  t.regex((await findings()).join(), /^ok: a file of 256MiB with a millrace store$/);
  const other = await findings('raw_disk_cache.total_size=1GiB');
  t.regex(other.join(), /warn: total_size is 1073741824 bytes, and it has 268435456$/);
  const running = startCommand(t, ['serve', '-c', config]);
  await running.logged('ready');
  const owned = await findings();
  t.regex(owned.join(), RegExp(`ok: in use by process ${running.child.pid} .*of this config`));
  const elsewhere = await findings('admin.listen=127.0.0.1:2');
  t.regex(elsewhere.join(), RegExp(`warn: in use by process ${running.child.pid} `));
});

test('doctor: the directory of the file tier', async (t) => {
  const folder = temporaryFolder(t);
  const config = configFile(
    folder,
    `upstream_address: "127.0.0.1:1"\nlisten: "127.0.0.1:0"\nl2_backend: file\n`,
  );
  const stateOf = async (directory: string): Promise<string | undefined> => {
    const set = ['--set', `l2_cache_dir=${directory}`, 'l2_total_size=256MiB'];
    const { stdout } = await runCommand(t, ['doctor', '-c', config, ...set, '--json']);
    const all = JSON.parse(stdout.join('\n')) as Record<'state' | 'what', string>[];
    return all.find(({ what }) => what === `directory ${directory}`)?.state;
  };
  t.is(await stateOf(folder), 'ok');
  t.is(await stateOf(join(folder, 'made', 'at', 'start')), 'ok');
  t.is(await stateOf(join(config, 'below', 'a', 'file')), 'fail');
});

test('purge: by URL and altogether, softly and for good, and what is refused', async (t) => {
  const { config, address, stop } = await filled(t);
  const cacheOf = async (size: number): Promise<string | null> => {
    const answer = await fetch(`${address}/${size}`);
    t.is((await answer.arrayBuffer()).byteLength, size);
    return answer.headers.get('x-cache');
  };
  t.is(await cacheOf(100), 'HIT');
  const one = await runCommand(t, ['purge', '-c', config, '--url', `${address}/100`]);
  t.is(one.status, 0, one.stderr.join('\n'));
  t.deepEqual(one.stdout, [`purged key ${address}/100`]);
  t.is(await cacheOf(100), 'MISS');
  t.is(await cacheOf(70_000), 'HIT');
  const all = await runCommand(t, ['purge', '-c', config, '--all', '--soft', '--json']);
  t.is(all.status, 0);
  t.like(JSON.parse(all.stdout.join('\n')), { purged: { kind: 'all', soft: true } });
  t.not(await cacheOf(70_000), 'HIT');
  const nothing = await runCommand(t, ['purge', '-c', config]);
  t.is(nothing.status, 2);
  t.regex(nothing.stderr.join(), /^nothing was given; allowed: exactly one of --url/);
  const refused = await runCommand(t, ['purge', '-c', config, '--url', 'not a URL']);
  t.is(refused.status, 1);
  const two = await runCommand(t, ['purge', '-c', config, '--all', '--tag', 'a']);
  t.is(two.status, 2);
  t.regex(two.stderr.join(), /^--tag and --all were given/);
  const empty = await runCommand(t, ['purge', '-c', config, '--prefix', '']);
  t.is(empty.status, 2);
  t.regex(empty.stderr.join(), /^--prefix is empty, so nothing was purged/);
  await stop();
});
