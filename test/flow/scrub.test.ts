// The scrub through the whole system: a byte that rots on the disk costs a miss, not a wrong or a broken
// answer, and with 0 nothing is read beside what is asked for.

import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { createProxy } from '../../ts/index.js';
import { temporaryFolder } from '../support/command.js';
import { startOrigin } from '../support/scripted-origin.js';
import { until } from '../support/until.js';

const mib = 1024 * 1024;
const objects = 6;

/** Text that compression is told to leave alone, so that it is found in the file. */
const bodyOf = (object: number): Buffer =>
  Buffer.from(`object ${object} of the scrub's test. `.repeat(2000));

function damage(path: string, object: number): void {
  const file = openSync(path, 'r+');
  try {
    const start = Buffer.alloc(16 * mib);
    // The first segments; superblocks and journal take 65 MiB before them.
    readSync(file, start, 0, start.length, 65 * mib);
    const at = start.indexOf(bodyOf(object));
    if (at < 0) throw new Error(`object ${object} is not in the file`);
    writeSync(file, Buffer.from('X'), 0, 1, 65 * mib + at + 20_000);
  } finally {
    closeSync(file);
  }
}

async function setUp(t: ExecutionContext) {
  const origin = await startOrigin(t, (request, reply) =>
    reply.send({
      fields: ['Cache-Control', 'max-age=3600', 'ETag', '"v1"'],
      body: bodyOf(Number(request.target.slice(1))),
    }),
  );
  const path = join(temporaryFolder(t), 'store.disk');
  const start = async (interval: string) => {
    const proxy = await createProxy({
      listen: '127.0.0.1:0',
      admin: {},
      upstreams: { hub: { origins: `http://${origin.address}` } },
      routes: [{ upstream: 'hub', cache: { key: { host: 'cache.test' } } }],
      raw_disk_cache: {
        device_path: path,
        total_size: '256MiB',
        create: true,
        enable_compression: false,
        scrub_interval: interval,
        scrub_rate: '1GiB',
      },
    });
    t.teardown(() => proxy.close(0));
    const store = () => proxy.stats().store!;
    await until('the end of warming', () => store().warming === false);
    const get = async (object: number): Promise<string> => {
      const answer = await fetch(`${proxy.addresses[0]}/${object}`);
      t.true(Buffer.from(await answer.arrayBuffer()).equals(bodyOf(object)));
      return String(answer.headers.get('x-cache'));
    };
    return { proxy, store, get };
  };
  return { path, start };
}

test('scrub: a damaged byte is found by it and not by a client', async (t) => {
  const { path, start } = await setUp(t);
  const first = await start('0');
  for (let object = 0; object < objects; object += 1) await first.get(object);
  await first.proxy.close(0);
  damage(path, 3);

  const second = await start('300ms');
  await until('a pass', () => Number(second.store().scrubPasses) > 0);
  t.is(second.store().scrubDamaged, 1);
  t.is(second.store().corruptRecords, 1);
  t.true(Number(second.store().scrubbedBytes) > objects * bodyOf(0).length - 1);
  t.is(second.store().deviceReads, 0);
  for (let object = 0; object < objects; object += 1) {
    t.is(await second.get(object), object === 3 ? 'MISS' : 'HIT');
  }
  t.is(second.store().corruptRecords, 1);
});

test('scrub: with 0 nothing is read, and the damage is found by who asks', async (t) => {
  const { path, start } = await setUp(t);
  const first = await start('0');
  for (let object = 0; object < objects; object += 1) await first.get(object);
  await first.proxy.close(0);
  damage(path, 3);

  const second = await start('0');
  for (let object = 0; object < objects; object += 1) {
    t.is(await second.get(object), object === 3 ? 'MISS' : 'HIT');
  }
  t.is(second.store().scrubbedBytes, 0);
  t.is(second.store().scrubPasses, 0);
  t.is(second.store().scrubDamaged, 0);
  t.is(second.store().corruptRecords, 1);
});
