// Suites that compare millrace with itself, an option of raw_disk_cache one way and the other: whether the
// option does anything in this version, an instance of each kind, and the step that most of them measure:
// objects stored, and read back by a process that has them on the disk alone.

import { findNotInEffect } from '../../ts/config/not-in-effect.js';
import type { Suite, SuiteContext } from '../harness.js';
import {
  attempt,
  type Bench,
  costOf,
  cpuPerGb,
  eachTurn,
  throughput,
  ttfbAt,
  warmUp,
  withBench,
} from './bench.js';
import { type DiskOptions, millrace, type RunningMillrace } from './millrace.js';
import { coldNote, dropPageCache } from './page-cache.js';
import { type Figure, lower } from './rows.js';
import type { Bounds } from './stage.js';

/** Null: they are. Else a sentence for a skip. */
export function notInEffect(disk: DiskOptions): string | null {
  const found = findNotInEffect({ raw_disk_cache: disk });
  return found.length === 0 ? null : `not in effect in this version: ${found.join(', ')}`;
}

export interface Objects {
  readonly name: string;
  readonly paths: readonly string[];
  readonly concurrency: number;
}

export interface StoreAndRead {
  /** Begun before the objects are stored; its figures belong to the misses. */
  readonly whileStored?: (subject: RunningMillrace) => Promise<() => Promise<Figure[]>>;
  /** Read them once more, from wherever they are then. */
  readonly again?: boolean;
}

/** Two or three rows: misses, hits from the disk, and hits after those. Gives the instance that goes on. */
export async function storeAndRead(
  bench: Bench,
  subject: RunningMillrace,
  { name, paths, concurrency }: Objects,
  { whileStored, again = false }: StoreAndRead = {},
): Promise<RunningMillrace> {
  const { client, context, rows, origin } = bench;
  dropPageCache();
  const more = await whileStored?.(subject);
  const stored = await costOf(subject, context.signal, async () => {
    const downloads = await client.download({ port: subject.port, paths, concurrency });
    await subject.flushed();
    return downloads;
  });
  const { bytes } = stored.value;
  const ofMisses = [throughput(stored.value), cpuPerGb(stored.cpuMs, bytes)];
  rows.add(subject.name, `misses, ${name}`, [...ofMisses, ...((await more?.()) ?? [])]);
  const restarted = await subject.restart('stop');
  const read = async (title: string, note?: string): Promise<void> => {
    const before = (await origin.counts()).requests;
    const { value: downloads, cpuMs } = await costOf(restarted, context.signal, () =>
      client.download({ port: restarted.port, paths, concurrency }),
    );
    const asked = (await origin.counts()).requests - before;
    const figures = [
      throughput(downloads),
      ttfbAt(downloads, 0.5, 'TTFB p50'),
      cpuPerGb(cpuMs, bytes),
      lower('origin requests', 'count', asked),
    ];
    rows.add(restarted.name, `${title}, ${name}`, figures, note);
  };
  await read('hits from disk', coldNote(dropPageCache()));
  if (again) await read('hits again');
  return restarted;
}

export interface Comparison {
  /** Of raw_disk_cache. */
  readonly option: string;
  /** True and false without them. */
  readonly values?: readonly [string | boolean, string | boolean];
  readonly bounds: Bounds;
  /** New ones at each call: what was stored once is no miss. */
  objects(context: SuiteContext): readonly Objects[];
  readonly step?: StoreAndRead;
}

/** Skipped whole while the option has no effect. */
export async function compareOption(
  context: SuiteContext,
  { option, values = [true, false], bounds, objects, step }: Comparison,
): Promise<void> {
  const [why = null] = values.map((value) => notInEffect({ [option]: value })).filter(Boolean);
  if (why !== null) {
    context.skip(`millrace, ${option}`, why);
    return;
  }
  await withBench(context, async (bench) => {
    const start = (value: string | boolean): Promise<RunningMillrace> => {
      const name = `millrace, ${option}: ${value}`;
      return bench.start(
        millrace({ name, disk: { [option]: value }, zeroFill: !context.quick }),
        bounds,
      );
    };
    const kinds = [await start(values[0]), await start(values[1])];
    const current = new Map(kinds.map((subject) => [subject, subject]));
    await warmUp(bench, kinds);
    await eachTurn(context, kinds, async (subject) => {
      // A look is content with the first kind of objects.
      const kindsOfObjects = objects(context).slice(0, context.quick ? 1 : undefined);
      for (const what of kindsOfObjects) {
        const running = current.get(subject) ?? subject;
        await attempt(context, running, what.name, async () => {
          current.set(subject, await storeAndRead(bench, running, what, step));
        });
      }
    });
  });
}

/** A suite of one option. */
export function optionSuite(
  told: Pick<Suite, 'name' | 'title' | 'about'>,
  comparison: Comparison,
): Suite {
  return { ...told, run: (context) => compareOption(context, comparison) };
}
