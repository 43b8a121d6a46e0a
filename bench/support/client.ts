// The client of a suite, seen from the suite. One process makes all requests, so that every subject is
// asked by the same code in the same state; the sockets are in client-process.ts.

import { InternalError } from '../../ts/errors.js';
import type { ClientMessage, DownloadJob, DownloadReport } from './client-process.js';
import { startNodeChild } from './node-child.js';
import type { RawResult, SlowReading } from './raw-request.js';
import type { Scope } from './scope.js';

export interface DownloadOptions {
  readonly port: number;
  readonly paths: readonly string[];
  /** One for each path; none: whole bodies. */
  readonly ranges?: readonly (readonly [number, number])[];
  /** Requests at a time; 1 without it. */
  readonly concurrency?: number;
  /** Off only where the comparison would cost more than what is measured. */
  readonly verify?: boolean;
  readonly firstByteOnly?: boolean;
  /** A part of each body, at a rate of its own. */
  readonly slowly?: SlowReading;
}

export interface Downloads extends DownloadReport {
  readonly bytes: number;
}

export interface Client {
  /** Rejects where a single answer is not what it has to be: a wrong figure is worse than none. */
  download(options: DownloadOptions): Promise<Downloads>;
}

export async function startClient(scope: Scope): Promise<Client> {
  const child = await startNodeChild<DownloadJob, ClientMessage>({
    name: 'the client',
    script: new URL('./client-process.js', import.meta.url),
    cores: 'others',
    scope,
  });
  return {
    download: async (options) => {
      const { port, paths, ranges, concurrency = 1, verify = true } = options;
      const items = paths.map((path, index) => {
        const range = ranges?.[index];
        return range === undefined ? { path } : { path, range };
      });
      const { firstByteOnly = false, slowly } = options;
      const how = { concurrency, verify, firstByteOnly, ...(slowly && { slowly }) };
      const message = await child.ask({ port, items, ...how });
      if (message.kind !== 'done') throw new InternalError('INTERNAL', 'the client was restarted');
      const { results, elapsedMs } = message.report;
      for (const [index, result] of results.entries()) {
        checkResult(result, paths[index]!, ranges?.[index] === undefined ? 200 : 206);
      }
      return { results, elapsedMs, bytes: results.reduce((sum, { bytes }) => sum + bytes, 0) };
    },
  };
}

function checkResult({ status, error }: RawResult, path: string, expected: number): void {
  const wrong = error !== '' ? error : status === expected ? '' : `status ${status}`;
  if (wrong !== '') throw new InternalError('INTERNAL', `${path}: ${wrong}`);
}
