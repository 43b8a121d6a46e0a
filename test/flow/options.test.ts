// Every option that is in effect changes what a client, the disk or the counters show. One test each, over
// the public createProxy.

import { statSync } from 'node:fs';
import { createServer, get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type ConfigInput, createProxy, type StoreStats } from '../../ts/index.js';
import { temporaryFolder } from '../support/command.js';
import { isDirect } from '../support/direct-io.js';
import { until } from '../support/until.js';

const mib = 1024 * 1024;
const pollsMax = 5000;

interface Seen {
  readonly status: number;
  readonly cache: string;
  readonly cacheStatus: string;
  readonly body: string;
}

interface Bench {
  readonly origin: string;
  /** Requests that the origin got, as "METHOD target". */
  readonly asked: string[];
  readonly disk: string;
  /** Starts a proxy with these options over the origin; closed after the test. */
  start(options: ConfigInput): Promise<Proxy>;
}

interface Proxy {
  ask(target: string, headers?: Record<string, string>, method?: string): Promise<Seen>;
  stats(): StoreStats;
  /** Body bytes that were copied out of pages. */
  copied(): number;
  close(): Promise<void>;
}

function read(response: IncomingMessage): Promise<Seen> {
  return new Promise((resolve, reject) => {
    let body = '';
    response.setEncoding('latin1');
    response.on('data', (text: string) => {
      body += text;
    });
    response.on('error', reject);
    response.on('end', () =>
      resolve({
        status: response.statusCode ?? 0,
        cache: String(response.headers['x-cache']),
        cacheStatus: String(response.headers['cache-status']),
        body,
      }),
    );
  });
}

/** Numbered lines, so that a byte tells its place; they shrink to a third. */
function linesOf(length: number): string {
  let text = '';
  for (let line = 0; text.length < length; line += 1) text += `line ${line} of many lines\n`;
  return text.slice(0, length);
}

/**
 * The origin answers `/len/N` with N bytes and `/lines/N` with lines for an hour, `/404` with 404, the
 * rest with its own target.
 */
async function bench(t: ExecutionContext): Promise<Bench> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const target = request.url ?? '';
    asked.push(`${request.method} ${target}`);
    const length = /^\/len\/(\d+)/.exec(target)?.[1];
    const lines = /^\/lines\/(\d+)/.exec(target)?.[1];
    const bare = length === undefined ? target : 'x'.repeat(Number(length));
    const body = lines === undefined ? bare : linesOf(Number(lines));
    const status = target.startsWith('/404') ? 404 : 200;
    const control = target.startsWith('/bare') ? {} : { 'Cache-Control': 'max-age=3600' };
    const coding = target.includes('coded') ? { 'Content-Encoding': 'x-odd' } : {};
    const lifetime = status === 404 ? {} : { ...control, ...coding };
    response.writeHead(status, { 'Content-Length': body.length, ...lifetime });
    response.end(request.method === 'HEAD' ? undefined : body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const origin = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const disk = join(temporaryFolder(t), 'store.disk');
  const start = async (options: ConfigInput): Promise<Proxy> => {
    const system = await createProxy({
      listen: '127.0.0.1:0',
      upstream_address: origin,
      memory_limit: 96 * mib,
      l1_cache_size_bytes: 16 * mib,
      // Bodies of one letter would occupy nothing, and the tests count what the disk gets.
      raw_disk_cache: {
        device_path: disk,
        total_size: 256 * mib,
        create: true,
        enable_compression: false,
      },
      ...options,
    });
    t.teardown(() => system.close(0));
    const ask = (target: string, headers = {}, method = 'GET'): Promise<Seen> =>
      new Promise((resolve, reject) => {
        const request = get(
          `${system.addresses[0]}${target}`,
          { agent: false, method, headers: { Host: 'cache.test', ...headers } },
          (response) => resolve(read(response)),
        );
        request.on('error', reject);
      });
    return {
      ask,
      stats: () => ({ ...system.stats().store }),
      copied: () => system.stats().proxy.copiedBytes!,
      close: () => system.close(0),
    };
  };
  return { origin, asked, disk, start };
}

/** What a slow disk cannot take in time would be dropped: here all is to be written. */
function drained(proxy: Proxy): Promise<void> {
  return until('the disk', () => proxy.stats().stagedBytes === 0);
}

async function flushed(proxy: Proxy): Promise<StoreStats> {
  for (let poll = 0; poll < pollsMax; poll += 1) {
    const stats = proxy.stats();
    if (stats.stagedBytes === 0 && stats.recordsAppended === stats.recordsFlushed) return stats;
    await proxy.ask('/len/1');
  }
  throw new Error(`not flushed after ${pollsMax} requests`);
}

test('use_direct_io: decides whether the device is open with O_DIRECT', async (t) => {
  const { start, disk } = await bench(t);
  const base = { device_path: disk, total_size: 256 * mib, create: true };
  const direct = await start({ raw_disk_cache: { ...base, use_direct_io: true } });
  t.true(isDirect(disk));
  await direct.close();
  const buffered = await start({ raw_disk_cache: { ...base, use_direct_io: false } });
  t.false(isDirect(disk));
  t.is((await buffered.ask('/len/70000')).cache, 'MISS');
  t.is((await buffered.ask('/len/70000')).body.length, 70_000);
});

test('io_backend: decides who reads and writes the device', async (t) => {
  const { start, disk } = await bench(t);
  const base = { device_path: disk, total_size: 256 * mib, create: true };
  const threads = await start({ raw_disk_cache: { ...base, io_backend: 'threads' } });
  await threads.ask('/len/70000');
  const volumeOf = (proxy: Proxy) => proxy.stats().volumes![0]!;
  t.is(volumeOf(threads).ioBackend, 'threads');
  // Nothing was refused: nobody asked.
  t.is(volumeOf(threads).ioUringRefusal, '');
  await threads.close();
  const auto = await start({ raw_disk_cache: { ...base, io_backend: 'auto' } });
  const { ioBackend, ioUringRefusal } = volumeOf(auto);
  t.is(ioBackend === 'io_uring', ioUringRefusal === '');
  await auto.close();
  if (ioBackend === 'threads') {
    t.log(`left out: ${String(ioUringRefusal)}`);
    await t.throwsAsync(start({ raw_disk_cache: { ...base, io_backend: 'io_uring' } }), {
      code: 'ERR_MILLRACE_UNSUPPORTED_PLATFORM',
      message: /io_uring was asked for, and .+; allow it, or set io_backend to auto or threads$/,
    });
    return;
  }
  const ring = await start({ raw_disk_cache: { ...base, io_backend: 'io_uring' } });
  t.is(volumeOf(ring).ioBackend, 'io_uring');
  // What threads wrote, read by the ring.
  t.is((await ring.ask('/len/70000')).body.length, 70_000);
  t.is(ring.stats().diskHits, 1);
  await ring.close();
});

/** What `/lines/` of these lengths, then the same coded, leaves on the disk; read back after a restart. */
async function storedLines(t: ExecutionContext, enableCompression: boolean) {
  const { start, disk, asked } = await bench(t);
  const options: ConfigInput = {
    raw_disk_cache: {
      device_path: disk,
      total_size: 256 * mib,
      create: true,
      enable_compression: enableCompression,
    },
  };
  const lengths = [5_000, 200_000, 3_000_000];
  const first = await start(options);
  for (const length of lengths) await first.ask(`/lines/${length}`);
  const stats = await flushed(first);
  await first.ask('/lines/200000?coded');
  const codedStats = await flushed(first);
  await first.close();
  const again = await start(options);
  const fetched = asked.length;
  for (const length of lengths) {
    const lines = linesOf(length);
    for (const [from, to] of [
      [4_000, 4_099],
      [length - 70_000, length - 1],
    ] as const) {
      if (from < 0) continue;
      const part = await again.ask(`/lines/${length}`, { Range: `bytes=${from}-${to}` });
      t.is(part.status, 206);
      t.true(part.body === lines.slice(from, to + 1), `${length}: ${from}-${to}`);
    }
    t.true((await again.ask(`/lines/${length}`)).body === lines, `${length}`);
  }
  t.is(asked.length, fetched);
  const { admittedBytes, storedBytes, lz4SkippedByType } = stats as Record<string, number>;
  return {
    ratio: storedBytes! / admittedBytes!,
    isCodedRaw:
      Number(codedStats.storedBytes) - storedBytes! ===
      Number(codedStats.admittedBytes) - admittedBytes!,
    skippedByType: Number(codedStats.lz4SkippedByType) - lz4SkippedByType!,
  };
}

test('enable_compression: stores fewer bytes than it admits, on and off give the same bodies', async (t) => {
  const on = await storedLines(t, true);
  t.true(on.ratio < 0.6, `${on.ratio}`);
  t.true(on.isCodedRaw, 'a coded body stays as it is');
  t.is(on.skippedByType, 4);
  const off = await storedLines(t, false);
  t.is(off.ratio, 1);
  t.is(off.skippedByType, 0);
});

test('enable_compression: the file tier keeps smaller files, on and off give the same bodies', async (t) => {
  const bytes: number[] = [];
  for (const enableCompression of [true, false]) {
    const { start, disk, asked } = await bench(t);
    const options: ConfigInput = {
      l2_backend: 'file',
      l2_cache_dir: disk,
      l2_total_size: 256 * mib,
      raw_disk_cache: { enable_compression: enableCompression },
    };
    const first = await start(options);
    await first.ask('/lines/3000000');
    await first.close();
    const again = await start(options);
    const part = await again.ask('/lines/3000000', { Range: 'bytes=1500000-1599999' });
    t.true(part.body === linesOf(1_600_000).slice(1_500_000));
    t.true((await again.ask('/lines/3000000')).body === linesOf(3_000_000));
    t.is(asked.length, 1);
    bytes.push(Number(again.stats().fileBytes));
    t.is(again.stats().lz4Refusal, '');
  }
  t.true(bytes[0]! < bytes[1]! * 0.6, `${bytes}`);
});

test('enable_prefetch, enable_zero_copy: chunks before they are asked for, and copies', async (t) => {
  const { start, disk, asked } = await bench(t);
  const seen: boolean[][] = [];
  for (const isOn of [true, false]) {
    const options: ConfigInput = {
      raw_disk_cache: {
        device_path: disk,
        total_size: 256 * mib,
        create: true,
        enable_prefetch: isOn,
        enable_zero_copy: isOn,
      },
    };
    const first = await start(options);
    await first.ask('/lines/6000000');
    await first.close();
    const again = await start(options);
    t.true((await again.ask('/lines/6000000')).body === linesOf(6_000_000));
    seen.push([Number(again.stats().prefetchedBytes) > 0, again.copied() === 6_000_000]);
    t.true(again.copied() === 0 || !isOn);
    await again.close();
  }
  t.is(asked.length, 1);
  t.deepEqual(seen, [
    [true, false],
    [false, true],
  ]);
});

test('block_size: pads what is written before a buffer is full', async (t) => {
  const written = async (blockSize: number): Promise<number> => {
    const { start, disk } = await bench(t);
    const proxy = await start({
      raw_disk_cache: {
        device_path: disk,
        total_size: 256 * mib,
        create: true,
        block_size: blockSize,
      },
    });
    await proxy.ask('/len/1');
    return Number((await flushed(proxy)).deviceWrittenBytes);
  };
  t.is((await written(65_536)) % 65_536, 0);
  t.true((await written(4096)) < 65_536);
});

test('total_size: the file that create makes has that size, and never another', async (t) => {
  const { start, disk } = await bench(t);
  const proxy = await start({});
  t.is(statSync(disk).size, 256 * mib);
  // Twice: once the disk is full, what is asked for a second time is taken in.
  for (let number = 0; number < 60; number += 1) {
    await proxy.ask(`/len/10000000?${number % 30}`);
    await drained(proxy);
  }
  await flushed(proxy);
  t.true(Number(proxy.stats().segmentsReclaimed) > 0);
  t.is(statSync(disk).size, 256 * mib);
});

test('l1_cache_size_bytes: what fits is read from the device once at most', async (t) => {
  const readsOf = async (l1: number): Promise<number> => {
    const { start } = await bench(t);
    const proxy = await start({ l1_cache_size_bytes: l1 });
    for (let round = 0; round < 3; round += 1) {
      for (let number = 0; number < 8; number += 1) {
        await proxy.ask(`/len/900000?${number}`);
        await drained(proxy);
      }
    }
    return Number(proxy.stats().deviceReads);
  };
  t.is(await readsOf(24 * mib), 0);
  t.true((await readsOf(2 * mib)) > 0);
});

test('enable_l2_cache: without it a restart forgets and no device is opened', async (t) => {
  const { start, asked } = await bench(t);
  for (let life = 0; life < 2; life += 1) {
    const proxy = await start({ enable_l2_cache: false });
    t.is((await proxy.ask('/len/1000')).cache, 'MISS');
    t.is((await proxy.ask('/len/1000')).cache, 'HIT');
    t.is(proxy.stats().volumes, undefined);
    await proxy.close();
  }
  t.is(asked.length, 2);
});

test('enable_cache: without it every request goes to the origin', async (t) => {
  const { start, asked } = await bench(t);
  const proxy = await start({ enable_cache: false });
  for (let round = 0; round < 3; round += 1) {
    t.is((await proxy.ask('/len/10')).cache, 'BYPASS');
  }
  t.is(asked.length, 3);
});

test('memory_limit and index_memory_limit: bound the pool and the index', async (t) => {
  const sizesOf = async (options: ConfigInput) => {
    const { start } = await bench(t);
    const { memoryLimit, indexMemory } = (await start(options)).stats();
    return { memory: Number(memoryLimit), index: Number(indexMemory) };
  };
  const small = await sizesOf({ memory_limit: 96 * mib, index_memory_limit: 1 * mib });
  const large = await sizesOf({ memory_limit: 192 * mib, index_memory_limit: 64 * mib });
  t.true(small.memory <= 96 * mib);
  t.true(large.memory > 96 * mib);
  t.true(small.index <= mib);
});

test('routes.cache.ttl: stores a status that brings no lifetime of its own', async (t) => {
  const { start, asked } = await bench(t);
  const proxy = await start({
    routes: [{ match: { path: '/404' }, cache: { ttl: { '404': '10s' } } }],
  });
  t.is((await proxy.ask('/404')).status, 404);
  const second = await proxy.ask('/404');
  t.is(second.cache, 'HIT');
  t.is(second.status, 404);
  t.is(asked.length, 1);
});

test('cache_ttl: is the lifetime of a rule that overrides the origin without naming one', async (t) => {
  const { start } = await bench(t);
  const proxy = await start({
    cache_ttl: '7s',
    routes: [{ cache: { override_origin: true } }],
  });
  await proxy.ask('/len/10');
  t.regex((await proxy.ask('/len/10')).cacheStatus, /ttl=[1-7];/);
});

test('routes.cache.pass: nothing below that path is stored', async (t) => {
  const { start, asked } = await bench(t);
  const proxy = await start({ routes: [{ match: { path: '/api/' }, cache: { pass: true } }] });
  await proxy.ask('/api/x');
  t.is((await proxy.ask('/api/x')).cache, 'BYPASS');
  await proxy.ask('/other');
  t.is((await proxy.ask('/other')).cache, 'HIT');
  t.is(asked.length, 3);
});

test('routes.cache.key: query and host rules decide what is the same object', async (t) => {
  const { start, asked } = await bench(t);
  const proxy = await start({
    routes: [
      { match: { path: '/drop' }, cache: { key: { query: 'drop' } } },
      { match: { path: '/only' }, cache: { key: { query: { only: ['v'] } } } },
      { match: { path: '/sort' }, cache: { key: { sort_query: true } } },
      { match: { path: '/host' }, cache: { key: { host: 'one.test' } } },
    ],
  });
  const isSecondHit = async (first: string, second: string, headers = {}): Promise<boolean> => {
    await proxy.ask(first);
    return (await proxy.ask(second, headers)).cache === 'HIT';
  };
  t.true(await isSecondHit('/drop?a=1', '/drop?a=2'));
  t.true(await isSecondHit('/only?v=1&t=5', '/only?v=1&t=6'));
  t.false(await isSecondHit('/only?v=3', '/only?v=2'));
  t.true(await isSecondHit('/sort?a=1&b=2', '/sort?b=2&a=1'));
  t.true(await isSecondHit('/host', '/host', { Host: 'other.test' }));
  t.false(await isSecondHit('/plain?a=1', '/plain?a=2'));
  t.true(asked.includes('GET /sort?a=1&b=2'));
});

test('routes.match: host, path and method choose the upstream, the first match wins', async (t) => {
  const first = await bench(t);
  const second = await bench(t);
  const proxy = await first.start({
    upstreams: { other: { origins: [`http://${second.origin}`] } },
    routes: [
      { match: { host: '*.big.test' }, upstream: 'other' },
      { match: { path: '/big/', method: ['GET'] }, upstream: 'other' },
    ],
  });
  await proxy.ask('/x', { Host: 'a.big.test' });
  await proxy.ask('/big/y');
  await proxy.ask('/big/y', {}, 'DELETE');
  await proxy.ask('/z');
  t.deepEqual(second.asked, ['GET /x', 'GET /big/y']);
  t.deepEqual(first.asked, ['DELETE /big/y', 'GET /z']);
});
