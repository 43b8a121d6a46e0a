// Many clients, one after the other, on one cold object from a throttled origin: the origin sends it
// once, each client has its first byte long before the body is through, and every byte of every client
// is right. The same where the first client, whose request the fetch is, reads slowly or is gone in
// mid-body.
//
//   npm run build && npm run build:bench
//   node build/bench/proofs/crowd.js [--clients 100] [--size 100MiB]

import { setTimeout as sleepMs } from 'node:timers/promises';
import { systemClock } from '../../ts/clock.js';
import { millrace } from '../support/millrace.js';
import { freshPath } from '../support/origin.js';
import {
  type RawRequest,
  type RawResult,
  receiveBytes,
  requestRaw,
} from '../support/raw-request.js';
import { percentile } from '../support/rows.js';
import type { Stage } from '../support/stage.js';
import { type Proof, runProof, type Verdict } from './proof.js';

const mib = 2 ** 20;
const firsts = ['like the others', 'at the slow rate', 'gone in mid-body'] as const;
type First = (typeof firsts)[number];

const full = {
  clients: 100,
  size: 100 * mib,
  /** Of the origin, all its connections together. */
  rate: 50e6,
  /** Between the first request and the last one; they ask evenly spread over it. */
  spreadMs: 1500,
  slowRate: 1e6,
};
type Sizes = typeof full;
export const crowdProof: Proof<Sizes> = { full, run: runCrowd };

async function runCrowd(stage: Stage, sizes: Sizes, say: (line: string) => void): Promise<Verdict> {
  const { clients, size, rate } = sizes;
  await stage.origin.set({ bytesPerSecond: rate });
  const subject = await stage.start(millrace(), { diskBytes: Math.max(1024 * mib, 8 * size) });
  const wrong: string[] = [];
  for (const first of firsts) {
    const before = await stage.origin.counts();
    const results = await askAll(subject.port, sizes, first);
    await subject.flushed();
    const after = await stage.origin.counts();
    const bodies = after.bodies - before.bodies;
    const requests = after.requests - before.requests;
    const others = results.slice(1);
    const at = (share: number): string =>
      percentile(
        others.map(({ ttfbMs }) => ttfbMs),
        share,
      ).toFixed(1);
    say(
      `first client ${first}: origin bodies ${bodies}, requests ${requests}, ` +
        `bytes ${after.bytes - before.bytes}; time to first byte of the others in ms: ` +
        `least ${at(0)}, median ${at(0.5)}, 99th ${at(0.99)}, most ${at(1)}; ` +
        `last byte ${(Math.max(...others.map(({ totalMs }) => totalMs)) / 1000).toFixed(2)} s`,
    );
    say(`  each: ${results.map(({ ttfbMs }) => ttfbMs.toFixed(0)).join(' ')}`);
    const wrongHere = [
      ...results.filter(({ error }) => error !== '').map(({ error }) => error),
      ...others
        .filter(({ bytes }) => bytes !== size)
        .map(({ bytes }) => `${bytes} of ${size} bytes`),
      ...(bodies === 1 && requests === 1 ? [] : [`${bodies} bodies, ${requests} requests`]),
    ];
    if (results.length !== clients) wrongHere.push(`${results.length} clients`);
    wrong.push(...wrongHere.map((text) => `first client ${first}: ${text}`));
  }
  return wrong;
}

function askAll(port: number, sizes: Sizes, first: First): Promise<RawResult[]> {
  const { clients, size, spreadMs, slowRate } = sizes;
  const path = freshPath(size);
  const ask = async (index: number): Promise<RawResult> => {
    if (index > 0) await sleepMs((index * spreadMs) / clients);
    const request: RawRequest = { port, path, verify: true, firstByteOnly: false };
    const slowly = { bytesPerSecond: slowRate, forMs: (2 * size * 1000) / slowRate + 60_000 };
    const leaveAfterBytes = Math.ceil(size / 50);
    const own =
      index > 0 || first === 'like the others'
        ? request
        : first === 'at the slow rate'
          ? { ...request, slowly }
          : { ...request, leaveAfterBytes };
    return requestRaw(own, Buffer.allocUnsafeSlow(receiveBytes), systemClock);
  };
  return Promise.all(Array.from({ length: clients }, (_, index) => ask(index)));
}

if (process.argv[1] === import.meta.filename) void runProof(crowdProof);
