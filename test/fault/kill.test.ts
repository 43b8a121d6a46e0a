// SIGKILL while idle and in the middle of fills, again and again on the same device. What the statistics
// called flushed is found again; whatever is found has the right bytes.

import { createHash } from 'node:crypto';
import { createServer, get, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { configFile, type Running, startCommand, temporaryFolder } from '../support/command.js';

const sizes = [0, 1, 511, 70_000, 1_048_576, 1_048_577, 3_500_000];
const pollsMax = 5000;

/** The bytes of a path, without a file: its name over and over. */
function bodyOf(path: string): Buffer {
  return Buffer.alloc(Number(/\d+$/.exec(path)?.[0] ?? 0), `${path}\n`);
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

interface Origin {
  readonly address: string;
  readonly counts: Map<string, number>;
}

/** Paths below /stall get half their body and then nothing. */
async function startOrigin(t: ExecutionContext): Promise<Origin> {
  const counts = new Map<string, number>();
  const server: Server = createServer((request, response) => {
    const path = request.url ?? '';
    counts.set(path, (counts.get(path) ?? 0) + 1);
    const body = bodyOf(path);
    response.writeHead(200, {
      'Content-Length': body.length,
      'Cache-Control': 'max-age=3600',
      'Surrogate-Key': `every ${path.split('/')[1]}`,
    });
    if (path.startsWith('/stall')) response.write(body.subarray(0, body.length / 2));
    else response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, counts };
}

interface Proxy {
  readonly running: Running;
  readonly address: string;
  readonly admin: string;
}

async function startProxy(t: ExecutionContext, config: string): Promise<Proxy> {
  const running = startCommand(t, ['serve', '-c', config]);
  const ready = await running.logged('ready');
  const [address] = ready.listen as string[];
  const proxy = { running, address: address!, admin: ready.admin as string };
  let stats = await statsOf(proxy);
  while (stats.warming === true) stats = await statsOf(proxy);
  return proxy;
}

async function statsOf({ admin }: Proxy): Promise<Record<string, number | boolean>> {
  const response = await ask(admin, '/stats');
  const { store } = JSON.parse((await read(response)).toString()) as {
    store: Record<string, number | boolean>;
  };
  return store;
}

async function kill({ running }: Proxy): Promise<void> {
  running.child.kill('SIGKILL');
  await running.ended;
}

/** The key must not depend on the port, which changes with every life. */
function ask(address: string, path: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = { Host: 'cache.test' };
    get(`${address}${path}`, { agent: false, headers }, resolve).on('error', reject);
  });
}

async function read(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function fetchObject(
  address: string,
  path: string,
): Promise<{ cache: string; hash: string }> {
  const response = await ask(address, path);
  const body = await read(response);
  return { cache: String(response.headers['x-cache']), hash: hashOf(body) };
}

/** Polls until every record that was appended is on the device. */
async function allFlushed(proxy: Proxy): Promise<void> {
  for (let poll = 0; poll < pollsMax; poll += 1) {
    const store = await statsOf(proxy);
    const isStaged = Number(store.stagedBytes) > 0;
    if (!isStaged && store.recordsAppended! === store.recordsFlushed!) return;
  }
  throw new Error(`not flushed after ${pollsMax} looks`);
}

function writeConfig(t: ExecutionContext, origin: Origin): string {
  const folder = temporaryFolder(t);
  return configFile(
    folder,
    [
      `upstream_address: "${origin.address}"`,
      'listen: "127.0.0.1:0"',
      'admin: { listen: "127.0.0.1:0" }',
      'memory_limit: 96MiB',
      'l1_cache_size_bytes: 16MiB',
      'raw_disk_cache:',
      `  device_path: "${join(folder, 'store.disk')}"`,
      '  total_size: 256MiB',
      '  create: true',
    ].join('\n'),
  );
}

test('kill: what was flushed is a hit after SIGKILL, a fill under way is a miss', async (t) => {
  const origin = await startOrigin(t);
  const config = writeConfig(t, origin);
  let proxy = await startProxy(t, config);
  for (const size of sizes) {
    const path = `/a/${size}`;
    t.is((await fetchObject(proxy.address, path)).hash, hashOf(bodyOf(path)));
  }
  await allFlushed(proxy);
  const stalled = await ask(proxy.address, '/stall/3000000');
  stalled.on('error', () => {});
  await new Promise((resolve) => stalled.once('data', resolve));
  await kill(proxy);
  proxy = await startProxy(t, config);
  for (const size of sizes) {
    const path = `/a/${size}`;
    const { cache, hash } = await fetchObject(proxy.address, path);
    t.is(cache, 'HIT', path);
    t.is(hash, hashOf(bodyOf(path)), path);
    t.is(origin.counts.get(path), 1, path);
  }
  const again = await ask(proxy.address, '/stall/3000000');
  t.is(again.headers['x-cache'], 'MISS');
  again.on('error', () => {});
  again.destroy();
});

test('kill: six lives that end among writes lose nothing flushed and serve nothing wrong', async (t) => {
  const origin = await startOrigin(t);
  const config = writeConfig(t, origin);
  const flushed: string[] = [];
  for (let life = 0; life < 6; life += 1) {
    const proxy = await startProxy(t, config);
    for (const path of flushed) {
      const { cache, hash } = await fetchObject(proxy.address, path);
      t.is(cache, 'HIT', `${path} in life ${life}`);
      t.is(hash, hashOf(bodyOf(path)), path);
    }
    const kept = sizes.map((size) => `/life${life}/kept/${size}`);
    for (const path of kept) await fetchObject(proxy.address, path);
    await allFlushed(proxy);
    flushed.push(...kept);
    // These race with the kill: each may be found later or not, but never wrong.
    const racing = sizes.map((size) => `/life${life % 2}/racing/${size}`);
    const answers = racing.map((path) =>
      fetchObject(proxy.address, path).then(
        ({ hash }) => t.is(hash, hashOf(bodyOf(path)), `${path} in life ${life}`),
        () => {},
      ),
    );
    await Promise.race(answers);
    await kill(proxy);
    await Promise.all(answers);
  }
});

test('kill: a purge that was answered holds after SIGKILL, each kind of it', async (t) => {
  const origin = await startOrigin(t);
  const config = writeConfig(t, origin);
  let proxy = await startProxy(t, config);
  const paths = ['/key/100', '/prefix/200', '/tag/300', '/kept/400', '/soft/500'];
  for (const path of paths) await fetchObject(proxy.address, path);
  await allFlushed(proxy);
  for (const body of [
    { url: 'http://cache.test/key/100' },
    { prefix: 'http://cache.test/prefix/' },
    { tag: 'tag' },
    { url: 'http://cache.test/soft/500', soft: true },
  ]) {
    const answer = await fetch(`${proxy.admin}/purge`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    t.is(answer.status, 200, JSON.stringify(body));
    await answer.body?.cancel();
  }
  await kill(proxy);
  proxy = await startProxy(t, config);
  for (const path of paths) {
    const { cache, hash } = await fetchObject(proxy.address, path);
    const expected = path === '/kept/400' ? 'HIT' : path === '/soft/500' ? 'EXPIRED' : 'MISS';
    t.is(cache, expected, path);
    t.is(hash, hashOf(bodyOf(path)), path);
    t.is(origin.counts.get(path), path === '/kept/400' ? 1 : 2, path);
  }
});
