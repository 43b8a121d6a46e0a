// Suite micro-device: aligned block reads and writes through the engine's device layer, and fio with the same
// number of reads under way in the same rounds.

import type { Suite, SuiteContext } from '../harness.js';
import { measureNative } from '../micro/native.js';
import type { Rounds } from '../micro/rows.js';
import { fioName, fioRead, missingFio, wantsFio } from '../rivals/fio.js';
import { mb, mib } from '../support/bench.js';
import { higher } from '../support/rows.js';
import { withScope } from '../support/scope.js';

const sizes = [4 * 1024, 64 * 1024, mib];
const depths = [1, 8, 32];

/** As native/bench calls its own rows: so the two stand in one case. */
const caseOf = (size: number, depth: number): string =>
  `random read of ${size / 1024} KiB, depth ${depth}`;

async function measureFio(context: SuiteContext, rounds: Rounds): Promise<void> {
  const { directory, signal } = context;
  await withScope({ signal, isPinned: false }, async (scope) => {
    for (const size of sizes) {
      for (const depth of depths) {
        const read = { directory, scope, sizeBytes: 1024 * mib, blockBytes: size, depth };
        const bytesPerSecond = await fioRead({ ...read, seconds: 1 });
        rounds.add({
          subject: fioName(),
          case: caseOf(size, depth),
          samples: [higher('speed', 'MB/s', bytesPerSecond / mb)],
          note: 'no proxy: libaio, one job',
        });
      }
    }
  });
}

async function run(context: SuiteContext): Promise<void> {
  const isWanted = !context.quick && wantsFio(context);
  const why = isWanted ? missingFio() : null;
  if (why !== null) context.skip('fio', why);
  const isThere = isWanted && why === null;
  await measureNative(context, 'device', async (rounds) => {
    if (isThere) await measureFio(context, rounds);
  });
}

export const microDeviceSuite: Suite = {
  name: 'micro-device',
  title: 'Block I/O: sizes, depths, ways to the disk',
  about:
    'Random reads and sequential writes of 4 KiB to 1 MiB with direct I/O on a written file, with one and ' +
    'more requests under way, through the device layer that the store uses, by each of its ways to the ' +
    'disk; fio reads at the same depths in the same rounds. No checksums unless it says so, no index, no ' +
    'JavaScript: what the disk gives to the rest.',
  run,
};
