// Origins whose response goes stale after a minute, for the tests of validation and of stale answers: what
// they say first, what they say when asked again, and the minute that passes.

import type { Scene } from './harness.js';
import type { Script } from './scripted-origin.js';

export const lastModified = 'Fri, 15 Jan 2027 07:00:00 GMT';
const validated = [
  ...['Cache-Control', 'max-age=60'],
  ...['ETag', '"v1"', 'Last-Modified', lastModified, 'X-Kept', 'old', 'X-New', 'old'],
];

/** First the stored response, then whatever `later` says. */
export function firstThen(later: Script, fields: readonly string[] = validated): Script {
  let isFirst = true;
  return async (request, reply) => {
    if (!isFirst) return later(request, reply);
    isFirst = false;
    return reply.send({ fields, body: 'version 1' });
  };
}

/** A 304 with a new field. */
export const unchanged: Script = (_request, reply) =>
  reply.send({ status: 304, reason: 'Not Modified', fields: ['ETag', '"v1"', 'X-New', 'new'] });

/** Stores /a and lets its minute pass. */
export async function makeStale(scene: Scene): Promise<void> {
  await scene.get('/a');
  await scene.settled();
  scene.clock.advance(61_000);
}
