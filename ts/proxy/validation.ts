// Asking the origin whether a stored response still holds, and what its 304 does to the stored head.

import { validationFields } from '../http/conditional.js';
import type { RawFields } from '../http/fields.js';
import { matchesStored, mergeNotModified } from '../http/merge.js';
import { tagsOf } from '../http/tags.js';
import type { Fill, StoredObject } from '../store/contract.js';
import { encodeHead } from '../store/entry.js';
import type { UpstreamResponse } from '../upstream/request.js';
import type { Exchange } from './exchange.js';
import { headOf, judge } from './head.js';
import type { FillOutcome } from './running-fill.js';

export interface Validation {
  readonly object: StoredObject;
  /** If-None-Match and If-Modified-Since with the stored validators. */
  readonly condition: RawFields;
}

/** Null where there is nothing to validate, or nothing to validate it by. */
export function validationOf(stored: StoredObject | null): Validation | null {
  if (stored === null) return null;
  const condition = validationFields({ etag: stored.head.etag, fields: stored.head.fields });
  return condition.length === 0 ? null : { object: stored, condition };
}

/** What a 304 makes of the stored response; null where it does not speak of that one. */
export function validate(
  exchange: Exchange,
  validation: Validation,
  answer: UpstreamResponse,
  fill: Fill,
): FillOutcome | null {
  const { services, key } = exchange;
  const { object } = validation;
  if (!matchesStored(object.head, answer.fields, answer.receivedMs)) return null;
  const { head } = object;
  const merged = {
    status: head.status,
    reason: head.reason,
    fields: mergeNotModified(head.fields, answer.fields),
    receivedMs: answer.receivedMs,
  };
  const judgement = judge(exchange, merged, answer);
  const tags = tagsOf(answer.fields) === null ? head.tags : null;
  const refreshed = headOf(exchange, judgement, merged, head.bodyLength, tags);
  services.counters.revalidated += 1;
  const isSameVariant = refreshed.varyNames.join() === head.varyNames.join();
  if (judgement.store && isSameVariant) {
    try {
      services.store!.refresh(object, encodeHead(refreshed), fill);
      return { kind: 'validated', head: refreshed, isStored: true };
    } catch {
      // No page for the new head: it is validated again next time.
      return { kind: 'validated', head: refreshed, isStored: true };
    }
  }
  // The 304 takes the permission back, or chooses variants by other fields than before.
  services.store!.purgeKey(key);
  return { kind: 'validated', head: refreshed, isStored: false };
}
