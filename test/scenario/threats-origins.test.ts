// Threats from origins: answers that are no HTTP, that are framed twice or not at all, that never end, or
// that end too early. The client gets a clean 502, or a visible break where its head is out; nothing is
// stored, and the connection that they came on is used for nobody else.

import { gate } from '../support/until.js';
import {
  answer,
  bytes,
  head,
  notModified,
  type Play,
  type Stage,
  scenario,
} from './language/scenario.js';

const fresh = 'Cache-Control: max-age=60';
const line200 = 'HTTP/1.1 200 OK\r\n';

/** 502 for the one who asked; the next one gets what the origin then says. */
async function isBadGateway({ origin, client }: Stage, target: string, play: Play): Promise<void> {
  origin.always(play);
  await client.get(target).gives({ status: 502, fields: { 'Cache-Control': 'no-store' } });
  origin.always(answer(fresh, 'good'));
  await client.get(target).gives({ body: 'good', cache: 'MISS' });
}

async function areBadGateways(stage: Stage, texts: readonly string[]): Promise<void> {
  for (const text of texts) {
    const at = stage.origin.requests.length;
    const end = at % 2 === 0 ? 'close' : 'stay';
    try {
      await isBadGateway(stage, `/${at}`, bytes(text, text.includes('\r\n\r\n') ? end : 'close'));
    } catch (error) {
      throw new Error(`${JSON.stringify(text)}: ${(error as Error).message}`);
    }
  }
}

scenario('hostile origin: what is no response head', async (s) => {
  await areBadGateways(s, [
    '',
    '\r\n',
    'hello\r\n\r\n',
    'one',
    '<html>old</html>',
    'HTTP/0.9 200 OK\r\n\r\n',
    'HTTP/2.0 200 OK\r\n\r\n',
    'HTTP/1.1 99 Low\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1 1000 High\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1 -200 OK\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1 200 O\x00K\r\nContent-Length: 0\r\n\r\n',
    'ICY 200 OK\r\nContent-Length: 0\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
    line200,
    `${line200}X-A: 1\r\n`,
  ]);
});

scenario('hostile origin: fields that are none', async (s) => {
  const fields = [
    'X-A : 1',
    ' X-A: 1',
    'X A: 1',
    ': 1',
    'X-A',
    'X-A: a\x00b',
    'X-A: a\rb',
    'X-A: a\nX-B: b',
    'X-A\x00: 1',
    'X-\xe9: 1',
  ];
  await areBadGateways(
    s,
    fields.map((line) => `${line200}${fresh}\r\n${line}\r\nContent-Length: 3\r\n\r\none`),
  );
  await areBadGateways(s, [`${line200.replace('\r', '')}${fresh}\nContent-Length: 3\n\none`]);
});

scenario('hostile origin: framed twice, or by something that is no number', async (s) => {
  const framings = [
    'Content-Length: 3\r\nTransfer-Encoding: chunked',
    'Transfer-Encoding: chunked\r\nContent-Length: 3',
    'Content-Length: 3\r\nContent-Length: 4',
    'Content-Length: 3\r\nContent-Length: 3',
    'Content-Length: 3,3',
    'Content-Length: +3',
    'Content-Length: -1',
    'Content-Length: 0x3',
    'Content-Length: 3x',
    'Content-Length: 99999999999999999999999',
    'Transfer-Encoding: chunked, identity',
    'Transfer-Encoding: xchunked',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip',
  ];
  await areBadGateways(
    s,
    framings.map((fields) => `${line200}${fresh}\r\n${fields}\r\n\r\none`),
  );
});

scenario('hostile origin: a head without end is cut off', async (s) => {
  await isBadGateway(s, '/a', async (line) => {
    let isOpen = true;
    void line.closed.then(() => {
      isOpen = false;
    });
    await line.write(line200);
    for (let at = 0; at < 10_000 && isOpen; at += 1) {
      await line.write(`X-${at}: ${'v'.repeat(1000)}\r\n`);
      if (at % 8 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    if (isOpen) throw new Error('10 MB of head were taken');
  });
});

scenario('hostile origin: a field without end is cut off', async (s) => {
  await isBadGateway(s, '/a', async (line) => {
    let isOpen = true;
    void line.closed.then(() => {
      isOpen = false;
    });
    await line.write(`${line200}X-A: `);
    for (let at = 0; at < 1000 && isOpen; at += 1) {
      await line.write('v'.repeat(10_000));
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (isOpen) throw new Error('10 MB of a field were taken');
  });
});

scenario('hostile origin: a flood of interim responses is cut off', async (s) => {
  await isBadGateway(s, '/a', async (line) => {
    let isOpen = true;
    void line.closed.then(() => {
      isOpen = false;
    });
    for (let at = 0; at < 20_000 && isOpen; at += 1) {
      await line.write(head(`X-${at}: 1`, 103, 'Early Hints'));
      if (at % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    if (isOpen) throw new Error('20000 interim responses were taken');
  });
});

scenario('hostile origin: a 101 that nobody asked for opens no tunnel', async (s) => {
  const text = head(['Connection: Upgrade', 'Upgrade: websocket'], 101, 'Switching Protocols');
  await areBadGateways(s, [`${text}bytes of another protocol`, `${text}${line200}\r\n`]);
});

scenario("hostile origin: bytes behind a body are nobody's answer", async ({ origin, client }) => {
  const evil = `${line200}${fresh}\r\nContent-Length: 4\r\n\r\nevil`;
  for (const [at, first] of [
    `${line200}Content-Length: 3\r\n\r\none${evil}`,
    `${line200}Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n${evil}`,
    `HTTP/1.1 204 None\r\n\r\n${evil}`,
    `HTTP/1.1 304 Same\r\n\r\n${evil}`,
  ].entries()) {
    origin.always(bytes(first, 'stay'));
    await client.get(`/${at}`, 'If-None-Match: "x"');
    origin.always(answer('', 'good'));
    await client.get(`/next-${at}`).gives({ body: 'good' });
    await client.get(`/next-${at}`).gives({ body: 'good' });
  }
});

scenario(
  "hostile origin: an answer before the question is nobody's",
  async ({ origin, client }) => {
    const evil = `${line200}${fresh}\r\nContent-Length: 4\r\n\r\nevil`;
    const idle = gate();
    const dropped = gate();
    origin.plays(
      async (line, request) => {
        await answer('', 'one')(line, request);
        await idle.opened;
        await line.write(evil);
        await line.closed;
        dropped.open();
      },
      answer('', 'good'),
    );
    await client.get('/a').gives({ body: 'one' });
    idle.open();
    await dropped.opened;
    await client.get('/b').gives({ body: 'good' });
  },
);

scenario('hostile origin: bodies where there must be none', async ({ origin, client }) => {
  const evil = `${line200}${fresh}\r\nContent-Length: 4\r\n\r\nevil`;
  origin.plays(bytes(`${head([fresh, `Content-Length: ${evil.length}`])}${evil}`, 'stay'));
  origin.plays(answer('', 'good'));
  await client.head('/a').gives({ body: '' });
  await client.get('/b').gives({ body: 'good' });
  origin.plays(answer([fresh, 'ETag: "v1"'], 'one'), answer('', 'better'));
  await client.get('/c').gives({ body: 'one' });
  origin.plays();
  await client.get('/d').gives({ body: 'better' });
});

scenario('hostile origin: a 304 with a body of another request', async (s) => {
  const evil = `${line200}${fresh}\r\nContent-Length: 4\r\n\r\nevil`;
  const lines = [fresh, 'ETag: "v1"', `Content-Length: ${evil.length}`];
  s.origin.plays(answer([fresh, 'ETag: "v1"'], 'one'));
  s.origin.plays(bytes(`${head(lines, 304)}${evil}`, 'stay'), answer('', 'good'));
  await s.client.get('/a').gives({ body: 'one' });
  s.clock.advance(61);
  await s.client.get('/a').gives({ body: 'one', cache: 'REVALIDATED' });
  await s.client.get('/b').gives({ body: 'good' });
  s.origin.plays(notModified('ETag: "v1"'));
  s.clock.advance(61);
  await s.client.get('/a').gives({ body: 'one', cache: 'REVALIDATED' });
});

scenario('hostile origin: chunks that are none break the body', async ({ origin, client }) => {
  const start = `${line200}${fresh}\r\nTransfer-Encoding: chunked\r\n\r\n`;
  const broken = [
    'zz\r\none\r\n0\r\n\r\n',
    '3\r\nonetwo\r\n0\r\n\r\n',
    '3\none\n0\n\n',
    'fffffffffffffffff\r\none\r\n0\r\n\r\n',
    '-3\r\none\r\n0\r\n\r\n',
    '3;a\nb\r\none\r\n0\r\n\r\n',
    '3\r\none\r\n0\r\n',
    '3\r\none\r\n',
    '0x3\r\none\r\n0\r\n\r\n',
    '3\r\none\n0\r\n\r\n',
  ];
  for (const [at, chunks] of broken.entries()) {
    origin.always(bytes(`${start}${chunks}`));
    const received = await client.get(`/${at}`);
    if (received.status !== 502 && !received.isCut) {
      throw new Error(`${JSON.stringify(chunks)} was taken for a whole body`);
    }
    origin.always(answer(fresh, 'good'));
    await client.get(`/${at}`).gives({ body: 'good', cache: 'MISS' });
  }
});

scenario('hostile origin: a length that it does not keep', async ({ origin, client }) => {
  for (const [at, length] of [4, 1_000_000, Number.MAX_SAFE_INTEGER].entries()) {
    origin.always(bytes(`${head([fresh, `Content-Length: ${length}`])}one`));
    await client.get(`/${at}`).gives({ isCut: true });
    origin.always(answer(fresh, 'good'));
    await client.get(`/${at}`).gives({ body: 'good', cache: 'MISS' });
  }
});

scenario('hostile origin: it reads nothing and closes, or answers and closes', async (s) => {
  await areBadGateways(s, ['']);
  s.origin.always(bytes(`${head(['Content-Length: 4', 'Connection: close'], 413)}full`));
  const body = 'x'.repeat(2_000_000);
  await s.client.send({ method: 'POST', target: '/up', body }).gives({ status: 413, body: 'full' });
});

scenario('hostile origin: a reason phrase or a field cannot split the answer', async (s) => {
  s.origin.always(bytes(`HTTP/1.1 200 O\rK\r\n${fresh}\r\nContent-Length: 3\r\n\r\none`));
  await s.client.get('/a').gives({ status: 502 });
  s.origin.always(
    bytes(`${line200}Location: /b\x0d\x0a Set-Cookie: a=1\r\nContent-Length: 3\r\n\r\none`),
  );
  const received = await s.client.get('/c');
  if (received.fields.some((text) => /^set-cookie$/i.test(text))) throw new Error('split');
});
