// Against a proxy that downloads first: at 100 MB over a line of 100 MB/s the first byte comes at least
// ten times earlier, and the last one no later.

import test from 'ava';
import { simple } from '../../bench/rivals/node-subjects.js';
import { millrace } from '../../bench/support/millrace.js';
import { freshPath } from '../../bench/support/origin.js';
import { medianOf, onStage } from '../support/performance.js';

const size = 100e6;
const rounds = 3;

test('streaming: the first byte comes ten times earlier than from a proxy that downloads first', (t) =>
  onStage(t, async ({ origin, client, start }) => {
    await origin.set({ bytesPerSecond: 100e6 });
    const subjects = [await start(millrace()), await start(simple)];
    const measured = subjects.map(() => ({ ttfb: [] as number[], total: [] as number[] }));
    for (let round = 0; round < rounds; round += 1) {
      for (const [index, { port }] of subjects.entries()) {
        const { results } = await client.download({ port, paths: [freshPath(size)] });
        measured[index]!.ttfb.push(results[0]!.ttfbMs);
        measured[index]!.total.push(results[0]!.totalMs);
      }
    }
    const [streaming, downloading] = measured.map(({ ttfb, total }) => ({
      ttfb: medianOf(ttfb),
      total: medianOf(total),
    })) as [{ ttfb: number; total: number }, { ttfb: number; total: number }];
    t.log(`first byte: ${streaming.ttfb.toFixed(1)} ms against ${downloading.ttfb.toFixed(0)} ms`);
    // The baseline is what it is said to be: it has the whole body before it answers.
    t.true(downloading.ttfb >= 0.8 * downloading.total);
    t.true(downloading.ttfb >= 10 * streaming.ttfb);
    t.true(streaming.total <= 1.5 * downloading.total);
  }));
