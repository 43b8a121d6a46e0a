// Reading ahead of clients that read in order, and what it costs when they do not: counted at the device,
// byte for byte at the client, over a raw file that a new process has opened.

import { Buffer } from 'node:buffer';
import { Agent, get, type IncomingMessage } from 'node:http';
import test, { type ExecutionContext } from 'ava';
import { bodyBytes } from '../support/bytes.js';
import { openRaw, type RawClient } from '../support/client.js';
import { type Scene, withProxy } from '../support/harness.js';
import { resetSocket } from '../support/reset.js';
import type { Script } from '../support/scripted-origin.js';
import { until } from '../support/until.js';

const mib = 1024 * 1024;

/** A target /<length>/<seed>. */
const sized: Script = async (request, reply) => {
  const [, length, seed] = /^\/(\d+)\/(\d+)$/.exec(request.target)!;
  const fields = ['Cache-Control', 'max-age=600', 'ETag', '"v1"'];
  await reply.send({ fields, body: bodyBytes(Number(length), Number(seed)) });
};

type DiskOptions = Record<string, boolean>;

/** The objects are on the disk and nowhere else when `run` begins. */
async function withCold(
  t: ExecutionContext,
  targets: readonly string[],
  disk: DiskOptions,
  run: (scene: Scene) => Promise<void>,
): Promise<void> {
  const config = () => ({ raw_disk_cache: disk });
  await withProxy(t, { origin: sized, store: 'raw', config }, async (scene) => {
    for (const target of targets) await scene.get(target);
    await scene.restart();
    await run(scene);
    await scene.settled();
    t.is(scene.origin.requests.length, targets.length, 'every other answer was a hit');
    await until('everything lent has come back', () => {
      const { openLeases, prefetchHeldBytes } = scene.storeStats();
      return openLeases === 0 && prefetchHeldBytes === 0;
    });
  });
}

/** A client with one connection, which asks for parts. */
function rangeClient(t: ExecutionContext, scene: Scene, target: string) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => agent.destroy());
  return {
    close: () => agent.destroy(),
    part: (from: number, end: number): Promise<Buffer> =>
      new Promise((resolve, reject) => {
        const headers = { Host: 'site.test', Range: `bytes=${from}-${end - 1}` };
        const read = (response: IncomingMessage) => {
          response.toArray().then((parts) => resolve(Buffer.concat(parts)), reject);
        };
        get(`${scene.address}${target}`, { agent, headers }, read).on('error', reject);
      }),
  };
}

/** A client that asks for the whole and reads nothing. */
async function stalledClient(scene: Scene, target: string): Promise<RawClient> {
  const client = await openRaw(scene.address);
  client.socket.pause();
  client.write(`GET ${target} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n`);
  return client;
}

function numbers(scene: Scene): Record<string, number> {
  const stats = scene.storeStats();
  return new Proxy({}, { get: (_, name) => Number(stats[String(name)]) });
}

for (const isOn of [true, false]) {
  test(`prefetch: ranges in order are read ahead: ${isOn}`, async (t) => {
    const target = `/${12 * mib}/1`;
    await withCold(t, [target], { enable_prefetch: isOn }, async (scene) => {
      const body = bodyBytes(12 * mib, 1);
      const client = rangeClient(t, scene, target);
      const chunk = async (number: number): Promise<void> => {
        const part = await client.part(number * mib, (number + 1) * mib);
        t.true(part.equals(body.subarray(number * mib, (number + 1) * mib)), `chunk ${number}`);
      };
      /** Reads of chunks that the client has not asked for. */
      let asked = 0;
      const before = numbers(scene).deviceReads!;
      const ahead = () => numbers(scene).deviceReads! - before - 1 - asked;
      const expectAhead = async (count: number): Promise<void> => {
        if (isOn) await until(`${count} chunks read ahead`, () => ahead() === count);
        t.is(ahead(), isOn ? count : 0);
      };
      for (const number of [0, 1]) {
        await chunk(number);
        asked += 1;
        t.is(ahead(), 0, 'one step is no order yet');
      }
      await chunk(2);
      asked += 1;
      await expectAhead(1);
      await chunk(3);
      asked += 1;
      await expectAhead(2);
      await chunk(4);
      asked += 1;
      await expectAhead(4);
      await chunk(5);
      asked += 1;
      await expectAhead(4);
      if (!isOn) return;

      // A seek: what was read ahead is given up, and nothing more is.
      await until('the reads have ended', () => numbers(scene).prefetchedBytes === 7 * mib);
      await chunk(11);
      asked += 1;
      t.is(ahead(), 4);
      const { prefetchUsedBytes, prefetchWastedBytes, prefetchHeldBytes } = numbers(scene);
      t.is(prefetchUsedBytes, 3 * mib);
      t.is(prefetchWastedBytes, 4 * mib);
      t.is(prefetchHeldBytes, 0);
    });
  });

  test(`prefetch: a client that asks for the whole is read ahead of: ${isOn}`, async (t) => {
    const target = `/${40 * mib}/2`;
    await withCold(t, [target], { enable_prefetch: isOn }, async (scene) => {
      const client = await stalledClient(scene, target);
      if (isOn) {
        await until(
          'chunks wait for the client',
          () => numbers(scene).prefetchHeldBytes! >= 4 * mib,
        );
      } else {
        await until('the body is on its way', () => numbers(scene).openLeases! > 0);
        t.is(numbers(scene).prefetchedBytes, 0);
      }
      client.socket.resume();
      const text = await client.ended();
      const body = Buffer.from(text.slice(text.indexOf('\r\n\r\n') + 4), 'latin1');
      t.true(body.equals(bodyBytes(40 * mib, 2)));
      const { prefetchedBytes, prefetchUsedBytes, prefetchWastedBytes } = numbers(scene);
      t.is(prefetchUsedBytes, prefetchedBytes);
      t.is(prefetchWastedBytes, 0);
      if (isOn) t.true(prefetchedBytes! >= 20 * mib, `${prefetchedBytes} bytes ahead`);
      // Nothing twice: the head's read, and one for each chunk.
      t.true(numbers(scene).deviceReads! <= 41 + 20, `${numbers(scene).deviceReads} reads`);
    });
  });
}

test('prefetch: a client that leaves takes what was read for it along', async (t) => {
  const target = `/${40 * mib}/3`;
  await withCold(t, [target], {}, async (scene) => {
    const client = await stalledClient(scene, target);
    await until('chunks wait', () => numbers(scene).prefetchHeldBytes! > 0);
    resetSocket(client.socket);
    await until('they are given up', () => numbers(scene).prefetchHeldBytes === 0);
    await scene.settled();
    await until('the reads have ended', () => {
      const { prefetchedBytes, prefetchUsedBytes, prefetchWastedBytes } = numbers(scene);
      return prefetchedBytes === prefetchUsedBytes! + prefetchWastedBytes!;
    });
    t.true(numbers(scene).prefetchWastedBytes! > 0);
  });
});

test('prefetch: a slow client is read on time and not ahead', async (t) => {
  const target = `/${12 * mib}/4`;
  await withCold(t, [target], {}, async (scene) => {
    const client = rangeClient(t, scene, target);
    for (let number = 0; number < 8; number += 1) {
      await client.part(number * mib, (number + 1) * mib);
      scene.clock.advance(3_000);
    }
    t.is(numbers(scene).prefetchedBytes, 0);
  });
});

test('prefetch: clients that never come back for more switch it off for a while', async (t) => {
  const target = `/${8 * mib}/5`;
  await withCold(t, [target], {}, async (scene) => {
    const leaveAfterThree = async (): Promise<void> => {
      const client = rangeClient(t, scene, target);
      await client.part(mib - 10, mib);
      await client.part(mib, 2 * mib);
      await client.part(2 * mib, 2 * mib + 70_000);
      await until('the chunk is there', () => {
        const { prefetchedBytes, prefetchUsedBytes, prefetchWastedBytes, prefetchHeldBytes } =
          numbers(scene);
        const settled = prefetchUsedBytes! + prefetchWastedBytes!;
        return prefetchHeldBytes! === prefetchedBytes! - settled;
      });
      client.close();
      await until('it is given up', () => numbers(scene).prefetchHeldBytes === 0);
    };
    for (let turn = 0; turn < 16; turn += 1) await leaveAfterThree();
    t.is(numbers(scene).prefetchWastedBytes, 16 * mib);
    t.is(numbers(scene).prefetchOff, 1);
    for (let turn = 0; turn < 64; turn += 1) await leaveAfterThree();
    t.is(numbers(scene).prefetchedBytes, 16 * mib, 'off');
    await leaveAfterThree();
    t.is(numbers(scene).prefetchedBytes, 17 * mib, 'and tried again');
  });
});

test('prefetch: many slow clients share one bound, and others read on', async (t) => {
  const targets = [6, 7, 8].map((seed) => `/${24 * mib}/${seed}`);
  await withCold(t, targets, {}, async (scene) => {
    const clients: RawClient[] = [];
    // An eighth of the pages beside the memory tier: 96 less 8 for the device, less 24.
    const heldMax = 8 * mib;
    let held = 0;
    const look = () => {
      const { prefetchHeldBytes, memoryUsed, memoryLimit } = numbers(scene);
      held = Math.max(held, prefetchHeldBytes!);
      t.true(memoryUsed! <= memoryLimit!);
    };
    for (let number = 0; number < 30; number += 1) {
      clients.push(await stalledClient(scene, targets[number % 3]!));
      look();
    }
    await until('chunks wait', () => numbers(scene).prefetchHeldBytes! > 0);
    const quick = await scene.get(targets[0]!);
    t.true(quick.body.equals(bodyBytes(24 * mib, 6)));
    look();
    t.true(held > 0 && held <= heldMax, `${held} bytes held`);
    for (const client of clients) resetSocket(client.socket);
  });
});

for (const isOn of [true, false]) {
  test(`zero copy: a body that waits for its client holds pages: ${isOn}`, async (t) => {
    const target = `/${40 * mib}/9`;
    await withCold(t, [target], { enable_zero_copy: isOn }, async (scene) => {
      const client = await stalledClient(scene, target);
      if (isOn) {
        await until('pages are lent', () => numbers(scene).openLeases! > 0);
        t.is(scene.counters().copiedBytes, 0);
      } else {
        let copied = -1;
        await until('copies wait for the client', () => {
          const isStill = copied > 2 * mib && copied === scene.counters().copiedBytes;
          copied = scene.counters().copiedBytes!;
          return isStill && numbers(scene).openLeases === 0;
        });
      }
      client.socket.resume();
      const text = await client.ended();
      const body = Buffer.from(text.slice(text.indexOf('\r\n\r\n') + 4), 'latin1');
      t.true(body.equals(bodyBytes(40 * mib, 9)));
      t.is(scene.counters().copiedBytes, isOn ? 0 : 40 * mib);
    });
  });
}

test('zero copy: copies that many slow clients leave waiting have a bound', async (t) => {
  const target = `/${24 * mib}/10`;
  await withCold(t, [target], { enable_zero_copy: false }, async (scene) => {
    const clients: RawClient[] = [];
    for (let number = 0; number < 60; number += 1) {
      clients.push(await stalledClient(scene, target));
    }
    await until('what does not fit is lent', () => numbers(scene).openLeases! > 0);
    const quick = await scene.get(target);
    t.true(quick.body.equals(bodyBytes(24 * mib, 10)));
    for (const client of clients) resetSocket(client.socket);
  });
});
