// The language that scenarios are written in: what it lets pass and what it does not. A language that finds
// nothing wrong would make every scenario worthless.

import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { createServer } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { ScenarioClient } from './language/client.js';
import type { Expected } from './language/expect.js';
import { answer, bytes, head, playScenario, type Stage } from './language/scenario.js';
import { Transcript, visible } from './language/transcript.js';

async function failureOf(t: ExecutionContext, run: (stage: Stage) => Promise<void>) {
  const error = await t.throwsAsync(playScenario(t, {}, run));
  return error?.message ?? '';
}

test.serial('scenario: what does not hold is told with the bytes of both sides', async (t) => {
  const message = await failureOf(t, async ({ origin, client, clock }) => {
    origin.plays(answer('X-Odd: \xe9', 'one'));
    await client.get('/a', 'X-Sent: 1');
    clock.advance(7);
    origin.plays(answer('X-Second: 2', 'two'));
    await client.get('/a').gives({ body: 'one' });
  });
  t.regex(message, /^GET \/a: the body should be one \(3 bytes\), was two \(3 bytes\)\n/);
  for (const line of [
    'client > | X-Sent: 1',
    'origin < | GET /a',
    'origin > | X-Odd: <e9>',
    'client < | X-Odd: <e9>',
    'scene    | 7 s pass',
    'origin > | X-Second: 2',
  ]) {
    t.true(message.includes(line), line);
  }
});

test.serial('scenario: a request too many and a play too many are failures', async (t) => {
  const many = await failureOf(t, async ({ client }) => {
    await client.get('/a').gives({ status: 599 });
  });
  t.regex(many, /^the origin was asked a time too many: GET \/a\n/);
  const few = await failureOf(t, async ({ origin, client }) => {
    origin.plays(answer('', 'one'), answer('', 'two'));
    await client.get('/a').gives({ body: 'one' });
  });
  t.regex(few, /^1 plays of the origin are left: it was asked 1 times\n/);
});

test.serial('scenario: a pair that is reused is not one that is not, and back', async (t) => {
  const fresh = 'Cache-Control: max-age=60';
  t.regex(await failureOf(t, (s) => s.isNotReused(fresh)), /should not be reused/);
  t.regex(await failureOf(t, (s) => s.isReused('X-A: 1')), /should be reused/);
});

test.serial('scenario: each expectation can fail', async (t) => {
  const wrong: readonly Expected[] = [
    { status: 404 },
    { reason: 'Fine' },
    { body: 'two' },
    { body: /^x/ },
    { cache: 'HIT' },
    { age: 1 },
    { age: null },
    { age: [4, 5] },
    { fields: { 'X-A': '2' } },
    { fields: { 'X-A': null } },
    { fields: { 'X-A': /b/ } },
    { fields: { 'X-A': ['1', '1'] } },
    { fields: { 'X-B': '1' } },
    { isCut: true },
    { interim: [100] },
    { trailers: { 'X-T': '1' } },
  ];
  await playScenario(t, {}, async ({ origin, client }) => {
    origin.always(answer(['X-A: 1', 'Age: 3'], 'one'));
    const right = { status: 200, reason: 'OK', body: /^one$/, age: 3, fields: { 'X-A': '1' } };
    await client.get('/a').gives({ ...right, cache: 'MISS', interim: [], isCut: false });
    for (const expected of wrong) await t.throwsAsync(client.get('/a').gives(expected));
    await t.throwsAsync(origin.got(1, { method: 'HEAD' }));
    await t.throwsAsync(origin.got(1, { target: '/b' }));
    await t.throwsAsync(origin.got(1, { fields: { Via: null } }));
    await t.throwsAsync(origin.got(1, { body: 'x' }));
    await t.throwsAsync(origin.got(99, {}));
    t.throws(() => origin.wasAsked(0));
  });
});

test.serial(
  'scenario: a body that ends early is cut, and one that does not is whole',
  async (t) => {
    await playScenario(t, {}, async ({ origin, client }) => {
      t.plan(1);
      const half = `${head('Content-Length: 10')}half`;
      origin.plays(bytes(half, 'close'), bytes(`${head('')}to the end`, 'close'));
      await client.get('/a').gives({ body: 'half', isCut: true });
      await client.get('/b').gives({ body: 'to the end' });
      origin.plays(bytes(half, 'close'));
      await t.throwsAsync(client.get('/a').gives({ body: 'half' }));
    });
  },
);

/** What the reader says of a server that sends these bytes and closes. */
async function readingOf(t: ExecutionContext, text: string): Promise<string> {
  const server = createServer((socket) => socket.end(Buffer.from(text, 'latin1')));
  t.teardown(() => server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as { port: number };
  const client = new ScenarioClient({
    transcript: new Transcript(),
    address: () => `http://127.0.0.1:${port}`,
    settled: async () => {},
  });
  return client.get('/').then(
    () => 'taken',
    (error: Error) => error.message,
  );
}

test('scenario: a response that is not canonical fails whatever is expected', async (t) => {
  const start = 'HTTP/1.1 200 OK\r\n';
  const lengths = 'Content-Length: 1\r\n';
  t.is(await readingOf(t, `${start}X-A: \xe9 b\r\n${lengths}\r\nx`), 'taken');
  for (const text of [
    '',
    'HTTP/1.0 200 OK\r\n\r\n',
    'HTTP/1.1 2000 OK\r\n\r\n',
    `${start}${lengths}${lengths}\r\nx`,
    `${start}${lengths}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    `${start}Transfer-Encoding: gzip\r\n\r\n`,
    `${start}Transfer-Encoding: chunked\r\n\r\n+1\r\nx\r\n0\r\n\r\n`,
    `${start}Transfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n0\r\n\r\n`,
    `${start}Content-Length: +1\r\n\r\nx`,
    `${start}X-A : 1\r\n\r\n`,
    `${start}: 1\r\n\r\n`,
    `${start}X-A: 1\n\r\n\r\n`,
    `${start}X-A: a\rb\r\n\r\n`,
    `${start}X-A: 1\r\n 2\r\n\r\n`,
    `${start}X-A: 1 \r\n\r\n`,
  ]) {
    t.regex(await readingOf(t, text), /^the proxy /, visible(text));
  }
});
