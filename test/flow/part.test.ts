// Less than the whole of what is stored: ranges, conditions, and both together. Each test stores one
// response first and asks for it in many ways then; the origin must never hear of those.

import test from 'ava';
import { bodyBytes } from '../support/bytes.js';
import type { Response } from '../support/client.js';
import { withProxy } from '../support/harness.js';
import { always, type Script } from '../support/scripted-origin.js';
import { gate, until } from '../support/until.js';

const mib = 1024 * 1024;

/** A MiB and a bit, so that parts lie within a chunk, across two, and at the end. */
const rangeLength = mib + 5000;
const ranged = always({
  fields: ['Cache-Control', 'max-age=600', 'ETag', '"r1"', 'X-Custom', 'kept'],
  body: bodyBytes(rangeLength),
});

interface RangeCase {
  readonly range: string;
  readonly from: number;
  readonly to: number;
}
const parts: readonly RangeCase[] = [
  { range: 'bytes=0-0', from: 0, to: 0 },
  { range: 'bytes=5-9', from: 5, to: 9 },
  { range: 'BYTES=5-9', from: 5, to: 9 },
  { range: `bytes=${mib - 3}-${mib + 2}`, from: mib - 3, to: mib + 2 },
  { range: `bytes=${mib}-`, from: mib, to: rangeLength - 1 },
  { range: `bytes=100-${rangeLength * 2}`, from: 100, to: rangeLength - 1 },
  { range: 'bytes=-1', from: rangeLength - 1, to: rangeLength - 1 },
  { range: `bytes=-${rangeLength * 2}`, from: 0, to: rangeLength - 1 },
];

for (const store of ['none', 'raw'] as const) {
  const tier = store === 'raw' ? 'disk' : 'memory';
  test(`part: a range of a stored body is a 206 with just that part, from ${tier}`, async (t) => {
    await withProxy(t, { origin: ranged, store }, async (scene) => {
      await scene.get('/a');
      await scene.settled();
      for (const { range, from, to } of parts) {
        if (store === 'raw') await scene.restart();
        const got = await scene.get('/a', ['Range', range]);
        t.is(got.status, 206, range);
        t.is(got.field('content-range'), `bytes ${from}-${to}/${rangeLength}`);
        t.is(got.field('content-length'), `${to - from + 1}`);
        t.is(got.field('x-custom'), 'kept');
        t.is(got.field('etag'), '"r1"');
        t.true(got.body.equals(bodyBytes(rangeLength).subarray(from, to + 1)), range);
      }
      t.is(scene.origin.requests.length, 1);
    });
  });
}

test('part: a range behind the end is a 416 that tells the length', async (t) => {
  await withProxy(t, { origin: ranged }, async (scene) => {
    await scene.get('/a');
    await scene.settled();
    for (const range of [
      `bytes=${rangeLength}-`,
      `bytes=${rangeLength}-${rangeLength + 9}`,
      'bytes=-0',
    ]) {
      const got = await scene.get('/a', ['Range', range]);
      t.is(got.status, 416, range);
      t.is(got.field('content-range'), `bytes */${rangeLength}`);
      t.is(got.body.length, 0);
    }
  });
});

test('part: malformed and absurd ranges are answered with the whole', async (t) => {
  await withProxy(t, { origin: ranged }, async (scene) => {
    await scene.get('/a');
    await scene.settled();
    const others = [
      ...['bytes=9-5', 'bytes=a-b', 'bytes=', 'bytes=--1', 'lines=0-1', 'bytes=0-1,x'],
      // More than anybody needs, and the same bytes over and over.
      `bytes=${Array.from({ length: 33 }, (_, at) => `${4 * at}-${4 * at}`).join(',')}`,
      'bytes=0-9,5-15,1-2,3-4',
    ];
    for (const range of others) {
      const got = await scene.get('/a', ['Range', range]);
      t.is(got.status, 200, range);
      t.is(got.body.length, rangeLength);
    }
    t.is(scene.origin.requests.length, 1);
  });
});

const several: readonly { range: string; parts: readonly [number, number][] }[] = [
  {
    range: 'bytes=0-1,5-6',
    parts: [
      [0, 1],
      [5, 6],
    ],
  },
  // In the order of the request, over a chunk's border, the last one clamped.
  {
    range: `bytes= ${mib - 2}-${mib + 1} , 7-7, ${rangeLength - 3}-${rangeLength + 9}`,
    parts: [
      [mib - 2, mib + 1],
      [7, 7],
      [rangeLength - 3, rangeLength - 1],
    ],
  },
  // What overlaps or touches is one part; what lies behind the end is none.
  {
    range: `bytes=100-199,0-9,150-299,300-309,${rangeLength}-`,
    parts: [
      [100, 309],
      [0, 9],
    ],
  },
  {
    range: `bytes=-2,0-${mib}`,
    parts: [
      [rangeLength - 2, rangeLength - 1],
      [0, mib],
    ],
  },
];

/** The parts of a multipart/byteranges body; throws where it is not one. */
function partsOf(response: Response): { fields: string; bytes: Buffer }[] {
  const boundary = /^multipart\/byteranges; boundary=([0-9a-f]{32})$/.exec(
    response.field('content-type') ?? '',
  )?.[1];
  if (boundary === undefined) throw new Error('not a multipart/byteranges');
  const text = `\r\n${response.body.toString('latin1')}`;
  const pieces = text.split(`\r\n--${boundary}`);
  if (pieces.shift() !== '' || pieces.pop() !== '--\r\n') throw new Error('not well-formed');
  return pieces.map((piece) => {
    const at = piece.indexOf('\r\n\r\n');
    return { fields: piece.slice(2, at), bytes: Buffer.from(piece.slice(at + 4), 'latin1') };
  });
}

for (const store of ['none', 'raw', 'file'] as const) {
  test(`part (8.2): several ranges are one multipart 206 (store ${store})`, async (t) => {
    await withProxy(t, { origin: ranged, store }, async (scene) => {
      await scene.get('/a');
      await scene.settled();
      for (const { range, parts } of several) {
        if (store !== 'none') await scene.restart();
        const got = await scene.get('/a', ['Range', range]);
        t.is(got.status, 206, range);
        t.is(got.field('content-range'), undefined);
        t.is(got.field('content-length'), `${got.body.length}`);
        t.is(got.field('x-custom'), 'kept');
        t.is(got.field('x-cache'), 'HIT');
        const sent = partsOf(got);
        t.deepEqual(
          sent.map(({ fields }) => fields),
          parts.map(([from, to]) => `Content-Range: bytes ${from}-${to}/${rangeLength}`),
        );
        for (const [at, [from, to]] of parts.entries()) {
          t.true(sent[at]!.bytes.equals(bodyBytes(rangeLength).subarray(from, to + 1)), range);
        }
      }
      t.is(scene.origin.requests.length, 1);
    });
  });
}

test('part (8.2): each part has the type of the whole, which has another', async (t) => {
  const origin = always({
    fields: ['Cache-Control', 'max-age=600', 'Content-Type', 'text/plain'],
    body: '0123456789',
  });
  await withProxy(t, { origin }, async (scene) => {
    await scene.get('/a');
    await scene.settled();
    const got = await scene.get('/a', ['Range', 'bytes=0-1,8-8']);
    t.deepEqual(
      partsOf(got).map(({ fields, bytes }) => [fields, bytes.toString()]),
      [
        ['Content-Type: text/plain\r\nContent-Range: bytes 0-1/10', '01'],
        ['Content-Type: text/plain\r\nContent-Range: bytes 8-8/10', '8'],
      ],
    );
    const beyond = await scene.get('/a', ['Range', 'bytes=10-11,20-']);
    t.is(beyond.status, 416);
    t.is((await scene.get('/a', ['Range', 'bytes=2-3,3-5,50-'])).body.toString(), '2345');
  });
});

test('part (8.2): several ranges come from a running fill where they are in its order', async (t) => {
  const rest = gate();
  const body = bodyBytes(3 * mib);
  const origin: Script = async (_request, reply) => {
    const length = `${body.length}`;
    await reply.head(200, ['Cache-Control', 'max-age=600', 'Content-Length', length]);
    await reply.raw(body.subarray(0, 1000));
    await rest.opened;
    await reply.raw(body.subarray(1000));
  };
  await withProxy(t, { origin }, async (scene) => {
    const first = scene.get('/a');
    await until('the fill', () => scene.counters().fillsOpen === 1);
    const range = `bytes=10-19,990-1009,${2 * mib}-${2 * mib + 99}`;
    const inOrder = scene.get('/a', ['Range', range]);
    const reversed = scene.get('/a', ['Range', 'bytes=100-109,10-19']);
    await until('three exchanges', () => scene.counters().exchangesOpen === 3);
    rest.open();
    const parts = partsOf(await inOrder);
    t.true(parts[0]!.bytes.equals(body.subarray(10, 20)));
    t.true(parts[1]!.bytes.equals(body.subarray(990, 1010)));
    t.true(parts[2]!.bytes.equals(body.subarray(2 * mib, 2 * mib + 100)));
    t.is((await reversed).status, 200);
    t.true((await reversed).body.equals(body));
    t.true((await first).body.equals(body));
    t.is(scene.origin.requests.length, 1);
  });
});

test('part: If-Range gives the part to the same strong tag and the whole to any other', async (t) => {
  await withProxy(t, { origin: ranged }, async (scene) => {
    await scene.get('/a');
    await scene.settled();
    const ask = async (condition: string) =>
      (await scene.get('/a', ['Range', 'bytes=0-9', 'If-Range', condition])).status;
    t.is(await ask('"r1"'), 206);
    t.is(await ask('"r2"'), 200);
    t.is(await ask('W/"r1"'), 200);
    t.is(await ask('Fri, 15 Jan 2027 08:00:00 GMT'), 200);
  });
});

const dated = always({
  fields: [
    'Cache-Control',
    'max-age=600',
    'ETag',
    'W/"w1"',
    'Last-Modified',
    'Fri, 15 Jan 2027 07:00:00 GMT',
    'Content-Type',
    'text/plain',
  ],
  body: 'dated',
});

test('part: If-None-Match that matches weakly is a 304 without a body', async (t) => {
  await withProxy(t, { origin: dated }, async (scene) => {
    await scene.get('/a');
    await scene.settled();
    for (const tags of ['"w1"', 'W/"w1"', '"x", W/"w1"', '*']) {
      const got = await scene.get('/a', ['If-None-Match', tags]);
      t.is(got.status, 304, tags);
      t.is(got.body.length, 0);
      t.is(got.field('etag'), 'W/"w1"');
      t.is(got.field('cache-control'), 'max-age=600');
      t.is(got.field('age'), '0');
      t.is(got.field('content-length'), undefined);
      t.is(got.field('content-type'), undefined);
    }
    t.is((await scene.get('/a', ['If-None-Match', '"x"'])).status, 200);
    t.is(scene.origin.requests.length, 1);
  });
});

test('part: If-Modified-Since is judged, and only where there is no If-None-Match', async (t) => {
  await withProxy(t, { origin: dated }, async (scene) => {
    await scene.get('/a');
    await scene.settled();
    const since = (date: string, more: string[] = []) =>
      scene.get('/a', ['If-Modified-Since', date, ...more]).then(({ status }) => status);
    t.is(await since('Fri, 15 Jan 2027 07:00:00 GMT'), 304);
    t.is(await since('Fri, 15 Jan 2027 06:59:59 GMT'), 200);
    t.is(await since('last Friday'), 200);
    t.is(await since('Fri, 15 Jan 2027 07:00:00 GMT', ['If-None-Match', '"x"']), 200);
  });
});

test('part: a condition that holds beats a range', async (t) => {
  await withProxy(t, { origin: ranged }, async (scene) => {
    await scene.get('/a');
    await scene.settled();
    const got = await scene.get('/a', ['If-None-Match', '"r1"', 'Range', 'bytes=0-9']);
    t.is(got.status, 304);
    const beyond = ['If-None-Match', '"r1"', 'Range', `bytes=${rangeLength}-`];
    t.is((await scene.get('/a', beyond)).status, 304, 'also one that could not be met');
  });
});

test('part: a condition on a miss is judged by us and fills the store with the whole', async (t) => {
  await withProxy(t, { origin: ranged }, async (scene) => {
    const got = await scene.get('/a', ['If-None-Match', '"r1"']);
    t.is(got.status, 304);
    await scene.settled();
    t.is(scene.origin.requests[0]!.field('if-none-match'), undefined);
    const whole = await scene.get('/a');
    t.is(whole.field('x-cache'), 'HIT');
    t.is(whole.body.length, rangeLength);
  });
});
