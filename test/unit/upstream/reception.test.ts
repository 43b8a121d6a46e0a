// Bodies and heads that arrive in awkward pieces, over one read buffer that all connections share: nothing
// that is used after the read may be overwritten by the next one.

import { Buffer } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../../../ts/clock.js';
import { type Origin, openOrigin } from '../../../ts/upstream/pool.js';
import { sendRequest, type UpstreamResponse } from '../../../ts/upstream/request.js';
import { bodyBytes } from '../../support/bytes.js';
import { makeCertificates } from '../../support/certificates.js';
import { type Script, startOrigin } from '../../support/scripted-origin.js';

const mib = 2 ** 20;
const limits = {
  connectTimeoutMs: 20_000,
  headTimeoutMs: 20_000,
  idleTimeoutMs: 20_000,
  connections: 256,
};

async function originOf(t: ExecutionContext, script: Script): Promise<Origin> {
  const { address } = await startOrigin(t, script);
  return opened(t, openOrigin(new URL(`http://${address}`), limits));
}

/** Null where there is no openssl. */
async function secureOriginOf(t: ExecutionContext, script: Script): Promise<Origin | null> {
  const made = makeCertificates(t);
  if (made === null) return null;
  const { address } = await startOrigin(t, script, { tls: made.server });
  const secureContext = createSecureContext({ ca: readFileSync(made.ca) });
  const tls = { secureContext, rejectUnauthorized: true, serverName: 'origin.test' };
  return opened(t, openOrigin(new URL(`https://${address}`), { ...limits, tls }));
}

function opened(t: ExecutionContext, origin: Origin): Origin {
  t.teardown(() => origin.close());
  return origin;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

interface Got {
  readonly response: UpstreamResponse;
  readonly body: Buffer;
  readonly error: string;
}

/** `paced`: pauses after each chunk. `early`: reads from within the report of the head. */
async function get(
  origin: Origin,
  target: string,
  { paced, early }: { paced: boolean; early: boolean },
): Promise<Got> {
  const chunks: Buffer[] = [];
  let end: (error: string) => void = () => {};
  const ended = new Promise<string>((resolve) => {
    end = resolve;
  });
  const read = ({ body }: UpstreamResponse): void =>
    body.read({
      onData: (chunk) => {
        chunks.push(Buffer.from(chunk));
        if (paced) void nextTurn().then(() => body.resume());
        return !paced;
      },
      onEnd: () => end(''),
      onError: (error) => end(error.code),
    });
  const request = { method: 'GET', target, fields: ['Host', 'o.example'], body: null };
  const response = await sendRequest(origin, request, systemClock, early ? read : undefined);
  if (!early) read(response);
  const error = await ended;
  return { response, body: Buffer.concat(chunks), error };
}

const manners = [
  { paced: false, early: true },
  { paced: true, early: true },
  { paced: false, early: false },
  { paced: true, early: false },
];

test('reception: a head that comes byte by byte is read as it was sent', async (t) => {
  const names = Array.from({ length: 20 }, (_, at) => [`X-Name-${at}`, `value ${at}`.repeat(20)]);
  const fields = [...names.flat(), 'Content-Length', '4'];
  const lines = names.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const origin = await originOf(t, async (_request, reply) => {
    const head = Buffer.from(`HTTP/1.1 200 OK\r\n${lines}Content-Length: 4\r\n\r\nbody`);
    for (let at = 0; at < head.length; at += 97) {
      await reply.raw(head.subarray(at, at + 97));
      await nextTurn();
    }
  });
  const both = [get(origin, '/a', manners[0]!), get(origin, '/b', manners[0]!)];
  for (const { response, body } of await Promise.all(both)) {
    t.deepEqual(response.fields, fields);
    t.is(body.toString(), 'body');
  }
});

for (const manner of manners) {
  const pace = manner.paced ? 'chunk by chunk' : 'at once';
  const words = `${pace}, ${manner.early ? 'from the head on' : 'later'}`;

  test(`reception: bodies of many connections do not mix (${words})`, async (t) => {
    const bodyOf = (target: string): Buffer => bodyBytes(3 * mib, Number(target.slice(1)));
    const origin = await originOf(t, (request, reply) =>
      reply.send({ body: bodyOf(request.target) }),
    );
    const targets = Array.from({ length: 6 }, (_, at) => `/${at + 1}`);
    const all = await Promise.all(targets.map((target) => get(origin, target, manner)));
    for (const [at, { body, error }] of all.entries()) {
      t.is(error, '');
      t.true(body.equals(bodyOf(targets[at]!)));
    }
  });

  test(`reception: a chunked body with fields behind it is whole (${words})`, async (t) => {
    const sent = bodyBytes(700_000);
    const origin = await originOf(t, async (_request, reply) => {
      await reply.head(200, ['Transfer-Encoding', 'chunked']);
      for (let at = 0; at < sent.length; at += 70_000) {
        await reply.chunk(sent.subarray(at, at + 70_000));
      }
      await reply.raw('0\r\nX-After: on');
      await nextTurn();
      await reply.raw('e\r\nX-Other: 1\r\n\r\n');
    });
    for (const target of ['/a', '/b']) {
      const { body, error } = await get(origin, target, manner);
      t.is(error, '');
      t.true(body.equals(sent));
    }
  });

  test(`reception: a reset right behind the bytes is no end of a body (${words})`, async (t) => {
    const sent = bodyBytes(20_000);
    const origin = await originOf(t, async (_request, reply) => {
      await reply.head(200, ['Connection', 'close']);
      await reply.raw(sent);
      reply.reset();
    });
    const got = await get(origin, '/a', manner).catch(() => null);
    // A reset may overtake even the head.
    t.is(got?.error ?? 'ERR_MILLRACE_UPSTREAM_TRUNCATED', 'ERR_MILLRACE_UPSTREAM_TRUNCATED');
  });
}

test('reception: over TLS bodies do not mix either, fields behind them or not', async (t) => {
  const bodyOf = (target: string): Buffer => bodyBytes(mib, Number(target.slice(1)));
  const origin = await secureOriginOf(t, async ({ target }, reply) => {
    if (Number(target.slice(1)) % 2 === 0) return reply.send({ body: bodyOf(target) });
    await reply.head(200, ['Transfer-Encoding', 'chunked']);
    const body = bodyOf(target);
    for (let at = 0; at < body.length; at += 70_000) {
      await reply.chunk(body.subarray(at, at + 70_000));
    }
    await reply.raw('0\r\nContent-Length: 5\r\n\r\n');
  });
  if (origin === null) return;
  const asked = manners.flatMap((manner, at) => [
    { manner, target: `/${2 * at}` },
    { manner, target: `/${2 * at + 1}` },
  ]);
  for (let round = 0; round < 2; round += 1) {
    const all = await Promise.all(asked.map(({ manner, target }) => get(origin, target, manner)));
    for (const [at, { body, error }] of all.entries()) {
      t.is(error, '');
      t.true(body.equals(bodyOf(asked[at]!.target)));
    }
  }
});

test('reception: over TLS a 100 that nobody asked for is passed over', async (t) => {
  const origin = await secureOriginOf(t, async (_request, reply) => {
    await reply.raw('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none');
  });
  if (origin === null) return;
  for (const manner of manners) {
    const { body, error } = await get(origin, '/a', manner);
    t.is(error, '');
    t.is(body.toString(), 'one');
  }
});

test('reception: over TLS a malformed head is refused like any other', async (t) => {
  const heads = [
    'HTTP/1.1 200 OK\nContent-Length: 3\n\none',
    'HTTP/1.1 200 OK\r\nX-A: 1\nContent-Length: 3\r\n\r\none',
    'HTTP/1.1 200 O\0K\r\nContent-Length: 3\r\n\r\none',
    'HTTP/2.0 200 OK\r\nContent-Length: 3\r\n\r\none',
    'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n',
  ];
  const origin = await secureOriginOf(t, ({ target }, reply) =>
    reply.raw(heads[Number(target.slice(1))]!),
  );
  if (origin === null) return;
  for (const at of heads.keys()) {
    await t.throwsAsync(get(origin, `/${at}`, manners[0]!), {
      code: 'ERR_MILLRACE_UPSTREAM_PROTOCOL',
    });
  }
});

test('reception: a connection with much to give takes its turn like every other', async (t) => {
  const sent = bodyBytes(16 * mib);
  const origin = await originOf(t, (_request, reply) => reply.send({ body: sent }));
  let bytesInTurn = 0;
  let most = 0;
  let isOver = false;
  const everyTurn = (): void => {
    bytesInTurn = 0;
    if (!isOver) setImmediate(everyTurn);
  };
  everyTurn();
  const request = { method: 'GET', target: '/a', fields: ['Host', 'o.example'], body: null };
  const length = await new Promise<number>((resolve, reject) => {
    let total = 0;
    sendRequest(origin, request, systemClock, ({ body }) =>
      body.read({
        onData: (chunk) => {
          total += chunk.length;
          bytesInTurn += chunk.length;
          most = Math.max(most, bytesInTurn);
          return true;
        },
        onEnd: () => resolve(total),
        onError: reject,
      }),
    ).catch(reject);
  });
  isOver = true;
  t.is(length, sent.length);
  t.true(most <= mib / 2, `${most} bytes in one turn of the loop`);
});
