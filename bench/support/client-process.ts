// The client as a process of its own: takes a list of requests, makes them with so many at a time, and
// tells what each of them saw. It takes its orders over the channel that fork() makes, and ends with it.

import { systemClock } from '../../ts/clock.js';
import { type RawResult, receiveBytes, requestRaw, type SlowReading } from './raw-request.js';

export interface DownloadJob {
  readonly port: number;
  readonly items: readonly {
    readonly path: string;
    readonly range?: readonly [number, number];
  }[];
  readonly concurrency: number;
  readonly verify: boolean;
  readonly firstByteOnly: boolean;
  readonly slowly?: SlowReading;
}

export interface DownloadReport {
  /** In the order of the items. */
  readonly results: readonly RawResult[];
  /** From the first request to the last byte. */
  readonly elapsedMs: number;
}

export type ClientMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'done'; readonly report: DownloadReport };

const spare: Buffer[] = [];

/** Used again and again: memory that is new costs more than what is received into it. */
function takeBuffer(): Buffer {
  return spare.pop() ?? Buffer.allocUnsafeSlow(receiveBytes);
}

async function run({ port, items, concurrency, ...options }: DownloadJob): Promise<DownloadReport> {
  const results: RawResult[] = new Array(items.length);
  let next = 0;
  const startedMs = systemClock.monotonic();
  const work = async (): Promise<void> => {
    const buffer = takeBuffer();
    for (let index = next++; index < items.length; index = next++) {
      results[index] = await requestRaw(
        { port, ...items[index]!, ...options },
        buffer,
        systemClock,
      );
    }
    spare.push(buffer);
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, work));
  return { results, elapsedMs: systemClock.monotonic() - startedMs };
}

const tell = (message: ClientMessage): void => void process.send?.(message);
process.on('message', (job) => {
  run(job as DownloadJob).then((report) => tell({ kind: 'done', report }));
});
process.on('disconnect', () => process.exit(0));
tell({ kind: 'ready' });
