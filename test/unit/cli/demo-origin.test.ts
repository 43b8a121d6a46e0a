// The demo's origin and client over real sockets, and the rate over a clock that the test steps: what
// the demo is measured against has to be right itself.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { download } from '../../../ts/cli/demo/download.js';
import { startOrigin } from '../../../ts/cli/demo/origin.js';
import { makeThrottle } from '../../../ts/cli/demo/throttle.js';
import { systemClock } from '../../../ts/clock.js';
import { temporaryFolder } from '../../support/command.js';

const never = new AbortController().signal;
const options = { clock: systemClock, signal: never };
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

async function originOf(t: ExecutionContext, body: Buffer) {
  const path = join(temporaryFolder(t), 'file');
  writeFileSync(path, body);
  let taken = 0;
  const origin = await startOrigin({
    files: { '/file': path },
    throttle: {
      take: async (bytes) => {
        taken += bytes;
      },
    },
  });
  t.teardown(() => origin.close());
  return { origin, url: `http://127.0.0.1:${origin.port}/file`, taken: () => taken };
}

test('origin: serves a file whole, through its rate, and counts the request', async (t) => {
  const body = Buffer.alloc(300_000, 'millrace ');
  const { origin, url, taken } = await originOf(t, body);
  const found = await download(url, options);
  t.is(found.status, 200);
  t.is(found.bytes, body.length);
  t.is(found.sha256, sha256(body));
  t.true(found.ttfbMs <= found.totalMs);
  t.is(taken(), body.length);
  t.deepEqual(origin.counts(), { '/file': 1 });
});

test('origin: has what a cache needs, and answers a condition', async (t) => {
  const { url } = await originOf(t, Buffer.from('abc'));
  const whole = await fetch(url);
  t.is(await whole.text(), 'abc');
  t.is(whole.headers.get('cache-control'), 'max-age=3600');
  t.is(whole.headers.get('content-length'), '3');
  t.truthy(whole.headers.get('last-modified'));
  const etag = whole.headers.get('etag') ?? '';
  const again = await fetch(url, { headers: { 'if-none-match': etag } });
  t.is(again.status, 304);
  const head = await fetch(url, { method: 'HEAD' });
  t.is(head.headers.get('content-length'), '3');
  t.is((await fetch(`${url}-not`)).status, 404);
});

test('origin: serves single ranges', async (t) => {
  const { url } = await originOf(t, Buffer.from('0123456789'));
  const range = async (value: string) => {
    const answer = await fetch(url, { headers: { range: value } });
    return [answer.status, answer.headers.get('content-range'), await answer.text()];
  };
  t.deepEqual(await range('bytes=2-4'), [206, 'bytes 2-4/10', '234']);
  t.deepEqual(await range('bytes=8-'), [206, 'bytes 8-9/10', '89']);
  t.deepEqual(await range('bytes=8-99'), [206, 'bytes 8-9/10', '89']);
  t.deepEqual(await range('bytes=-3'), [206, 'bytes 7-9/10', '789']);
  t.deepEqual(await range('bytes=-99'), [206, 'bytes 0-9/10', '0123456789']);
  t.deepEqual(await range('bytes=10-'), [416, 'bytes */10', '']);
  t.deepEqual(await range('bytes=1-2,4-5'), [200, null, '0123456789']);
  const part = await download(url, { ...options, range: { first: 1, last: 3 } });
  t.is(part.sha256, sha256(Buffer.from('123')));
});

test('download: a body that breaks off rejects', async (t) => {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-length': 100 });
    response.write('half', () => response.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  await t.throwsAsync(download(`http://127.0.0.1:${port}/`, options));
});

test('throttle: the mean rate is the one asked for, however late the timers are', async (t) => {
  let now = 0;
  const clock = { now: () => now, monotonic: () => now };
  const throttle = makeThrottle(1_000_000, clock, async (durationMs) => {
    // Timers wake a millisecond late, as real ones do.
    now += Math.ceil(durationMs) + 1;
  });
  for (let sent = 0; sent < 10_000_000; sent += 1000) await throttle.take(1000);
  t.true(now > 9_900 && now < 10_100, `${now} ms for ten seconds of bytes`);
});

test('throttle: time that nobody used is not made up for', async (t) => {
  let now = 0;
  const clock = { now: () => now, monotonic: () => now };
  const throttle = makeThrottle(1_000_000, clock, async (durationMs) => {
    now += durationMs;
  });
  await throttle.take(1000);
  now = 60_000;
  for (let sent = 0; sent < 1_000_000; sent += 1000) await throttle.take(1000);
  t.true(now >= 60_980, `${now - 60_000} ms for a second of bytes`);
});
