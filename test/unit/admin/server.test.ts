// The operator's listener: what it answers, who may connect, and that it takes a socket over only where
// nobody answers on it and it is a socket at all.

import { once } from 'node:events';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { startAdmin } from '../../../ts/admin/server.js';
import type { ServedAddress } from '../../../ts/config/schema.js';
import { ClientError, ConfigError, StoreError } from '../../../ts/errors.js';
import { temporaryFolder } from '../../support/command.js';

const anyPort: ServedAddress = { kind: 'tcp', host: '127.0.0.1', port: 0 };

const purge = () => Promise.resolve({});
const segments = () => Promise.resolve({ volumes: [] });

async function admin(t: ExecutionContext, listen: ServedAddress, stats: () => object = () => ({})) {
  const running = await startAdmin({ listen, stats, segments, purge });
  t.teardown(() => running.close());
  return running;
}

test('admin: /stats tells what it is told at that moment', async (t) => {
  let count = 0;
  const { address } = await admin(t, anyPort, () => ({ store: { count: ++count } }));
  t.regex(address, /^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
  const answer = await fetch(`${address}/stats?pretty`);
  t.is(answer.status, 200);
  t.is(answer.headers.get('cache-control'), 'no-store');
  t.deepEqual(await answer.json(), { store: { count: 1 } });
  t.deepEqual(await (await fetch(`${address}/stats`)).json(), { store: { count: 2 } });
});

test('admin: other paths and methods are refused', async (t) => {
  const { address } = await admin(t, anyPort);
  t.is((await fetch(`${address}/`)).status, 404);
  const posted = await fetch(`${address}/stats`, { method: 'POST' });
  t.is(posted.status, 405);
  t.is(posted.headers.get('allow'), 'GET, HEAD');
  t.deepEqual(await (await fetch(`${address}/segments`)).json(), { volumes: [] });
  t.is((await fetch(`${address}/segments`, { method: 'POST' })).status, 405);
  const head = await fetch(`${address}/stats`, { method: 'HEAD' });
  t.is(head.status, 200);
  t.is(await head.text(), '');
});

async function post(address: string, body: string, type = 'application/json') {
  const answer = await fetch(`${address}/purge`, {
    method: 'POST',
    headers: { 'content-type': type },
    body,
  });
  return { status: answer.status, value: (await answer.json()) as Record<string, unknown> };
}

test('admin: POST /purge hands the JSON on and answers with what became of it', async (t) => {
  const requests: unknown[] = [];
  const running = await startAdmin({
    listen: anyPort,
    stats: () => ({}),
    segments,
    purge: async (request) => {
      requests.push(request);
      if (requests.length === 2) throw new ClientError('CLIENT_BAD_REQUEST', 'names nothing');
      if (requests.length === 3) throw new StoreError('STORE_IO', '/dev/x: not durable');
      if (requests.length === 4) throw new Error('a bug');
      return { kind: 'all' };
    },
  });
  t.teardown(() => running.close());
  const { address } = running;
  t.deepEqual(await post(address, '{"all":true}'), {
    status: 200,
    value: { purged: { kind: 'all' } },
  });
  t.deepEqual(requests, [{ all: true }]);
  t.deepEqual(await post(address, '1'), {
    status: 400,
    value: { error: 'names nothing', code: 'ERR_MILLRACE_CLIENT_BAD_REQUEST' },
  });
  t.deepEqual(await post(address, '2'), {
    status: 503,
    value: { error: '/dev/x: not durable', code: 'ERR_MILLRACE_STORE_IO' },
  });
  t.is((await post(address, '3')).status, 500);
});

test('admin: POST /purge takes nothing but JSON of a moderate size', async (t) => {
  const { address } = await admin(t, anyPort);
  t.is((await post(address, '{"all":')).status, 400);
  t.is((await post(address, `"${'x'.repeat(70_000)}"`)).status, 400);
  t.is((await post(address, '{"all":true}', 'text/plain')).status, 415);
  const read = await fetch(`${address}/purge`);
  t.is(read.status, 405);
  t.is(read.headers.get('allow'), 'POST');
});

test('admin: a unix socket is for its owner alone and goes when it is closed', async (t) => {
  const path = join(temporaryFolder(t), 'admin.sock');
  const running = await startAdmin({
    listen: { kind: 'unix', path },
    stats: () => ({ up: 1 }),
    segments,
    purge,
  });
  t.is(running.address, `unix:${path}`);
  t.is(statSync(path).mode & 0o777, 0o600);
  const [answer] = (await once(get({ socketPath: path, path: '/stats' }), 'response')) as [
    IncomingMessage,
  ];
  t.is(answer.statusCode, 200);
  answer.resume();
  await running.close();
  t.false(existsSync(path));
});

test('admin: a socket on which somebody answers is left alone', async (t) => {
  const path = join(temporaryFolder(t), 'admin.sock');
  await admin(t, { kind: 'unix', path });
  const error = await t.throwsAsync(admin(t, { kind: 'unix', path }), { instanceOf: ConfigError });
  t.is(error?.code, 'ERR_MILLRACE_LISTEN_FAILED');
  t.true(error?.message.includes(`unix:${path}: another process has it`));
  t.true(existsSync(path));
});

test('admin: a file in the place of the socket is left alone', async (t) => {
  const path = join(temporaryFolder(t), 'notes');
  writeFileSync(path, 'mine');
  const error = await t.throwsAsync(admin(t, { kind: 'unix', path }), { instanceOf: ConfigError });
  t.is(error?.code, 'ERR_MILLRACE_LISTEN_FAILED');
  t.is(readFileSync(path, 'utf8'), 'mine');
});

test('admin: an address that cannot be had is named with what to do', async (t) => {
  const path = join(temporaryFolder(t), 'none', 'admin.sock');
  const error = await t.throwsAsync(admin(t, { kind: 'unix', path }), { instanceOf: ConfigError });
  t.true(error?.message.includes('none does not exist; make it first'), error?.message);
});
