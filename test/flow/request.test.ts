// Requests that a proxy must not pass on: smuggling spellings, odd targets, foreign protocols. Each is
// refused before the origin hears of it, on a connection that ends, and the proxy goes on.

import test from 'ava';
import { openRaw, sendRaw } from '../support/client.js';
import { withProxy } from '../support/harness.js';
import { resetSocket } from '../support/reset.js';
import { always, type Script } from '../support/scripted-origin.js';

const good = always({ fields: ['Cache-Control', 'max-age=600'], body: 'good' });
const host = 'Host: site.test\r\n';
const close = 'Connection: close\r\n';

const refused: ReadonlyArray<readonly [string, string]> = [
  [
    'both framings',
    `POST /a HTTP/1.1\r\n${host}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  [
    'both framings, the other way round',
    `POST /a HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`,
  ],
  ['two lengths', `POST /a HTTP/1.1\r\n${host}Content-Length: 1\r\nContent-Length: 2\r\n\r\nxy`],
  ['a list of lengths', `POST /a HTTP/1.1\r\n${host}Content-Length: 1, 1\r\n\r\nx`],
  ['a length with a sign', `POST /a HTTP/1.1\r\n${host}Content-Length: +1\r\n\r\nx`],
  ['a length in hex', `POST /a HTTP/1.1\r\n${host}Content-Length: 0x1\r\n\r\nx`],
  ['an empty length', `POST /a HTTP/1.1\r\n${host}${close}Content-Length: \r\n\r\n`],
  [
    'a coding that is not last',
    `POST /a HTTP/1.1\r\n${host}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
  ],
  [
    'two codings on two lines',
    `POST /a HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n`,
  ],
  [
    'a coding behind a vertical tab',
    `POST /a HTTP/1.1\r\n${host}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n`,
  ],
  ['two Hosts', `GET /a HTTP/1.1\r\n${host}Host: other.test\r\n${close}\r\n`],
  ['twice the same Host', `GET /a HTTP/1.1\r\n${host}${host}${close}\r\n`],
  ['no Host', `GET /a HTTP/1.1\r\n${close}\r\n`],
  ['an empty Host', `GET /a HTTP/1.1\r\nHost: \r\n${close}\r\n`],
  ['a Host with a path', `GET /a HTTP/1.1\r\nHost: site.test/evil\r\n${close}\r\n`],
  ['a Host with a user', `GET /a HTTP/1.1\r\nHost: user@site.test\r\n${close}\r\n`],
  ['a Host with a space', `GET /a HTTP/1.1\r\nHost: site.test evil\r\n${close}\r\n`],
  ['a space before the colon', `GET /a HTTP/1.1\r\n${host}X-A : 1\r\n${close}\r\n`],
  ['a folded field', `GET /a HTTP/1.1\r\n${host}X-A: 1\r\n 2\r\n${close}\r\n`],
  ['a field without a name', `GET /a HTTP/1.1\r\n${host}: 1\r\n${close}\r\n`],
  ['a line without a colon', `GET /a HTTP/1.1\r\n${host}nothing\r\n${close}\r\n`],
  ['a NUL in a field', `GET /a HTTP/1.1\r\n${host}X-A: \x00\r\n${close}\r\n`],
  ['a bare CR in a field', `GET /a HTTP/1.1\r\n${host}X-A: 1\rX-B: 2\r\n${close}\r\n`],
  ['a bare LF behind a field', `GET /a HTTP/1.1\r\n${host}X-A: 1\nX-B: 2\r\n${close}\r\n`],
  ['a bare LF behind the request line', `GET /a HTTP/1.1\n${host}${close}\r\n`],
  ['a space in the target', `GET /a b HTTP/1.1\r\n${host}${close}\r\n`],
  ['a control character in the target', `GET /a\x01b HTTP/1.1\r\n${host}${close}\r\n`],
  ['a fragment in the target', `GET /a#b HTTP/1.1\r\n${host}${close}\r\n`],
  ['a target that is no path', `GET a HTTP/1.1\r\n${host}${close}\r\n`],
  ['a target of another scheme', `GET ftp://site.test/a HTTP/1.1\r\n${host}${close}\r\n`],
  ['a URL with a user', `GET http://user@site.test/a HTTP/1.1\r\n${host}${close}\r\n`],
  ['a star for GET', `GET * HTTP/1.1\r\n${host}${close}\r\n`],
  ['another version', `GET /a HTTP/3.7\r\n${host}${close}\r\n`],
  ['another protocol', 'EHLO mail.test\r\n\r\n'],
  ['a TLS hello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n'],
];

for (const [what, text] of refused) {
  test(`request: ${what} is refused with 400 and not passed on`, async (t) => {
    await withProxy(t, { origin: good }, async (scene) => {
      const answer = await sendRaw(scene.address, text);
      t.regex(answer, /^HTTP\/1\.1 400 Bad Request\r\n/);
      t.regex(answer, /\r\nConnection: close\r\n/);
      t.is(answer.match(/HTTP\/1\.1/g)?.length, 1, 'one answer, and no second one for the rest');
      t.is(scene.origin.requests.length, 0);
      t.is((await scene.get('/good')).body.toString(), 'good');
    });
  });
}

const badChunks: ReadonlyArray<readonly [string, string]> = [
  ['a size that is no number', 'zz\r\nxx\r\n0\r\n\r\n'],
  ['a size with a sign', '+2\r\nxx\r\n0\r\n\r\n'],
  ['a size that is too large to count', 'fffffffffffffffffff\r\nxx\r\n0\r\n\r\n'],
  ['data longer than its size', '2\r\nxxxx\r\n0\r\n\r\n'],
  ['a bare LF behind the size', '2\nxx\r\n0\r\n\r\n'],
  ['a bare LF in an extension', '2;a\nb\r\nxx\r\n0\r\n\r\n'],
];
for (const [what, chunks] of badChunks) {
  test(`request: a chunk with ${what} never becomes a whole body at the origin`, async (t) => {
    let isWhole = false;
    const origin: Script = async (request, reply) => {
      if (request.method === 'GET') return good(request, reply);
      await request.body;
      isWhole = true;
      await reply.send({ body: 'taken' });
    };
    await withProxy(t, { origin }, async (scene) => {
      const smuggled = `GET /smuggled HTTP/1.1\r\n${host}${close}\r\n`;
      const start = `POST /a HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n`;
      const answer = await sendRaw(scene.address, `${start}${chunks}${smuggled}`);
      t.notRegex(answer, /^HTTP\/1\.1 2/);
      await scene.settled();
      t.false(isWhole);
      t.false(scene.origin.requests.some(({ target }) => target === '/smuggled'));
      t.is((await scene.get('/good')).body.toString(), 'good');
    });
  });
}

test('request: a head that is too large is refused with 431', async (t) => {
  await withProxy(t, { origin: good }, async (scene) => {
    const large = `X-Large: ${'l'.repeat(40_000)}\r\n`;
    const answer = await sendRaw(scene.address, `GET /a HTTP/1.1\r\n${host}${large}\r\n`);
    t.regex(answer, /^HTTP\/1\.1 431 /);
    t.is(scene.origin.requests.length, 0);
    t.is((await scene.get('/good')).body.toString(), 'good');
  });
});

test('request: CONNECT is refused', async (t) => {
  await withProxy(t, { origin: good }, async (scene) => {
    const text = `CONNECT other.test:443 HTTP/1.1\r\nHost: other.test:443\r\n\r\n`;
    t.regex(await sendRaw(scene.address, text), /^HTTP\/1\.1 405 /);
    t.is(scene.origin.requests.length, 0);
    t.is((await scene.get('/good')).body.toString(), 'good');
  });
});

test('request: an absolute target beats Host, for the key and for what the origin hears', async (t) => {
  const origin: Script = (request, reply) =>
    reply.send({
      fields: ['Cache-Control', 'max-age=600'],
      body: `${request.field('x-forwarded-host')}${request.target}`,
    });
  await withProxy(t, { origin }, async (scene) => {
    const ask = (target: string, name: string) =>
      sendRaw(scene.address, `GET ${target} HTTP/1.1\r\nHost: ${name}\r\n${close}\r\n`);
    const first = await ask('http://one.test/a?q', 'two.test');
    t.regex(first, /\r\n\r\none\.test\/a\?q$/);
    await scene.settled();
    const same = await ask('/a?q', 'one.test');
    t.regex(same, /X-Cache: HIT\r\n/);
    t.regex(same, /\r\n\r\none\.test\/a\?q$/);
    t.regex(await ask('/a?q', 'two.test'), /\r\n\r\ntwo\.test\/a\?q$/);
    t.is(scene.origin.requests.length, 2);
  });
});

test('request: what no route matches is a 404 of our own', async (t) => {
  const config = (address: string) => ({
    upstream_address: undefined,
    upstreams: { only: { origins: [`http://${address}`] } },
    routes: [{ match: { host: 'site.test', path: '/in/' }, upstream: 'only' }],
  });
  await withProxy(t, { origin: good, config }, async (scene) => {
    const outside = await scene.get('/out');
    t.is(outside.status, 404);
    t.true(outside.body.toString().includes('ERR_MILLRACE_CLIENT_NO_ROUTE'));
    t.is((await scene.get('/in/a', ['Host', 'other.test'])).status, 404);
    t.is(scene.origin.requests.length, 0);
    t.is((await scene.get('/in/a')).body.toString(), 'good');
  });
});

test('request: two requests in one packet get two answers, in order', async (t) => {
  const origin: Script = (request, reply) =>
    reply.send({ fields: ['Cache-Control', 'max-age=600'], body: request.target });
  await withProxy(t, { origin }, async (scene) => {
    const first = `GET /one HTTP/1.1\r\n${host}\r\n`;
    const answer = await sendRaw(scene.address, `${first}GET /two HTTP/1.1\r\n${host}${close}\r\n`);
    t.regex(answer, /\r\n\r\n\/oneHTTP\/1\.1 200 [\s\S]*\r\n\r\n\/two$/);
  });
});

test('request: an HTTP/1.0 client gets a body of unknown length until the close', async (t) => {
  const origin: Script = async (_request, reply) => {
    await reply.head(200, ['Cache-Control', 'max-age=600', 'Transfer-Encoding', 'chunked']);
    await reply.chunk('in ');
    await reply.chunk('pieces');
    await reply.lastChunk();
  };
  await withProxy(t, { origin }, async (scene) => {
    const answer = await sendRaw(scene.address, 'GET /a HTTP/1.0\r\nHost: site.test\r\n\r\n');
    t.notRegex(answer, /transfer-encoding/i);
    t.regex(answer, /\r\n\r\nin pieces$/);
  });
});

test('request: a client that leaves before it has asked disturbs nobody', async (t) => {
  await withProxy(t, { origin: good }, async (scene) => {
    for (const text of ['', 'GET', `GET /a HTTP/1.1\r\n${host}`]) {
      const client = await openRaw(scene.address);
      client.write(text);
      resetSocket(client.socket);
      await client.ended();
    }
    t.is((await scene.get('/good')).body.toString(), 'good');
    t.is(scene.origin.requests.length, 1);
  });
});
