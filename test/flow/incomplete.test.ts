// Incomplete responses: parts of a body that the origin sent as 206, or that came before it broke off, stored
// by their bytes, served within them, joined with what is asked for later, and never taken for the whole.

import test from 'ava';
import { bodyBytes } from '../support/bytes.js';
import type { Response } from '../support/client.js';
import { type Scene, withProxy } from '../support/harness.js';
import type { OriginRequest, Reply, Script } from '../support/scripted-origin.js';
import { gate, until } from '../support/until.js';

const mib = 1024 * 1024;

interface Version {
  readonly body: Buffer;
  readonly tag: string;
  readonly fields?: readonly string[];
}

const lifetime = ['Cache-Control', 'max-age=600'];

/** Answers ranges of what `version` gives at that time; If-Range is heeded. */
function ranging(version: () => Version): Script {
  return (request, reply) => answerRange(request, reply, version());
}

async function answerRange(request: OriginRequest, reply: Reply, version: Version): Promise<void> {
  const { body, tag, fields: more = [] } = version;
  const fields = [...lifetime, 'ETag', tag, 'Accept-Ranges', 'bytes', ...more];
  const match = /^bytes=(\d*)-(\d*)$/.exec(request.field('range') ?? '');
  const condition = request.field('if-range');
  if (match === null || (condition !== undefined && condition !== tag)) {
    return reply.send({ fields, body });
  }
  const [, first = '', last = ''] = match;
  const start = first === '' ? body.length - Number(last) : Number(first);
  const end = first === '' || last === '' ? body.length : Math.min(Number(last) + 1, body.length);
  const range = `bytes ${start}-${end - 1}/${body.length}`;
  return reply.send({
    status: 206,
    reason: 'Partial Content',
    fields: [...fields, 'Content-Range', range],
    body: body.subarray(start, end),
  });
}

const one = (body: Buffer): Script => ranging(() => ({ body, tag: '"v1"' }));
const asked = ({ origin }: Scene) => origin.requests.map((request) => request.field('range'));

async function range(scene: Scene, text: string, more: readonly string[] = []): Promise<Response> {
  const got = await scene.get('/a', ['Range', `bytes=${text}`, ...more]);
  await scene.settled();
  return got;
}

const ten = Buffer.from('0123456789');

for (const store of ['none', 'raw', 'file'] as const) {
  test(`incomplete (8.6): a stored part answers ranges within it (store ${store})`, async (t) => {
    await withProxy(t, { origin: one(ten), store }, async (scene) => {
      const first = await range(scene, '-6');
      t.is(first.status, 206);
      t.is(first.field('content-range'), 'bytes 4-9/10');
      t.is(first.body.toString(), '456789');
      t.is(first.field('cache-status'), 'millrace; fwd=uri-miss; stored');
      if (store !== 'none') await scene.restart();
      for (const [text, body] of [
        ['4-8', '45678'],
        ['5-5', '5'],
        ['7-8', '78'],
      ] as const) {
        const hit = await range(scene, text);
        t.is(hit.status, 206);
        t.is(hit.field('x-cache'), 'HIT');
        t.is(hit.field('content-range'), `bytes ${text}/10`);
        t.is(hit.field('content-length'), `${body.length}`);
        t.is(hit.field('age'), '0');
        t.is(hit.body.toString(), body);
      }
      t.deepEqual(asked(scene), ['bytes=-6']);
    });
  });

  test(`incomplete (8.7): parts are joined, and the whole when it is there (store ${store})`, async (t) => {
    await withProxy(t, { origin: one(ten), store }, async (scene) => {
      await range(scene, '-6');
      if (store !== 'none') await scene.restart();
      const whole = await scene.get('/a');
      await scene.settled();
      t.is(whole.status, 200);
      t.is(whole.field('content-range'), undefined);
      t.is(whole.field('content-length'), '10');
      t.is(whole.body.toString(), '0123456789');
      t.is(whole.field('cache-status'), 'millrace; fwd=partial; stored');
      t.deepEqual(asked(scene), ['bytes=-6', 'bytes=0-3']);
      t.is(scene.origin.requests[1]!.field('if-range'), '"v1"');
      if (store !== 'none') await scene.restart();
      const hit = await scene.get('/a');
      t.is(hit.status, 200);
      t.is(hit.field('x-cache'), 'HIT');
      t.is(hit.body.toString(), '0123456789');
      t.is((await range(scene, '0-3')).field('x-cache'), 'HIT');
      t.is((await scene.get('/a', ['If-None-Match', '"v1"'])).status, 304);
    });
  });

  test(`incomplete: large parts, whole chunks and pieces (store ${store})`, async (t) => {
    const body = bodyBytes(5 * mib + 77);
    await withProxy(t, { origin: one(body), store }, async (scene) => {
      const check = async (text: string, from: number, end: number) => {
        const got = await range(scene, text);
        t.is(got.status, 206, text);
        t.true(got.body.equals(body.subarray(from, end)), text);
        return got.field('x-cache');
      };
      const far = 3 * mib - 10;
      t.is(await check(`${far}-${4 * mib + 9}`, far, 4 * mib + 10), 'MISS');
      t.is(asked(scene)[0], `bytes=${2 * mib}-${5 * mib - 1}`);
      t.is(await check('-70', 5 * mib + 7, 5 * mib + 77), 'MISS');
      t.is(asked(scene)[1], `bytes=${5 * mib}-${5 * mib + 76}`);
      if (store !== 'none') await scene.restart();
      t.is(await check(`${far + 1}-${4 * mib + 8}`, far + 1, 4 * mib + 9), 'HIT');
      t.is(await check('-77', 5 * mib, 5 * mib + 77), 'HIT');
      t.is(await check(`${2 * mib}-${4 * mib + 99}`, 2 * mib, 4 * mib + 100), 'HIT');
      const whole = await scene.get('/a');
      await scene.settled();
      t.is(whole.status, 200);
      t.true(whole.body.equals(body));
      t.is(asked(scene).at(-1), `bytes=0-${2 * mib - 1}`);
      if (store !== 'none') await scene.restart();
      const hit = await scene.get('/a');
      t.is(hit.field('x-cache'), 'HIT');
      t.true(hit.body.equals(body));
      t.is(scene.origin.requests.length, 3);
    });
  });
}

test('incomplete (8.7): another version replaces the parts, and no byte is mixed', async (t) => {
  let version: Version = { body: ten, tag: '"v1"' };
  await withProxy(t, { origin: ranging(() => version) }, async (scene) => {
    await range(scene, '-6');
    version = { body: Buffer.from('abcdefghij'), tag: '"v2"' };
    const got = await range(scene, '2-6');
    t.is(scene.origin.requests[1]!.field('range'), 'bytes=0-3');
    t.is(got.status, 206);
    t.is(got.body.toString(), 'cdefg');
    t.is(got.field('etag'), '"v2"');
    // The 200 has replaced everything.
    const whole = await scene.get('/a');
    t.is(whole.field('x-cache'), 'HIT');
    t.is(whole.body.toString(), 'abcdefghij');
    t.is(scene.origin.requests.length, 2);
  });
});

for (const [what, second, third] of [
  ['another strong tag', { body: Buffer.from('abcdefghij'), tag: '"v2"' }, 'bytes=4-9'],
  ['a weak tag', { body: ten, tag: 'W/"v1"' }, undefined],
  ['another length', { body: Buffer.from('0123456789a'), tag: '"v1"' }, 'bytes=4-10'],
  [
    'another coding',
    { body: Buffer.from('abcdefghij'), tag: '"v1"', fields: ['Content-Encoding', 'x-odd'] },
    'bytes=4-9',
  ],
] as const) {
  test(`incomplete (8.7): a 206 with ${what} is not joined although If-Range was sent`, async (t) => {
    let version: Version = { body: ten, tag: '"v1"' };
    const origin: Script = (request, reply) => {
      // One that does not heed If-Range.
      const field = (name: string) => (name === 'if-range' ? undefined : request.field(name));
      return answerRange({ ...request, field }, reply, version);
    };
    await withProxy(t, { origin }, async (scene) => {
      await range(scene, '-6');
      version = second;
      const got = await range(scene, '0-5');
      t.is(got.body.toString(), second.body.subarray(0, 6).toString());
      t.deepEqual(asked(scene), ['bytes=-6', 'bytes=0-3', third]);
      t.is(got.field('etag'), second.tag);
    });
  });
}

for (const [what, fields, body] of [
  ['without a strong tag', ['ETag', 'W/"w"', 'Content-Range', 'bytes 4-8/10'], '45678'],
  ['without any validator', ['Content-Range', 'bytes 4-8/10'], '45678'],
  ['of unknown length', ['ETag', '"v1"', 'Content-Range', 'bytes 4-8/*'], '45678'],
  ['with a length that does not fit', ['ETag', '"v1"', 'Content-Range', 'bytes 4-8/10'], '4567'],
  ['with a malformed Content-Range', ['ETag', '"v1"', 'Content-Range', 'bytes 8-4/10'], '45678'],
  ['without Content-Range', ['ETag', '"v1"'], '45678'],
  [
    'that forbids it',
    ['ETag', '"v1"', 'Content-Range', 'bytes 4-8/10', 'Cache-Control', 'no-store'],
    '45678',
  ],
] as const) {
  test(`incomplete (8.6): a 206 ${what} goes on as it is and is not stored`, async (t) => {
    const origin: Script = (_request, reply) =>
      reply.send({ status: 206, fields: [...lifetime, ...fields], body });
    await withProxy(t, { origin }, async (scene) => {
      for (let round = 1; round <= 2; round += 1) {
        const got = await range(scene, '4-8');
        t.is(got.status, 206);
        t.is(got.body.toString(), body);
        t.is(got.field('x-cache'), 'MISS');
        t.is(scene.origin.requests.length, round);
      }
    });
  });
}

test('incomplete (8.6): what the origin sent instead of what was asked for goes to the client', async (t) => {
  const origin: Script = (_request, reply) =>
    reply.send({
      status: 206,
      fields: [...lifetime, 'ETag', '"v1"', 'Content-Range', 'bytes 4-8/10'],
      body: '45678',
    });
  await withProxy(t, { origin }, async (scene) => {
    const got = await range(scene, '2-6');
    t.is(got.status, 206);
    t.is(got.field('content-range'), 'bytes 4-8/10');
    t.is(got.body.toString(), '45678');
    t.is((await range(scene, '4-6')).field('x-cache'), 'HIT');
    t.is(scene.origin.requests.length, 1);
  });
});

test('incomplete (8.6): no request without a range gets it as the whole', async (t) => {
  const origin: Script = (request, reply) =>
    request.field('range') === undefined
      ? reply.send({ status: 503, fields: [], body: 'down' })
      : reply.send({
          status: 206,
          fields: [...lifetime, 'ETag', '"v1"', 'Content-Range', 'bytes 0-4/10'],
          body: '01234',
        });
  await withProxy(t, { origin }, async (scene) => {
    await range(scene, '0-4');
    for (const fields of [[], ['If-None-Match', '"v1"'], ['Cache-Control', 'only-if-cached']]) {
      const got = await scene.get('/a', fields);
      t.true(got.status >= 500, `${fields}`);
      await scene.settled();
    }
    t.is((await scene.send('/a', { method: 'HEAD' })).field('x-cache'), 'MISS');
    t.is((await range(scene, '1-2')).body.toString(), '12');
  });
});

test('incomplete (8.7): the newest fields win, and their lifetime counts', async (t) => {
  let seen = '1';
  const origin = ranging(() => ({ body: ten, tag: '"v1"', fields: ['X-Seen', seen] }));
  await withProxy(t, { origin, store: 'raw' }, async (scene) => {
    await range(scene, '-5');
    scene.clock.advance(500_000);
    seen = '2';
    await range(scene, '0-4');
    scene.clock.advance(500_000);
    await scene.restart();
    const hit = await scene.get('/a');
    t.is(hit.field('x-cache'), 'HIT');
    t.is(hit.field('x-seen'), '2');
    t.is(hit.field('age'), '500');
    t.is(hit.body.toString(), '0123456789');
    t.is(scene.origin.requests.length, 2);
  });
});

test('incomplete: a stale part is validated without a range, and stays what it is', async (t) => {
  let isLater = false;
  const origin: Script = (request, reply) =>
    isLater
      ? reply.send({ status: 304, fields: [...lifetime, 'ETag', '"v1"', 'X-Seen', '2'] })
      : answerRange(request, reply, { body: ten, tag: '"v1"' });
  await withProxy(t, { origin }, async (scene) => {
    await range(scene, '-6');
    isLater = true;
    scene.clock.advance(601_000);
    const got = await range(scene, '5-6');
    t.is(got.status, 206);
    t.is(got.body.toString(), '56');
    t.is(got.field('x-cache'), 'REVALIDATED');
    t.is(scene.origin.requests[1]!.field('range'), undefined);
    t.is(scene.origin.requests[1]!.field('if-none-match'), '"v1"');
    const hit = await range(scene, '7-8');
    t.is(hit.field('x-cache'), 'HIT');
    t.is(hit.field('x-seen'), '2');
    isLater = false;
    t.is((await scene.get('/a')).body.toString(), '0123456789');
    t.is(asked(scene).at(-1), 'bytes=0-3');
  });
});

test('incomplete: a purge takes the parts, and what was asked for before adds nothing', async (t) => {
  const answered = gate();
  let isHeld = false;
  const origin: Script = async (request, reply) => {
    if (isHeld) await answered.opened;
    return answerRange(request, reply, { body: ten, tag: '"v1"' });
  };
  await withProxy(t, { origin, store: 'raw' }, async (scene) => {
    await range(scene, '-6');
    isHeld = true;
    const late = scene.get('/a');
    await until('the request', () => scene.origin.requests.length === 2);
    await scene.purge({ all: true });
    isHeld = false;
    answered.open();
    t.is((await late).body.toString(), '0123456789');
    await scene.settled();
    // What was asked for before the purge, and for what the purged parts lacked, is asked for anew.
    t.deepEqual(asked(scene), ['bytes=-6', 'bytes=0-3', undefined, undefined]);
    await scene.purge({ all: true });
    await scene.restart();
    t.is((await range(scene, '4-8')).field('x-cache'), 'MISS');
  });
});

for (const store of ['none', 'raw', 'file'] as const) {
  test(`incomplete (8.8): what came before a break is kept and resumed (store ${store})`, async (t) => {
    const body = bodyBytes(2 * mib + 1000);
    const cut = mib + 70_000;
    let isBroken = true;
    const origin: Script = async (request, reply) => {
      if (!isBroken) return answerRange(request, reply, { body, tag: '"v1"' });
      isBroken = false;
      const length = ['Content-Length', `${body.length}`];
      const fields = [...lifetime, 'ETag', '"v1"', 'Accept-Ranges', 'bytes', ...length];
      await reply.head(200, fields);
      await reply.raw(body.subarray(0, cut));
      reply.close();
    };
    await withProxy(t, { origin, store }, async (scene) => {
      await t.throwsAsync(async () => {
        const got = await scene.get('/a');
        if (got.body.length !== body.length) throw new Error('broken off');
      });
      await scene.settled();
      if (store !== 'none') await scene.restart();
      const part = await range(scene, `100-${cut - 1}`);
      t.is(part.field('x-cache'), 'HIT');
      t.true(part.body.equals(body.subarray(100, cut)));
      const whole = await scene.get('/a');
      t.is(whole.status, 200);
      t.true(whole.body.equals(body));
      await scene.settled();
      t.deepEqual(asked(scene), [undefined, `bytes=${cut}-${body.length - 1}`]);
      t.is(scene.origin.requests[1]!.field('if-range'), '"v1"');
      t.is((await scene.get('/a')).field('x-cache'), 'HIT');
    });
  });
}

test('incomplete: a part that breaks off keeps what came', async (t) => {
  let isBroken = true;
  const origin: Script = async (request, reply) => {
    if (!isBroken) return answerRange(request, reply, { body: ten, tag: '"v1"' });
    isBroken = false;
    const part = ['Content-Range', 'bytes 2-9/10', 'Content-Length', '8'];
    await reply.head(206, [...lifetime, 'ETag', '"v1"', ...part]);
    await reply.raw('234');
    reply.close();
  };
  await withProxy(t, { origin }, async (scene) => {
    await scene.get('/a', ['Range', 'bytes=-8']).catch(() => {});
    await scene.settled();
    t.is((await range(scene, '2-4')).field('x-cache'), 'HIT');
    t.is((await range(scene, '2-8')).body.toString(), '2345678');
    t.deepEqual(asked(scene), ['bytes=-8', 'bytes=5-9']);
  });
});

test('incomplete: clients of one range are one request, of others one each for what lacks', async (t) => {
  const body = bodyBytes(6 * mib);
  const answered = gate();
  const origin: Script = async (request, reply) => {
    await answered.opened;
    return answerRange(request, reply, { body, tag: '"v1"' });
  };
  await withProxy(t, { origin }, async (scene) => {
    const from = (at: number) => ['Range', `bytes=${at * mib}-${(at + 1) * mib - 1}`];
    const same = Array.from({ length: 5 }, () => scene.get('/a', from(5)));
    const others = [1, 3].map((at) => scene.get('/a', from(at)));
    await until('all of them', () => scene.counters().exchangesOpen === 7);
    answered.open();
    for (const got of await Promise.all(same)) t.true(got.body.equals(body.subarray(5 * mib)));
    for (const [at, got] of (await Promise.all(others)).entries()) {
      t.true(got.body.equals(body.subarray((2 * at + 1) * mib, (2 * at + 2) * mib)));
    }
    await scene.settled();
    t.is(scene.origin.requests.length, 3);
    t.is((await range(scene, `${mib + 5}-${mib + 9}`)).field('x-cache'), 'HIT');
    t.is((await range(scene, `${5 * mib + 5}-${5 * mib + 9}`)).field('x-cache'), 'HIT');
  });
});

test('incomplete: who waited for a part and asks behind the end gets a 416, not the part', async (t) => {
  const answered = gate();
  const origin: Script = async (request, reply) => {
    await answered.opened;
    return answerRange(request, reply, { body: ten, tag: '"v1"' });
  };
  await withProxy(t, { origin }, async (scene) => {
    const part = scene.get('/a', ['Range', 'bytes=2-']);
    await until('the request', () => scene.origin.requests.length === 1);
    const behind = scene.get('/a', ['Range', 'bytes=50-']);
    await until('both', () => scene.counters().exchangesOpen === 2);
    answered.open();
    t.is((await part).body.toString(), '23456789');
    const got = await behind;
    t.is(got.status, 416);
    t.is(got.field('content-range'), 'bytes */10');
    t.is(scene.origin.requests.length, 1);
  });
});

test('incomplete: parts of one variant never answer for another', async (t) => {
  const origin: Script = (request, reply) => {
    const language = request.field('accept-language') ?? '';
    const body = Buffer.from(language.repeat(5));
    return answerRange(request, reply, {
      body,
      tag: `"${language}"`,
      fields: ['Vary', 'Accept-Language'],
    });
  };
  await withProxy(t, { origin, store: 'raw' }, async (scene) => {
    const part = (language: string, text: string) =>
      range(scene, text, ['Accept-Language', language]);
    t.is((await part('de', '-8')).body.toString(), 'dededede');
    t.is((await part('en', '-6')).body.toString(), 'enenen');
    await scene.restart();
    t.is((await part('de', '2-3')).field('x-cache'), 'HIT');
    t.is((await part('en', '4-5')).body.toString(), 'en');
    t.is((await part('en', '4-5')).field('x-cache'), 'HIT');
    t.is((await part('en', '2-3')).body.toString(), 'en');
    t.is(scene.origin.requests.length, 3);
  });
});
