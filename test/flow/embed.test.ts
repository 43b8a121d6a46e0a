// createProxy, as a program that embeds millrace uses it: options in, a running proxy out, errors as
// MillraceErrors, and everything given back by close().

import { once } from 'node:events';
import { existsSync, renameSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { ConfigError, type ConfigInput, createProxy, StoreError } from '../../ts/index.js';
import { temporaryFolder } from '../support/command.js';
import { until } from '../support/until.js';

interface Line {
  readonly level: string;
  readonly fields: object;
  readonly message: string;
}

function recorder() {
  const lines: Line[] = [];
  const at = (level: string) => (fields: object, message: string) =>
    void lines.push({ level, fields, message });
  return {
    lines,
    log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') },
  };
}

async function originOf(t: ExecutionContext) {
  let requests = 0;
  const server = createServer((_request, response) => {
    requests += 1;
    response.writeHead(200, { 'cache-control': 'max-age=60' }).end(`body ${requests}`);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return { port: (server.address() as AddressInfo).port, requests: () => requests };
}

const local = { listen: '127.0.0.1:0', enable_l2_cache: false };

test('createProxy: serves, counts and closes', async (t) => {
  const origin = await originOf(t);
  const proxy = await createProxy({ ...local, upstream_address: `127.0.0.1:${origin.port}` });
  t.teardown(() => proxy.close());
  t.is(proxy.adminAddress, null);
  const url = `${proxy.addresses[0]}/a`;
  t.is(await (await fetch(url)).text(), 'body 1');
  const again = await fetch(url);
  t.is(await again.text(), 'body 1');
  t.is(again.headers.get('x-cache'), 'HIT');
  t.is(origin.requests(), 1);
  t.is(proxy.stats().proxy.hits, 1);
  t.is(proxy.stats().store?.fills, 1);
  await Promise.all([proxy.close(0), proxy.close(0)]);
  await t.throwsAsync(fetch(url), undefined, 'nobody listens any more');
});

test('createProxy: without a cache there is no store and every request passes', async (t) => {
  const origin = await originOf(t);
  const upstream = `127.0.0.1:${origin.port}`;
  const proxy = await createProxy({ ...local, upstream_address: upstream, enable_cache: false });
  t.teardown(() => proxy.close());
  const url = `${proxy.addresses[0]}/a`;
  t.is(await (await fetch(url)).text(), 'body 1');
  t.is(await (await fetch(url)).text(), 'body 2');
  t.is(proxy.stats().store, null);
});

test('createProxy: wrong options and a missing device reject with what to do', async (t) => {
  const wrong = { upstream: '127.0.0.1:1' } as unknown as ConfigInput;
  const invalid = await t.throwsAsync(createProxy(wrong), { instanceOf: ConfigError });
  t.is(invalid?.code, 'ERR_MILLRACE_CONFIG_INVALID');
  const path = join(temporaryFolder(t), "it's none.disk");
  const missing = await t.throwsAsync(
    createProxy({ upstream_address: '127.0.0.1:1', raw_disk_cache: { device_path: path } }),
    { instanceOf: StoreError },
  );
  t.is(missing?.code, 'ERR_MILLRACE_STORE_MISSING_DEVICE');
  const quoted = `'${path.replace("'", "'\\''")}'`;
  t.true(missing?.message.includes(`npx millrace format ${quoted} --size`), missing?.message);
});

test('createProxy: makes a missing file, and says where the size is not the one asked for', async (t) => {
  const path = join(temporaryFolder(t), 'made.disk');
  const options = (size: string, create: boolean): ConfigInput => ({
    listen: '127.0.0.1:0',
    upstream_address: '127.0.0.1:1',
    raw_disk_cache: { device_path: path, total_size: size, create },
  });
  const first = recorder();
  const proxy = await createProxy(options('256MiB', true), { log: first.log });
  t.true(existsSync(path));
  t.true(first.lines.some(({ message }) => message === 'made the store'));
  t.is(proxy.stats().store?.volumes?.[0]?.device, path);
  await proxy.close(0);
  const second = recorder();
  const again = await createProxy(options('1GiB', true), { log: second.log });
  await again.close(0);
  const warning = second.lines.find(
    ({ level, message }) => level === 'warn' && /size/.test(message),
  );
  t.like(warning?.fields, { found: 256 * 2 ** 20, totalSize: 2 ** 30 });
});

test('createProxy: a start that fails half way gives everything back', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'made.disk');
  const options: ConfigInput = {
    listen: '127.0.0.1:0',
    upstream_address: '127.0.0.1:1',
    admin: { listen: `unix:${join(folder, 'none', 'admin.sock')}` },
    raw_disk_cache: { device_path: path, total_size: '256MiB', create: true },
  };
  const failed = await t.throwsAsync(createProxy(options), { instanceOf: ConfigError });
  t.is(failed?.code, 'ERR_MILLRACE_LISTEN_FAILED');
  const proxy = await createProxy({ ...options, admin: {} });
  t.is(proxy.stats().store?.volumes?.[0]?.device, path, 'the device is free again');
  await proxy.close(0);
});

const mib = 2 ** 20;

test('createProxy: two devices share the objects; without one its share is asked for again', async (t) => {
  const origin = await originOf(t);
  const folder = temporaryFolder(t);
  const disks = ['one.disk', 'two.disk'].map((name) => ({
    device_path: join(folder, name),
    total_size: 256 * mib,
    create: true,
  }));
  const start = async (raw: ConfigInput['raw_disk_cache'], log = recorder()) => {
    const proxy = await createProxy(
      {
        listen: '127.0.0.1:0',
        upstreams: { hub: { origins: `http://127.0.0.1:${origin.port}` } },
        // Without the port, which is another one at each start.
        routes: [{ upstream: 'hub', cache: { key: { host: 'cache.test' } } }],
        raw_disk_cache: raw,
      },
      { log: log.log },
    );
    t.teardown(() => proxy.close(0));
    await until('the end of warming', () => proxy.stats().store?.warming === false);
    let hits = 0;
    for (let number = 0; number < 64; number += 1) {
      const answer = await fetch(`${proxy.addresses[0]}/${number}`);
      await answer.text();
      if (answer.headers.get('x-cache') === 'HIT') hits += 1;
    }
    const { volumes, leftOut } = proxy.stats().store ?? {};
    await proxy.close(0);
    return { hits, volumes, leftOut, lines: log.lines };
  };
  t.is((await start(disks)).hits, 0);
  const both = await start(disks);
  t.is(both.hits, 64);
  t.deepEqual(
    both.volumes?.map(({ device }) => device),
    disks.map(({ device_path: path }) => path),
  );
  for (const { recoveredRecords } of both.volumes ?? []) t.true(Number(recoveredRecords) > 8);

  const [first, second] = disks.map((disk) => ({ ...disk, create: false }));
  renameSync(first!.device_path, `${first!.device_path}.away`);
  const alone = await start([first!, second!]);
  t.true(alone.hits > 8 && alone.hits < 56, `${alone.hits} hits`);
  t.like(alone.leftOut?.[0], { device: first!.device_path });
  const told = alone.lines.find(({ level }) => level === 'error');
  t.regex(told?.message ?? '', /one\.disk is left out: .*; its share of the keys/);

  // Back again it counts as empty: it has missed what was purged meanwhile.
  renameSync(`${first!.device_path}.away`, first!.device_path);
  const again = await start([first!, second!]);
  t.true(again.hits > 8 && again.hits < 56, `${again.hits} hits`);
});
