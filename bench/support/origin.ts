// The origin of a suite, seen from the suite: its address, what it was asked, and the conditions under
// which it answers. All subjects of a suite have the same one. The server is in origin-process.ts.

import { startNodeChild } from './node-child.js';
import type {
  OriginConditions,
  OriginCounts,
  OriginMessage,
  OriginOrder,
} from './origin-process.js';
import type { BodyKind } from './pattern.js';
import type { Scope } from './scope.js';

export interface Origin {
  readonly port: number;
  /** Since start; the difference of two looks is what a step has cost. */
  counts(): Promise<OriginCounts>;
  /** Unlimited and without delay until told otherwise. */
  set(conditions: OriginConditions): Promise<void>;
  /** By SIGKILL: every connection ends where it is. */
  kill(): Promise<void>;
}

const noCounts: OriginCounts = { requests: 0, bodies: 0, bytes: 0, lastRange: '' };

/** On a port that the system chooses, or on one where another was before. */
export async function startOrigin(scope: Scope, port = 0): Promise<Origin> {
  const child = await startNodeChild<OriginOrder, OriginMessage>({
    name: 'the origin',
    script: new URL('./origin-process.js', import.meta.url),
    cores: 'others',
    arguments: [String(port)],
    scope,
  });
  const ask = async (order: OriginOrder): Promise<OriginCounts> => {
    const message = await child.ask(order);
    return message.kind === 'counts' ? message.counts : noCounts;
  };
  return {
    port: child.ready.kind === 'ready' ? child.ready.port : 0,
    counts: () => ask({ kind: 'counts' }),
    set: async (conditions) => void (await ask({ kind: 'conditions', conditions })),
    kill: async () => {
      process.kill(child.pid, 'SIGKILL');
      await child.stop();
    },
  };
}

let made = 0;

/** The path of an object that nobody has asked for yet. */
export function freshPath(size: number, kind: BodyKind = 'noise'): string {
  made += 1;
  const suffix = kind === 'noise' ? '' : `&kind=${kind}`;
  return `/size/${size}?n=${process.pid}-${made}${suffix}`;
}
