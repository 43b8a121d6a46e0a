// What becomes of a fill that its last client has left before its end: whether the rest is worth its bytes
// from the origin, by the route's choice. What is given up stays as an incomplete object where the next
// request can go on from there (decision 0012).

import type { ClientAbortConfig } from '../config/schema.js';

export interface Progress {
  /** Bytes of this fill that have come. */
  readonly done: number;
  /** Bytes that it is to have; null: only its end will tell. */
  readonly length: number | null;
}

/** True: the fill goes on for the store. */
export function goesOnUnread(config: ClientAbortConfig, { done, length }: Progress): boolean {
  if (config.policy === 'continue' || done === length) return true;
  // How much lacks of a body without a length nobody knows: it might be endless.
  if (config.policy === 'stop' || length === null) return false;
  return length - done <= config.bytesLeft || done >= config.completed * length;
}
