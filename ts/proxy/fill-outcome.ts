// What becomes of one request to the origin on behalf of many.

import { UpstreamError } from '../errors.js';
import type { Head } from '../store/entry.js';
import type { UpstreamResponse } from '../upstream/request.js';

export type FillOutcome =
  /** Storable: the body can be followed by any number of readers. */
  | { readonly kind: 'shared'; readonly head: Head }
  /** For the one who asked. The body must be read or given up. */
  | { readonly kind: 'private'; readonly response: UpstreamResponse; readonly reason: string }
  /** The stored object still holds, under this head. */
  | { readonly kind: 'validated'; readonly head: Head; readonly isStored: boolean }
  /** Another fill of the key has the whole already: look again. */
  | { readonly kind: 'superseded' }
  | { readonly kind: 'failed'; readonly error: Error };

/** Refusals that tell nothing about what the next request for the key gets. */
export const notesNothing: ReadonlySet<string> = new Set([
  'stale-if-error',
  'request-no-store',
  'status',
  'access',
  'memory',
]);

/** The rest of a version that the origin does not give, or not any more. */
export function changedError(key: string, etag: string, status: number): UpstreamError {
  const isChanged = status < 300 || status === 416;
  return new UpstreamError(
    isChanged ? 'UPSTREAM_VALIDATOR_CHANGED' : 'UPSTREAM_TRUNCATED',
    `${key}: the origin answered ${status} where the rest of ${etag} was wanted`,
  );
}
