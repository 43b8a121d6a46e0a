// The short form of the kill loop (kill-loop.ts), on a raw file and on a loop device: what the long form is
// run for by hand is seen to work here, with a seed that is told when it fails.

import { randomInt } from 'node:crypto';
import test, { type ExecutionContext } from 'ava';
import { summaryOf } from '../support/kill-counts.js';
import { attachLoop } from '../support/loop-device.js';
import { killLoop } from './kill-loop.js';

const mib = 1024 * 1024;
const rounds = 12;

async function isSurvived(t: ExecutionContext, device: string | null): Promise<void> {
  t.timeout(110_000);
  const seed = randomInt(2 ** 31);
  const result = await killLoop({ rounds, seed, device, say: (line) => t.log(line) });
  t.log(summaryOf(result));
  const again = `npm run kill-loop -- --rounds ${rounds} --seed ${seed}`;
  t.is(result.rounds, rounds);
  t.deepEqual(result.mistakes, [], again);
  t.is(result.bytesWrong, 0, again);
  t.is(result.purgesUndone, 0, again);
  t.is(result.flushedFound, result.flushedAsked, again);
  t.is(result.recordsRecovered, result.recordsFlushed, again);
  t.true(result.answers > rounds && result.flushedAsked > rounds, summaryOf(result));
}

test.serial('kill loop: a raw file serves nothing wrong, purged or lost over twelve lives', (t) =>
  isSurvived(t, null),
);

test.serial('kill loop: a block device serves nothing wrong, purged or lost either', async (t) => {
  const loop = await attachLoop(t, 256 * mib);
  if (loop === null) return t.pass();
  await isSurvived(t, loop.path);
});
