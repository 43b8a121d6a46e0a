// Bytes that rot on the disk under a body of several records: whatever the origin can do, the client gets the
// body that the origin sends, or sees a break where two versions would meet.

import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import test from 'ava';
import { bodyBytes } from '../support/bytes.js';
import { withProxy } from '../support/harness.js';
import type { Script } from '../support/scripted-origin.js';

const mib = 1024 * 1024;
const segmentsAt = 65 * mib;
const first = bodyBytes(3 * mib, 1);
const second = bodyBytes(3 * mib, 2);

/** Changes a byte of the stored chunk. */
function damage(path: string, chunk: number): void {
  const file = openSync(path, 'r+');
  try {
    const start = Buffer.alloc(16 * mib);
    readSync(file, start, 0, start.length, segmentsAt);
    const at = start.indexOf(first.subarray(chunk * mib, chunk * mib + 4096));
    if (at < 0) throw new Error(`chunk ${chunk} is not in the file`);
    writeSync(file, Buffer.from([~start[at + 5000]!]), 0, 1, segmentsAt + at + 5000);
  } finally {
    closeSync(file);
  }
}

/** An origin that knows no ranges. */
const whole =
  (version: () => { body: Buffer; tag: string | null }): Script =>
  (_request, reply) => {
    const { body, tag } = version();
    const tags = tag === null ? [] : ['ETag', tag];
    return reply.send({ fields: ['Cache-Control', 'max-age=600', ...tags], body });
  };

for (const chunk of [0, 1, 2]) {
  test(`damaged: chunk ${chunk} comes from an origin without ranges, by the same ETag`, async (t) => {
    const origin = whole(() => ({ body: first, tag: '"v1"' }));
    await withProxy(t, { origin, store: 'raw' }, async (scene) => {
      await scene.get('/a');
      await scene.restart(() => damage(scene.storePath, chunk));
      const got = await scene.get('/a');
      t.is(got.status, 200);
      t.true(got.body.equals(first));
      await scene.settled();
      t.is(scene.origin.requests.length, 2);
      t.is(scene.storeStats().corruptRecords, 1);
      const part = await scene.get('/a', ['Range', `bytes=${2 * mib - 10}-${2 * mib + 9}`]);
      t.is(part.status, 206);
      t.true(part.body.equals(first.subarray(2 * mib - 10, 2 * mib + 10)));
    });
  });
}

test('damaged: a range of a damaged chunk comes from an origin without ranges', async (t) => {
  const origin = whole(() => ({ body: first, tag: '"v1"' }));
  await withProxy(t, { origin, store: 'raw' }, async (scene) => {
    await scene.get('/a');
    await scene.restart(() => damage(scene.storePath, 1));
    const got = await scene.get('/a', ['Range', `bytes=${mib + 7}-${mib + 5006}`]);
    t.is(got.status, 206);
    t.true(got.body.equals(first.subarray(mib + 7, mib + 5007)));
  });
});

for (const tag of ['"v2"', null]) {
  test(`damaged: a new version is sent whole where the first chunk is gone (ETag ${tag})`, async (t) => {
    let version = { body: first, tag: tag === null ? null : '"v1"' };
    await withProxy(t, { origin: whole(() => version), store: 'raw' }, async (scene) => {
      await scene.get('/a');
      await scene.restart(() => damage(scene.storePath, 0));
      version = { body: second, tag };
      const got = await scene.get('/a');
      t.is(got.status, 200);
      t.true(got.body.equals(second));
      await scene.settled();
      t.true((await scene.get('/a')).body.equals(second));
    });
  });
}

test('damaged: two versions never meet in one body', async (t) => {
  let version = { body: first, tag: '"v1"' };
  await withProxy(t, { origin: whole(() => version), store: 'raw' }, async (scene) => {
    await scene.get('/a');
    await scene.restart(() => damage(scene.storePath, 2));
    version = { body: second, tag: '"v2"' };
    const broken = await scene.get('/a');
    t.false(broken.isComplete);
    t.true(broken.body.equals(first.subarray(0, broken.body.length)));
    await scene.settled();
    t.true((await scene.get('/a')).body.equals(second));
  });
});
