// The first byte of a miss comes when the origin sends it, whatever the size of the body. The origin is
// 20 ms away, so that what a busy machine adds weighs little; a proxy that downloaded first would add the
// whole transfer of 100 MB to that.

import test from 'ava';
import { millrace } from '../../bench/support/millrace.js';
import { freshPath } from '../../bench/support/origin.js';
import { medianOf, onStage } from '../support/performance.js';

const mb = 1e6;
const rounds = 7;

test('ttfb: the first byte of 100 MB comes no later than three times that of 1 MB', (t) =>
  onStage(t, async ({ origin, client, start }) => {
    await origin.set({ latencyMs: 20 });
    const { port } = await start(millrace());
    const ttfbs = { small: [] as number[], large: [] as number[] };
    for (let round = 0; round < rounds; round += 1) {
      for (const [list, size] of [
        [ttfbs.small, 1 * mb],
        [ttfbs.large, 100 * mb],
      ] as const) {
        const { results, bytes } = await client.download({ port, paths: [freshPath(size)] });
        t.is(bytes, size);
        list.push(results[0]!.ttfbMs);
      }
    }
    const [small, large] = [medianOf(ttfbs.small), medianOf(ttfbs.large)];
    t.log(`1 MB: ${small.toFixed(1)} ms, 100 MB: ${large.toFixed(1)} ms`);
    // The origin's own delay is in both: anything below it was not measured from the request.
    t.true(small >= 19);
    t.true(large <= 3 * small);
  }));
