// `millrace check` over real files: what it prints where, and its exit status. The flow's answer
// for a URL is stood in for by a function that repeats what it was asked, since check only
// passes it on. How problems are worded is tested with the configuration.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { checkCommand } from '../../../ts/cli/commands/check.js';

interface Ran {
  readonly status: number;
  readonly stdout: string[];
  readonly stderr: string[];
  readonly path: string;
}

async function run(
  t: ExecutionContext,
  text: string,
  options: { set?: string[]; url?: string; method?: string } = {},
): Promise<Ran> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-check-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'millrace.yaml');
  writeFileSync(path, text);
  const stdout: string[] = [];
  const stderr: string[] = [];
  const status = await checkCommand(
    { config: path, set: [], ...options },
    { stdout: (line) => stdout.push(line), stderr: (line) => stderr.push(line) },
    (config, method, url) => [`${method} ${url} over ${config.routes.length} routes`],
  );
  return { status, stdout, stderr, path };
}

test('check: a good file is summed up, and keys without effect are named', async (t) => {
  const text = `upstream_address: "a:1"
routes: [{ match: { host: b, path: /c, method: [GET, HEAD] }, upstream: d, cache: { pass: true } }]
upstreams: { d: { origins: "https://e" } }
admin: { listen: "unix:/run/m.sock" }
raw_disk_cache: { device_path: /dev/x, total_size: 1GiB, create: true }
lanes: auto
`;
  const { status, stdout, stderr, path } = await run(t, text);
  t.is(status, 0);
  t.deepEqual(stderr, []);
  t.deepEqual(stdout, [
    `${path}: ok`,
    'listen: 127.0.0.1:8080',
    'admin: unix:/run/m.sock',
    'upstream: d = https://e',
    'upstream: upstream_address = http://a:1',
    'routes[0]: GET,HEAD b/c -> d, never cached',
    'routes[1]: */ -> upstream_address',
    'store: 100MiB of memory, 1GiB of raw disk /dev/x, made at start if missing',
    'not in effect in this version: lanes',
  ]);
});

test('check: each kind of store is told apart', async (t) => {
  const storeOf = async (text: string) =>
    (await run(t, `upstream_address: "a:1"\n${text}`)).stdout.at(-1);
  t.is(await storeOf('enable_cache: false'), 'store: none: enable_cache is false');
  t.is(await storeOf('enable_l2_cache: false'), 'store: 100MiB of memory');
  t.is(
    await storeOf('l2_backend: file\nl2_cache_dir: /c'),
    'store: 100MiB of memory, 10GiB of files in /c',
  );
  t.is(
    await storeOf('raw_disk_cache: { device_path: /dev/x }'),
    'store: 100MiB of memory, the whole of raw disk /dev/x',
  );
});

test('check: with a URL it prints what the flow says about it', async (t) => {
  const text = 'upstream_address: "a:1"\nenable_l2_cache: false\n';
  const get = await run(t, text, { url: 'http://b/c' });
  t.is(get.stdout.at(-1), 'GET http://b/c over 1 routes');
  const head = await run(t, text, { url: 'http://b/c', method: 'HEAD' });
  t.is(head.stdout.at(-1), 'HEAD http://b/c over 1 routes');
});

test('check: problems go to stderr, a line each, and the status is 2', async (t) => {
  const { status, stdout, stderr, path } = await run(t, 'cache_ttl: x\nlanes: x\n', {
    set: ['memory_limit=1'],
  });
  t.is(status, 2);
  t.deepEqual(stdout, []);
  t.true(stderr.some((line) => line.startsWith(`${path}:1: cache_ttl: found "x"; allowed:`)));
  t.true(stderr.some((line) => line.startsWith(`${path}:2: lanes: found "x"; allowed:`)));
  t.true(stderr.some((line) => line.startsWith('--set memory_limit: found 1; allowed:')));
});

test('check: a URL that is none is refused', async (t) => {
  const text = 'upstream_address: "a:1"\nenable_l2_cache: false\n';
  for (const url of ['/c', 'ftp://b/c', '']) {
    const { status, stdout, stderr } = await run(t, text, { url });
    t.is(status, 2);
    t.deepEqual(stdout, []);
    t.regex(stderr[0]!, /^--url: found/);
  }
});
