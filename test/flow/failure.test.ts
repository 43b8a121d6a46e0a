// Origins that fail or lie: each becomes a clear status or a visible break, never a hang, a stored error or
// somebody else's bytes. After each of them the same proxy answers a good request.

import test from 'ava';
import { openRequest, type Response } from '../support/client.js';
import { type Scene, withProxy } from '../support/harness.js';
import { always, type Script } from '../support/scripted-origin.js';

const lifetime = ['Cache-Control', 'max-age=600'];
const good = always({ fields: lifetime, body: 'good' });

function codeIn(response: Response): string | undefined {
  return /^ERR_MILLRACE_(\w+)$/m.exec(response.body.toString())?.[1];
}

/** A new target, so that nothing stored or remembered helps. */
async function isAlive(scene: Scene): Promise<boolean> {
  scene.origin.script = good;
  const got = await scene.get('/good');
  return got.status === 200 && got.body.toString() === 'good';
}

test('failure: an origin that refuses connections is a 502 that says so', async (t) => {
  await withProxy(t, { origin: good }, async (scene) => {
    await scene.origin.stop();
    const got = await scene.get('/a');
    t.is(got.status, 502);
    t.is(codeIn(got), 'UPSTREAM_REFUSED');
    t.is(got.field('proxy-status'), 'millrace; error=connection_refused');
    t.is(got.field('cache-control'), 'no-store');
    t.is(got.field('cache-status'), 'millrace; fwd=uri-miss');
    t.is((await scene.get('/a')).status, 502, 'and again: nothing of it is stored');
    const head = await scene.send('/a', { method: 'HEAD' });
    t.is(head.status, 502);
    t.is(head.body.length, 0);
  });
});

test('failure: an origin whose name does not resolve is a 502 that says so', async (t) => {
  // A label of more than 63 bytes is refused by the resolver itself, with or without a network.
  const config = () => ({ upstream_address: `${'a'.repeat(64)}.test:80` });
  await withProxy(t, { origin: good, config }, async (scene) => {
    const got = await scene.get('/a');
    t.is(got.status, 502);
    t.is(codeIn(got), 'UPSTREAM_DNS');
    t.is(got.field('proxy-status'), 'millrace; error=dns_error');
  });
});

const impatient = () => ({ timeouts: { connect: '1s', head: '1s', idle: '200ms' } });

test('failure: an origin that sends no head in time is a 504', async (t) => {
  const never: Script = (_request, reply) => reply.closed;
  await withProxy(t, { origin: never, config: impatient }, async (scene) => {
    const got = await scene.get('/a');
    t.is(got.status, 504);
    t.is(codeIn(got), 'UPSTREAM_TIMEOUT');
    t.true(await isAlive(scene));
  });
});

test('failure: half a head counts as none', async (t) => {
  const stalled: Script = async (_request, reply) => {
    await reply.raw('HTTP/1.1 200 OK\r\nContent-Le');
    await reply.closed;
  };
  await withProxy(t, { origin: stalled, config: impatient }, async (scene) => {
    const got = await scene.get('/a');
    t.is(got.status, 504);
    t.is(codeIn(got), 'UPSTREAM_TIMEOUT');
    t.true(await isAlive(scene));
  });
});

test('failure: an origin that falls silent in mid-body breaks the body', async (t) => {
  const stalled: Script = async (_request, reply) => {
    await reply.head(200, [...lifetime, 'Content-Length', '10']);
    await reply.raw('half ');
    await reply.closed;
  };
  await withProxy(
    t,
    { origin: stalled, config: () => ({ timeouts: { idle: '200ms' } }) },
    async (scene) => {
      const got = await scene.get('/a');
      t.is(got.body.toString(), 'half ');
      t.false(got.isComplete);
      t.true(await isAlive(scene));
      t.is((await scene.get('/a')).field('x-cache'), 'MISS');
    },
  );
});

for (const how of ['close', 'reset'] as const) {
  test(`failure: a GET whose connection is gone (${how}) before an answer is sent once more`, async (t) => {
    let asked = 0;
    const origin: Script = (request, reply) => {
      asked += 1;
      if (asked === 1) return reply[how]();
      return good(request, reply);
    };
    await withProxy(t, { origin }, async (scene) => {
      const got = await scene.get('/a');
      t.is(got.status, 200);
      t.is(asked, 2);
      scene.origin.script = (_request, reply) => reply[how]();
      const failed = await scene.get('/b');
      t.is(failed.status, 502);
      t.is(codeIn(failed), 'UPSTREAM_RESET');
      t.is(scene.origin.requests.length, 4, 'once more, and not for ever');
      t.true(await isAlive(scene));
    });
  });

  test(`failure: a POST whose connection is gone (${how}) is not sent again`, async (t) => {
    const origin: Script = async (request, reply) => {
      await request.body;
      reply[how]();
    };
    await withProxy(t, { origin }, async (scene) => {
      const got = await scene.send('/a', { method: 'POST', body: 'order' });
      t.is(got.status, 502);
      t.is(scene.origin.requests.length, 1);
      t.true(await isAlive(scene));
    });
  });
}

const head = 'HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\n';
const nonsense: ReadonlyArray<readonly [string, string]> = [
  ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
  ['a status that is no number', 'HTTP/1.1 2x0 OK\r\nContent-Length: 1\r\n\r\nx'],
  [
    'both Content-Length and Transfer-Encoding',
    `${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  [
    'Transfer-Encoding before Content-Length',
    `${head}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`,
  ],
  ['two lengths', `${head}Content-Length: 1\r\nContent-Length: 2\r\n\r\nxy`],
  ['a length that is no number', `${head}Content-Length: 1x\r\n\r\nx`],
  ['a negative length', `${head}Content-Length: -1\r\n\r\nx`],
  ['a list of lengths', `${head}Content-Length: 1, 2\r\n\r\nxy`],
  ['a field with a control character', `${head}X-Bad: a\x01b\r\nContent-Length: 1\r\n\r\nx`],
  ['a field with a NUL', `${head}X-Bad: a\x00b\r\nContent-Length: 1\r\n\r\nx`],
  ['a field with a bare CR', `${head}X-Bad: a\rb\r\nContent-Length: 1\r\n\r\nx`],
  ['a space before the colon', `${head}Content-Length : 1\r\n\r\nx`],
  ['a name with a space', `${head}X Bad: 1\r\nContent-Length: 1\r\n\r\nx`],
  ['a line without a colon', `${head}nothing\r\nContent-Length: 1\r\n\r\nx`],
  [
    'a switch of protocols that nobody asked for',
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
  ],
];

for (const [what, text] of nonsense) {
  test(`failure: ${what} from the origin is a 502 and is not stored`, async (t) => {
    const origin: Script = async (_request, reply) => {
      await reply.raw(text);
      reply.close();
    };
    await withProxy(t, { origin }, async (scene) => {
      const got = await scene.get('/a');
      t.is(got.status, 502);
      t.regex(codeIn(got) ?? '', /^UPSTREAM_(PROTOCOL|RESET)$/);
      t.true(await isAlive(scene));
      t.is((await scene.get('/a')).field('x-cache'), 'MISS');
    });
  });
}

test('failure: a folded field of the origin does not reach the client as two lines', async (t) => {
  const origin: Script = async (_request, reply) => {
    await reply.raw(`${head}X-Fold: a\r\n X-Injected: b\r\nContent-Length: 1\r\n\r\nx`);
    reply.close();
  };
  await withProxy(t, { origin }, async (scene) => {
    const got = await scene.get('/a');
    t.is(got.field('x-injected'), undefined);
    t.true(await isAlive(scene));
  });
});

test('failure: a head without end is cut off', async (t) => {
  const origin: Script = async (_request, reply) => {
    let isOpen = true;
    void reply.closed.then(() => {
      isOpen = false;
    });
    await reply.raw('HTTP/1.1 200 OK\r\n');
    while (isOpen) await reply.raw(`X-More: ${'m'.repeat(1000)}\r\n`);
  };
  await withProxy(t, { origin }, async (scene) => {
    const got = await scene.get('/a');
    t.is(got.status, 502);
    t.is(codeIn(got), 'UPSTREAM_PROTOCOL');
    t.true(await isAlive(scene));
  });
});

test('failure: responses before the final one leave no trace in it', async (t) => {
  const origin: Script = async (_request, reply) => {
    await reply.raw('HTTP/1.1 102 Processing\r\nX-Early: 1\r\n\r\n');
    await reply.raw('HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nCache-Control: no-store\r\n\r\n');
    await reply.send({ fields: lifetime, body: 'final' });
  };
  await withProxy(t, { origin }, async (scene) => {
    for (const word of ['MISS', 'HIT']) {
      const got = await scene.get('/a');
      await scene.settled();
      t.is(got.status, 200);
      t.is(got.body.toString(), 'final');
      t.is(got.field('link'), undefined);
      t.is(got.field('x-early'), undefined);
      t.is(got.field('cache-control'), 'max-age=600');
      t.is(got.field('x-cache'), word);
    }
  });
});

const evil = 'HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: 4\r\n\r\nevil';
const poisons: ReadonlyArray<readonly [string, string, string]> = [
  ['a body to a HEAD', 'HEAD', `${head}Content-Length: ${evil.length}\r\n\r\n${evil}`],
  ['more than the length', 'GET', `${head}Content-Length: 1\r\n\r\nx${evil}`],
  ['a body to a 204', 'GET', `HTTP/1.1 204 No Content\r\n\r\n${evil}`],
  ['a body to a 304', 'GET', `HTTP/1.1 304 Not Modified\r\n\r\n${evil}`],
  [
    'more behind the last chunk',
    'GET',
    `${head}Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n${evil}`,
  ],
];
for (const [what, method, text] of poisons) {
  test(`failure: an origin that sends ${what} cannot answer the next request with it`, async (t) => {
    let isFirst = true;
    const origin: Script = (request, reply) => {
      if (!isFirst) return good(request, reply);
      isFirst = false;
      return reply.raw(text);
    };
    await withProxy(t, { origin }, async (scene) => {
      await scene.send('/first', { method }).catch(() => null);
      for (const target of ['/b', '/c', '/first']) {
        const got = await scene.get(target);
        t.false(got.body.includes('evil'), target);
        t.true(['good', 'x', ''].includes(got.body.toString()), `${target}: ${got.body}`);
      }
      t.true(await isAlive(scene));
    });
  });
}

test('failure: a 304 that no condition asked for is not a 304 for a client without one', async (t) => {
  const origin = always({ status: 304, fields: ['ETag', '"x"'] });
  await withProxy(t, { origin }, async (scene) => {
    t.is((await scene.get('/a')).status, 502);
    t.true(await isAlive(scene));
  });
});

test('failure: a request that comes back to the proxy that sent it is a 508', async (t) => {
  let proxy = '';
  const origin: Script = async (request, reply) => {
    const again = await openRequest(proxy, request.target, { fields: request.fields });
    const { status, body } = await again.whole();
    await reply.send({ status, reason: 'From Inside', body });
  };
  await withProxy(t, { origin }, async (scene) => {
    proxy = scene.address;
    const got = await scene.get('/a');
    t.is(got.status, 508);
    t.is(codeIn(got), 'CLIENT_LOOP');
    t.is(scene.origin.requests.length, 1);
    t.true(await isAlive(scene));
  });
});
