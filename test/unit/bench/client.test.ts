// The client of the benchmark against a server made up here: what it takes when it reads slowly, and that
// it tells what is wrong with an answer.

import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { sliceOf } from '../../../bench/support/pattern.js';
import {
  type RawRequest,
  type RawResult,
  receiveBytes,
  requestRaw,
} from '../../../bench/support/raw-request.js';
import { systemClock } from '../../../ts/clock.js';

async function ask(
  t: ExecutionContext,
  listener: RequestListener,
  how: Partial<RawRequest> = {},
): Promise<RawResult> {
  const server = createServer(listener);
  server.listen({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const request = { port, path: '/size/1?n=1', verify: true, firstByteOnly: false, ...how };
  return requestRaw(request, Buffer.allocUnsafe(receiveBytes), systemClock);
}

test('client: a slow reader takes a part of a body and leaves the rest', async (t) => {
  const whole = 64 * 2 ** 20;
  let sent = 0;
  const { bytes, error } = await ask(
    t,
    (_, response) => {
      response.writeHead(200, { 'content-length': whole });
      const more = (): void => {
        while (sent < whole && !response.destroyed) {
          sent += 65_536;
          if (!response.write(Buffer.alloc(65_536))) return;
        }
      };
      response.on('drain', more);
      more();
    },
    { verify: false, slowly: { bytesPerSecond: 2 ** 20, forMs: 200 } },
  );
  t.is(error, '');
  t.true(bytes > 0);
  t.true(bytes < whole / 8, `${bytes} bytes`);
  t.true(sent < whole, 'the server had to wait');
});

test('client: a wrong byte, a wrong length and a missing length are told', async (t) => {
  const body = Buffer.from(sliceOf('/size/1?n=1', 0, 1000));
  const answer =
    (bytes: Buffer, length: number | null): RequestListener =>
    (_, response) => {
      if (length !== null) response.setHeader('content-length', length);
      response.write(bytes);
      if (length === null) response.end();
      else setImmediate(() => response.destroy());
    };
  t.is((await ask(t, answer(body, 1000))).error, '');
  t.is((await ask(t, answer(body, 2000))).error, 'the connection ended early');
  t.is((await ask(t, answer(body, null))).error, 'status 200 without Content-Length');
  body[999] = (body[999] ?? 0) ^ 1;
  t.is((await ask(t, answer(body, 1000))).error, 'wrong bytes');
});
