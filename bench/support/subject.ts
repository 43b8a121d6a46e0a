// What a suite compares: a proxy that can be started in front of the origin, by whatever program. Each
// has a directory of its own, is pinned to the core of subjects, and is stopped by its own pid.

import type { Scope } from './scope.js';

export interface Setup {
  readonly scope: Scope;
  /** Exists and is empty. */
  readonly directory: string;
  readonly originPort: number;
  /** What may be kept in memory, for those who have such a bound. */
  readonly memoryBytes: number;
  /** What may be kept on the disk. */
  readonly diskBytes: number;
}

export interface RunningSubject {
  /** With the version: "nginx 1.22". */
  readonly name: string;
  readonly port: number;
  /** Of the process whose tree does the work. */
  readonly pid: number;
  /** How it was configured, where a reader has to know. */
  readonly note?: string;
  /** Milliseconds from the start of the process until it took a connection. */
  readonly readyMs?: number;
  /** In order, or by the signal. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** One that can come back over what it had stored. */
export interface RestartableSubject extends RunningSubject {
  /** Ended by SIGKILL or in order, then started on the same port; resolves when it answers. */
  restart(how: 'kill' | 'stop'): Promise<RestartableSubject>;
}

export interface Subject {
  /** What `--rivals` calls it; null: no rival, always there. */
  readonly rival: string | null;
  /** For a line about it where it does not start. */
  readonly name: string;
  /** Null: it is here. Else why not, and how to install it. */
  missing(): string | null;
  start(setup: Setup): Promise<RunningSubject>;
}

export function isRestartable(subject: RunningSubject): subject is RestartableSubject {
  return 'restart' in subject;
}

/** The client at the origin's own port: what no proxy can be faster than. */
export function withoutProxy(originPort: number): RunningSubject {
  return {
    name: 'no proxy',
    port: originPort,
    // No process to be measured: CPU figures are not taken of it.
    pid: 0,
    stop: async () => {},
  };
}
