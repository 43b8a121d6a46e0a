// Expect: 100-continue and interim responses: what the origin says before its answer reaches the client that
// waits for it, and no other.

import test from 'ava';
import { openRaw, sendRaw } from '../support/client.js';
import { withProxy } from '../support/harness.js';
import { always, type Script } from '../support/scripted-origin.js';
import { until } from '../support/until.js';

const host = 'Host: site.test\r\n';
const close = 'Connection: close\r\n';
const expecting = (fields: string) =>
  `POST /a HTTP/1.1\r\n${host}${close}${fields}Expect: 100-continue\r\n\r\n`;

test("interim: the origin's 100 calls for the client's body", async (t) => {
  const origin: Script = async (request, reply) => {
    await reply.raw('HTTP/1.1 100 Continue\r\n\r\n');
    const body = await request.body;
    await reply.send({ body: `took ${body}` });
  };
  for (const [framing, body] of [
    ['Content-Length: 5\r\n', 'order'],
    ['Transfer-Encoding: chunked\r\n', '5\r\norder\r\n0\r\n\r\n'],
  ] as const) {
    await withProxy(t, { origin }, async (scene) => {
      const client = await openRaw(scene.address);
      client.write(expecting(framing));
      await until('a 100', () => client.text !== '');
      t.is(client.text, 'HTTP/1.1 100 Continue\r\n\r\n');
      t.is(scene.origin.requests[0]!.field('expect'), '100-continue');
      client.write(body);
      t.regex(await client.ended(), /HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\ntook order$/);
    });
  }
});

test('interim: an origin that refuses by the head alone never gets the body', async (t) => {
  const origin: Script = async (_request, reply) => {
    await reply.send({ status: 413, reason: 'Content Too Large', body: 'too large' });
    reply.close();
  };
  await withProxy(t, { origin }, async (scene) => {
    const answer = await sendRaw(
      scene.address,
      `POST /a HTTP/1.1\r\n${host}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n`,
    );
    t.regex(answer, /^HTTP\/1\.1 413 Content Too Large\r\n/, 'and no 100 before it');
    t.regex(answer, /\r\nConnection: close\r\n/);
    t.regex(answer, /too large$/);
  });
});

test('interim: a client that does not wait for its 100 is served as well', async (t) => {
  const origin: Script = async (request, reply) => {
    const body = await request.body;
    await reply.send({ body: `took ${body}` });
  };
  await withProxy(t, { origin }, async (scene) => {
    const answer = await sendRaw(scene.address, `${expecting('Content-Length: 5\r\n')}order`);
    t.regex(answer, /took order$/);
  });
});

test('interim: an unreachable origin answers an expecting client with 502', async (t) => {
  await withProxy(t, { origin: always({}) }, async (scene) => {
    await scene.origin.stop();
    const answer = await sendRaw(scene.address, expecting('Content-Length: 5\r\n'));
    t.regex(answer, /^HTTP\/1\.1 502 /);
    t.regex(answer, /Proxy-Status: millrace; error=connection_refused\r\n/);
  });
});

test('interim: another expectation is refused with 417', async (t) => {
  await withProxy(t, { origin: always({}) }, async (scene) => {
    const text = `POST /a HTTP/1.1\r\n${host}${close}Expect: cake\r\nContent-Length: 1\r\n\r\nx`;
    t.regex(await sendRaw(scene.address, text), /^HTTP\/1\.1 417 /);
    t.is(scene.origin.requests.length, 0);
  });
});

const hints =
  'HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\nSet-Cookie: a=1\r\n\r\n';
const early: Script = async (_request, reply) => {
  await reply.raw(`HTTP/1.1 102 Processing\r\n\r\n${hints}`);
  await reply.send({ fields: ['Cache-Control', 'max-age=60'], body: 'final' });
};

test('interim: 102 and 103 go on at once, and are not stored', async (t) => {
  let answer: () => void = () => {};
  const origin: Script = async (_request, reply) => {
    await reply.raw(`HTTP/1.1 102 Processing\r\n\r\n${hints}`);
    await new Promise<void>((resolve) => {
      answer = resolve;
    });
    await reply.send({ fields: ['Cache-Control', 'max-age=60'], body: 'final' });
  };
  await withProxy(t, { origin }, async (scene) => {
    const client = await openRaw(scene.address);
    client.write(`GET /a HTTP/1.1\r\n${host}${close}\r\n`);
    await until('the hints', () => client.text.includes('Early Hints'));
    t.regex(client.text, /^HTTP\/1\.1 102 Processing\r\n\r\nHTTP\/1\.1 103 Early Hints\r\n/);
    t.regex(client.text, /\r\nLink: <\/style\.css>; rel=preload\r\n/);
    t.notRegex(client.text, /set-cookie/i);
    answer();
    t.regex(await client.ended(), /\r\n\r\nHTTP\/1\.1 200 OK\r\n[\s\S]*final$/);
    await scene.settled();
    const hit = await sendRaw(scene.address, `GET /a HTTP/1.1\r\n${host}${close}\r\n`);
    t.regex(hit, /^HTTP\/1\.1 200 OK\r\n[\s\S]*X-Cache: HIT/);
    t.notRegex(hit, /link/i);
  });
});

test('interim: an HTTP/1.0 client gets the final response alone', async (t) => {
  await withProxy(t, { origin: early }, async (scene) => {
    const answer = await sendRaw(scene.address, `GET /a HTTP/1.0\r\n${host}\r\n`);
    t.regex(answer, /^HTTP\/1\.1 200 OK\r\n/);
    t.notRegex(answer, /HTTP\/1\.1 10/);
  });
});

test('interim: OPTIONS counts its hops down and is answered where they end', async (t) => {
  await withProxy(t, { origin: always({ body: 'x' }) }, async (scene) => {
    const ask = (hops: string, target = '/a') =>
      scene.send(target, { method: 'OPTIONS', fields: ['Max-Forwards', hops] });
    await ask('3');
    t.is(scene.origin.requests[0]!.field('max-forwards'), '2');
    for (const got of [await ask('0'), await ask('7', '*')]) {
      t.is(got.status, 200);
      t.regex(got.field('allow')!, /GET/);
      t.is(got.body.length, 0);
    }
    t.is(scene.origin.requests.length, 1);
    await scene.get('/b', ['Max-Forwards', '3']);
    t.is(scene.origin.requests[1]!.field('max-forwards'), '3', 'of no meaning to GET');
  });
});
