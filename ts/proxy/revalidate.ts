// Step revalidate: the stored response may not be used as it is; the origin is asked whether it still
// holds. One question per key, however many clients wait: it travels as a fill with a condition.

import type { Exchange, StepName } from './exchange.js';
import { obtain } from './fill.js';
import { RunningFill } from './running-fill.js';

export function revalidate(exchange: Exchange): Promise<StepName> {
  return obtain(exchange);
}

/** stale-while-revalidate: the same question while the client already has its answer. */
export async function freshenInBackground(exchange: Exchange): Promise<void> {
  const { services, key, fields } = exchange;
  const { freshening } = services.fills;
  const name = exchange.stored!.key;
  // By a set of its own: where the key's answers are not for sharing, no fill is there to be joined.
  if (freshening.has(name) || services.fills.join(key, fields, null) !== null) return;
  freshening.add(name);
  try {
    await freshenStored(exchange);
  } finally {
    freshening.delete(name);
  }
}

async function freshenStored(exchange: Exchange): Promise<void> {
  const { services, key, fields } = exchange;
  // The exchange closes its own handle when its client is served; the question may take longer.
  const found = await services.store!.lookup(key, fields);
  if (found.kind !== 'object') return;
  const leader: Exchange = { ...exchange, stored: found.object, answer: null };
  try {
    if (services.fills.join(key, fields, null) !== null) return;
    const outcome = await new RunningFill(leader).ready;
    if (outcome.kind === 'private') outcome.response.body.abort();
    if (outcome.kind === 'failed') throw outcome.error;
  } finally {
    found.object.close();
  }
}
