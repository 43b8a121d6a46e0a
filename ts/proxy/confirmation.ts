// cache.authorization: confirm. What was fetched for a client that showed credentials is stored, and whoever
// asks for it later is the origin's to let in: with the credentials of that request, each time, before a byte
// of it is served. A condition makes that cost no body. Steps lookup and fill ask here, and so do the rules
// about what may stand in for an origin that failed.

import { validationFields } from '../http/conditional.js';
import { fieldLines, type RawFields } from '../http/fields.js';
import { matchesStored } from '../http/merge.js';
import { credentialFields } from '../http/storable.js';
import { type Head, headFlags } from '../store/entry.js';
import type { Exchange } from './exchange.js';
import { askOrigin } from './origin-request.js';
import type { RunningFill } from './running-fill.js';

/** The stored response may be used for this request only if the origin says so now. */
export function needsConfirmation(exchange: Exchange, head: Head): boolean {
  return isConfirmed(exchange) && (head.flags & headFlags.authorized) !== 0;
}

export function isConfirmed(exchange: Exchange): boolean {
  return exchange.rule!.cache.authorization === 'confirm';
}

/** What tells apart whom the origin lets in; '' for somebody who shows nothing. */
export function credentialsOf(fields: RawFields): string {
  return credentialFields
    .flatMap((name) => fieldLines(fields, name).map((line) => `${name}:${line}`))
    .join('\n');
}

/**
 * A running fill of the same on other credentials, where the origin is to say who else may have it. `joined`:
 * the one that has what is wanted.
 */
export function foreignFill(exchange: Exchange, joined: RunningFill | null): RunningFill | null {
  if (!isConfirmed(exchange)) return null;
  const { services, key, fields, part, stored } = exchange;
  if (joined !== null) return joined.isOpenTo(fields) ? null : joined;
  return stored === null ? services.fills.besides(key, fields, part) : null;
}

/** Whether the origin vouches that this client may have what the fill fetches. */
export async function isConfirmedBy(
  exchange: Exchange,
  source: RunningFill,
  head: Head,
): Promise<boolean> {
  const condition = validationFields(head);
  const isSame = !source.isPurged() && source.hasWanted(exchange.fields, exchange.part);
  if (condition.length === 0 || !isSame) return false;
  const answer = await askOrigin(exchange, 'fill', condition);
  answer.body.abort();
  const isVouched = answer.status === 304 && matchesStored(head, answer.fields, answer.receivedMs);
  return isVouched && !source.isPurged();
}
