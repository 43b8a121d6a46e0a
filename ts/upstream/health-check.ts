// Checks of our own: a GET of the configured path at each origin, again and again. They go past the limit of
// connections, for an origin that is busy is not an origin that is down.

import type { Clock } from '../clock.js';
import type { HealthConfig, OriginHealth } from './health.js';
import type { Origin } from './pool.js';
import { sendRequest } from './request.js';
import type { Timers } from './timers.js';

/** A check's body is read so that its connection can be used again; more than this is given up. */
const bodyBytesMax = 64 * 1024;

export interface CheckedOrigin {
  readonly origin: Origin;
  readonly health: OriginHealth;
}

export interface CheckOptions {
  readonly config: HealthConfig;
  readonly clock: Clock;
  readonly timers: Timers;
  /** From 0 to 1: origins and instances do not check in step. */
  readonly random: () => number;
}

/** Starts at once; returns what ends it. Without a path there is nothing to start. */
export function startChecks(servers: readonly CheckedOrigin[], options: CheckOptions): () => void {
  const { config, timers, random } = options;
  const cancels = new Map<CheckedOrigin, () => void>();
  let isOver = false;
  if (config.path === null) return () => {};
  const run = async (server: CheckedOrigin): Promise<void> => {
    const problem = await check(server.origin, options);
    if (isOver) return;
    server.health.checked(problem);
    // From nine tenths of the interval to eleven.
    const waitMs = config.intervalMs * (0.9 + 0.2 * random());
    cancels.set(
      server,
      timers.after(waitMs, () => void run(server)),
    );
  };
  for (const server of servers) void run(server);
  return () => {
    isOver = true;
    for (const cancel of cancels.values()) cancel();
  };
}

/** What was wrong; null: nothing. */
async function check(origin: Origin, { config, clock }: CheckOptions): Promise<string | null> {
  try {
    const response = await sendRequest(
      origin,
      {
        method: 'GET',
        target: config.path!,
        fields: ['Host', origin.url.host, 'User-Agent', 'millrace-health'],
        body: null,
      },
      clock,
      ({ body }) => {
        let bytes = 0;
        const onData = (chunk: Uint8Array): boolean => {
          bytes += chunk.length;
          if (bytes > bodyBytesMax) body.abort();
          return true;
        };
        body.read({ onData, onEnd() {}, onError() {} });
      },
      { answerMs: config.timeoutMs, totalMs: 2 * config.timeoutMs },
    );
    if (config.expectedStatus.has(response.status)) return null;
    return `GET ${config.path} answered ${response.status}`;
  } catch (error) {
    return (error as Error).message;
  }
}
