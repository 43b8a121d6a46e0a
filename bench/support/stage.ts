// The scene of a measurement: one origin and one client as processes of their own, and subjects between
// them, each in a directory of its own. The suites of bench/ and the tests of test/performance/ play on
// it; it knows neither.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Client, startClient } from './client.js';
import { type Origin, startOrigin } from './origin.js';
import { type Scope, withScope } from './scope.js';
import type { RunningSubject, Setup, Subject } from './subject.js';

export interface StageOptions {
  /** Exists; removed by whoever made it. */
  readonly directory: string;
  readonly signal: AbortSignal;
  /**
   * True: the subjects on one core, the rest on the others, which is fair. False: wherever there is
   * time, which is better where other programs run beside.
   */
  readonly isPinned: boolean;
}

export interface Bounds {
  readonly memoryBytes?: number;
  readonly diskBytes?: number;
}

export interface Stage {
  readonly origin: Origin;
  readonly client: Client;
  readonly scope: Scope;
  readonly directory: string;
  /** A new instance over an empty cache. Stopped at the latest when the stage closes. */
  start<S extends Subject>(subject: S, bounds?: Bounds): ReturnType<S['start']>;
}

const mib = 2 ** 20;
export const memoryBytesDefault = 100 * mib;
export const diskBytesDefault = 1024 * mib;

export function withStage<T>(
  { directory, signal, isPinned }: StageOptions,
  play: (stage: Stage) => Promise<T>,
): Promise<T> {
  return withScope({ signal, isPinned }, async (scope) => {
    const origin = await startOrigin(scope);
    const client = await startClient(scope);
    let started = 0;
    const start = async (subject: Subject, bounds: Bounds = {}): Promise<RunningSubject> => {
      started += 1;
      const own = join(directory, `subject-${started}`);
      await mkdir(own);
      const setup: Setup = {
        scope,
        directory: own,
        originPort: origin.port,
        memoryBytes: bounds.memoryBytes ?? memoryBytesDefault,
        diskBytes: bounds.diskBytes ?? diskBytesDefault,
      };
      return subject.start(setup);
    };
    // A subject's start() tells what kind of instance it makes; the stage only hands it in.
    return play({ origin, client, scope, directory, start: start as Stage['start'] });
  });
}
