// The origin as a process of its own, so that its memory and its time are not the proxy's nor the
// demo's. The demo talks to it over the channel that fork() makes, and it ends when that channel does:
// a demo that is killed leaves no server behind.

import { systemClock } from '../../clock.js';
import { startOrigin } from './origin.js';
import { makeThrottle } from './throttle.js';

/** What the demo gives as the one argument, as JSON. */
export interface OriginArguments {
  readonly files: Readonly<Record<string, string>>;
  readonly bytesPerSecond: number;
}

export type OriginMessage =
  | { readonly kind: 'ready'; readonly port: number }
  | { readonly kind: 'counts'; readonly counts: Readonly<Record<string, number>> };

async function main(argument: string): Promise<void> {
  const { files, bytesPerSecond } = JSON.parse(argument) as OriginArguments;
  const origin = await startOrigin({
    files,
    throttle: makeThrottle(bytesPerSecond, systemClock),
  });
  const tell = (message: OriginMessage): void => void process.send?.(message);
  process.on('message', () => tell({ kind: 'counts', counts: origin.counts() }));
  process.on('disconnect', () => process.exit(0));
  // Ctrl-C reaches every process of the terminal; the demo decides when this one ends.
  process.on('SIGINT', () => {});
  tell({ kind: 'ready', port: origin.port });
}

// Without an argument this is the module that the demo takes the types from.
if (process.argv[2] !== undefined && process.send !== undefined) void main(process.argv[2]);
