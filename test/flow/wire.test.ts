// What the parsers of Node and undici let through and the proxy must not: framing that two readers would
// take differently, heads without measure, in both directions. What the parsers refuse themselves is
// tried in request.test.ts and failure.test.ts.

import test from 'ava';
import { sendRaw } from '../support/client.js';
import { withProxy } from '../support/harness.js';
import { always, type Script } from '../support/scripted-origin.js';

const good = always({ fields: ['Cache-Control', 'max-age=600'], body: 'good' });
const host = 'Host: site.test\r\n';
const close = 'Connection: close\r\n';
const chunked = '1\r\nx\r\n0\r\n\r\n';

const refused: ReadonlyArray<readonly [string, number, string]> = [
  [
    'a chunked body in HTTP/1.0',
    400,
    `POST /a HTTP/1.0\r\n${host}Transfer-Encoding: chunked\r\n\r\n${chunked}`,
  ],
  [
    'a second transfer coding',
    501,
    `POST /a HTTP/1.1\r\n${host}Transfer-Encoding: gzip, chunked\r\n\r\n${chunked}`,
  ],
  [
    'a second transfer coding on a line of its own',
    501,
    `POST /a HTTP/1.1\r\n${host}Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n${chunked}`,
  ],
  ['an empty transfer coding', 501, `POST /a HTTP/1.1\r\n${host}Transfer-Encoding: \r\n\r\n`],
  ['an unknown coding', 501, `POST /a HTTP/1.1\r\n${host}Transfer-Encoding: xchunked\r\n\r\n`],
  [
    'an empty member before the coding',
    501,
    `POST /a HTTP/1.1\r\n${host}Transfer-Encoding: ,chunked\r\n\r\n${chunked}`,
  ],
  ['HTTP/2 in words', 400, `GET /a HTTP/2.0\r\n${host}${close}\r\n`],
  ['HTTP/0.9', 400, 'GET /a\r\n\r\n'],
  [
    'more fields than are read',
    431,
    `POST /a HTTP/1.1\r\n${host}${'A: b\r\n'.repeat(300)}Content-Length: 1\r\n\r\nx`,
  ],
  ['an unknown method', 501, `BREW /a HTTP/1.1\r\n${host}${close}\r\n`],
  ['TRACE', 405, `TRACE /a HTTP/1.1\r\n${host}${close}\r\n`],
];
for (const [what, status, text] of refused) {
  test(`wire: ${what} is refused with ${status} and not passed on`, async (t) => {
    await withProxy(t, { origin: good }, async (scene) => {
      const smuggled = `GET /smuggled HTTP/1.1\r\n${host}${close}\r\n`;
      const answer = await sendRaw(scene.address, status === 405 ? text : text + smuggled);
      t.true(answer.startsWith(`HTTP/1.1 ${status} `), answer);
      if (status !== 405) {
        t.regex(answer, /\r\nProxy-Status: millrace; error=http_request_error\r\n/);
        t.is(answer.match(/HTTP\/1\.1 [1-5]/g)?.length, 1, 'nothing behind it is answered');
      }
      t.is(scene.origin.requests.length, 0);
      t.is((await scene.get('/good')).body.toString(), 'good');
    });
  });
}

test('wire: what follows a good request and is none does not get into its answer', async (t) => {
  const body = 'b'.repeat(3_000_000);
  const origin = always({ fields: ['Cache-Control', 'max-age=600'], body });
  await withProxy(t, { origin }, async (scene) => {
    await scene.get('/a');
    await scene.settled();
    const answer = await sendRaw(scene.address, `GET /a HTTP/1.1\r\n${host}\r\nnonsense\r\n\r\n`);
    t.is(answer.slice(answer.indexOf('\r\n\r\n') + 4), body);
    t.is((await scene.get('/a')).field('x-cache'), 'HIT');
  });
});

const head = 'HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\n';
const hostile: ReadonlyArray<readonly [string, string, string]> = [
  [
    'a coding that nobody can undo',
    `${head}Transfer-Encoding: gzip\r\n\r\nabc`,
    'http_response_transfer_coding',
  ],
  [
    'a second coding under chunked',
    `${head}Transfer-Encoding: gzip, chunked\r\n\r\n${chunked}`,
    'http_response_transfer_coding',
  ],
  [
    'chunked that is not last',
    `${head}Transfer-Encoding: chunked, gzip\r\n\r\n${chunked}`,
    'http_response_transfer_coding',
  ],
  [
    'a coding that looks like chunked',
    `${head}Transfer-Encoding: xchunked\r\n\r\n${chunked}`,
    'http_response_transfer_coding',
  ],
  [
    'a crowd of fields',
    `HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(2000)}Content-Length: 1\r\n\r\nx`,
    'http_response_header_section_size',
  ],
  [
    'a flood of interim responses',
    'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n'.repeat(5000),
    'http_protocol_error',
  ],
  ['a flood of 100s', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(5000), 'connection_terminated'],
  ['bare LFs', 'HTTP/1.1 200 OK\nContent-Length: 1\n\nx', 'http_protocol_error'],
  ['a head without end', `${head}X: ${'x'.repeat(100_000)}`, 'http_response_header_section_size'],
];
for (const [what, text, proxyError] of hostile) {
  test(`wire: ${what} from the origin is a 502 that says so, and is not stored`, async (t) => {
    const origin: Script = async (_request, reply) => {
      await reply.raw(text);
      reply.close();
    };
    await withProxy(t, { origin }, async (scene) => {
      const got = await scene.get('/a');
      t.is(got.status, 502);
      t.is(got.field('proxy-status'), `millrace; error=${proxyError}`);
      await scene.settled();
      scene.origin.script = good;
      t.is((await scene.get('/a')).field('x-cache'), 'MISS');
    });
  });
}

test('wire: a length in a 204 does not break it', async (t) => {
  const origin: Script = async (_request, reply) => {
    await reply.raw(
      'HTTP/1.1 204 No Content\r\nCache-Control: max-age=60\r\nContent-Length: 5\r\n\r\nhello',
    );
    reply.close();
  };
  await withProxy(t, { origin }, async (scene) => {
    const got = await scene.get('/a');
    t.is(got.status, 204);
    t.true(got.isComplete);
    t.is(got.field('content-length'), undefined);
  });
});

for (const pieces of [1, 3, 1000]) {
  test(`wire: a 100 that nobody asked for is dropped (in pieces of ${pieces})`, async (t) => {
    const text =
      'HTTP/1.1 100 Continue\r\nX-Odd: 1\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n' +
      `${head}Content-Length: 4\r\n\r\ngood`;
    const origin: Script = async (_request, reply) => {
      for (let at = 0; at < text.length; at += pieces) {
        await reply.raw(text.slice(at, at + pieces));
        if (pieces < 1000) await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await withProxy(t, { origin }, async (scene) => {
      for (const target of ['/a', '/b']) {
        const got = await scene.get(target);
        t.is(got.status, 200);
        t.is(got.body.toString(), 'good');
        t.is(got.field('x-odd'), undefined);
      }
      t.is(scene.origin.connections, 1, 'the connection is as good as any');
    });
  });
}

test('wire: a 100 on an idle connection costs that connection', async (t) => {
  let speak: () => unknown = () => {};
  const origin: Script = async (request, reply) => {
    speak = () => reply.raw('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n');
    await good(request, reply);
  };
  await withProxy(t, { origin }, async (scene) => {
    await scene.get('/a');
    await scene.settled();
    await speak();
    for (const target of ['/b', '/c']) {
      t.is((await scene.get(target)).body.toString(), 'good');
    }
    t.is(scene.origin.connections, 2);
  });
});
