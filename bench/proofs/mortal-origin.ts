// An origin that is killed and started again in mid-body, many times for one object: no client gets a
// wrong byte or an end that looks like one, and each next request goes on by Range where the last one
// broke off, so that the origin has sent the object little more than once when it is whole.
//
//   npm run build && npm run build:bench
//   node build/bench/proofs/mortal-origin.js [--kills 20] [--size 64MiB]

import { setTimeout as sleepMs } from 'node:timers/promises';
import { systemClock } from '../../ts/clock.js';
import { millrace } from '../support/millrace.js';
import { freshPath, type Origin, startOrigin } from '../support/origin.js';
import { receiveBytes, requestRaw } from '../support/raw-request.js';
import type { Stage } from '../support/stage.js';
import { type Proof, runProof, type Verdict } from './proof.js';

const mib = 2 ** 20;
const lookEveryMs = 5;
const lookLimitMs = 60_000;

const full = { kills: 20, size: 64 * mib, rate: 20e6 };
type Sizes = typeof full;
export const mortalOriginProof: Proof<Sizes> = { full, run: runMortal };

type Say = (line: string) => void;

async function runMortal(stage: Stage, sizes: Sizes, say: Say): Promise<Verdict> {
  const { kills, size, rate } = sizes;
  const wrong: string[] = [];
  const subject = await stage.start(millrace());
  const path = freshPath(size);
  const get = () =>
    requestRaw(
      { port: subject.port, path, verify: true, firstByteOnly: false },
      Buffer.allocUnsafeSlow(receiveBytes),
      systemClock,
    );
  let origin: Origin = stage.origin;
  let sent = 0;
  let kept = 0;
  for (let life = 1; life <= kills + 1; life += 1) {
    await origin.set({ bytesPerSecond: rate });
    const isLast = life > kills;
    const asking = get();
    if (!isLast) await hasSent(origin, Math.floor(size / (kills + 1)));
    if (isLast) await asking;
    const { requests, bytes, lastRange } = await origin.counts();
    sent += bytes;
    if (!isLast) await origin.kill();
    const got = await asking;
    const from = Number(/^bytes=(\d+)-/.exec(lastRange)?.[1] ?? 0);
    say(
      `life ${life}: asked for ${lastRange === '' ? 'the whole' : lastRange}, sent ${bytes}; ` +
        `the client has ${got.bytes} of ${size} right bytes${got.error === '' ? '' : `, ${got.error}`}`,
    );
    const told = (text: string): void => void wrong.push(`life ${life}: ${text}`);
    if (requests !== 1) told(`${requests} requests`);
    if (life > 1 && from <= kept) told(`went on from ${from}, after ${kept} before`);
    if (got.error === 'wrong bytes') told('wrong bytes');
    if (!isLast && (got.error === '' || got.bytes >= size)) told('a break that looks like an end');
    if (isLast && (got.error !== '' || got.bytes !== size)) told(`not whole: ${got.error}`);
    kept = from;
    if (isLast) break;
    // While it is down, what is there of the object is no answer to a request for all of it.
    const down = await get();
    if (down.status === 200 && down.error === '') told('whole although the origin was down');
    if (down.status < 400 && down.error === 'wrong bytes')
      told('wrong bytes while the origin was down');
    origin = await startOrigin(stage.scope, stage.origin.port);
  }
  await subject.flushed();
  await origin.kill();
  const hit = await get();
  if (hit.error !== '' || hit.bytes !== size || hit.cache !== 'hit') wrong.push('no hit at last');
  say(`the origin sent ${sent} bytes of an object of ${size}, over ${kills} kills`);
  if (sent > 2 * size) wrong.push(`${sent} bytes were sent for an object of ${size}`);
  return wrong;
}

async function hasSent(origin: Origin, bytes: number): Promise<void> {
  for (let waitedMs = 0; waitedMs < lookLimitMs; waitedMs += lookEveryMs) {
    if ((await origin.counts()).bytes >= bytes) return;
    await sleepMs(lookEveryMs);
  }
  throw new Error(`the origin did not send ${bytes} bytes`);
}

if (process.argv[1] === import.meta.filename) void runProof(mortalOriginProof);
