// Asking the origin whether a stored response still holds, and what its 304, or its answer to a HEAD, does to
// what is stored (RFC 9111 section 4.3).

import { validationFields } from '../http/conditional.js';
import { isStrongTag, responseTag } from '../http/entity-tag.js';
import type { RawFields } from '../http/fields.js';
import { contradicts, matchesStored, mergeNotModified } from '../http/merge.js';
import { isReasonOfRequest } from '../http/storable.js';
import { tagsOf } from '../http/tags.js';
import type { Fill, StoredObject } from '../store/contract.js';
import { encodeHead, type Head, headFlags } from '../store/entry.js';
import type { UpstreamResponse } from '../upstream/request.js';
import type { Exchange } from './exchange.js';
import type { FillOutcome } from './fill-outcome.js';
import { headOf, judge } from './head.js';

export interface Validation {
  /** What the request would get; null where only variants for other requests are stored. */
  readonly object: StoredObject | null;
  /** If-None-Match and If-Modified-Since with the stored validators. */
  readonly condition: RawFields;
}

/** Null where there is nothing to validate, or nothing to validate it by. */
export function validationOf({ stored, variants, part }: Exchange): Validation | null {
  // A range and a condition of ours in one request could mean either.
  if (part !== null) return null;
  if (stored === null) {
    // One of the variants may be what the origin would send: its 304 then says which.
    const tags = new Set((variants?.list ?? []).map(({ etag }) => etag));
    tags.delete('');
    if (tags.size === 0) return null;
    return { object: null, condition: ['If-None-Match', [...tags].join(', ')] };
  }
  const condition = validationFields({ etag: stored.head.etag, fields: stored.head.fields });
  return condition.length === 0 ? null : { object: stored, condition };
}

/** What a 304 makes of what is stored; null where it does not speak of that. */
export async function validate(
  exchange: Exchange,
  validation: Validation,
  answer: UpstreamResponse,
  fill: Fill,
): Promise<FillOutcome | null> {
  const { services } = exchange;
  const { object } = validation;
  if (object !== null) {
    if (!matchesStored(object.head, answer.fields, answer.receivedMs)) return null;
    services.counters.revalidated += 1;
    const freshened = freshen(exchange, object, answer, fill);
    if (freshened.isStored) await freshenOthers(exchange, object, answer, fill);
    return { kind: 'validated', ...freshened };
  }
  const [newest, ...others] = await namedVariants(exchange, answer);
  for (const other of others) other.close();
  if (newest === undefined) return null;
  services.counters.revalidated += 1;
  exchange.stored = newest;
  const freshened = freshen(exchange, newest, answer, fill);
  if (freshened.isStored) {
    addChoice(exchange, newest, freshened.head, fill);
    await freshenOthers(exchange, newest, answer, fill);
  }
  return { kind: 'validated', ...freshened };
}

/** The stored variants that a 304 names, the most recent first. */
async function namedVariants(
  { services, key, variants }: Exchange,
  answer: UpstreamResponse,
): Promise<StoredObject[]> {
  if (variants === null) return [];
  const named = variants.list.filter(
    ({ etag }) => etag !== '' && matchesStored({ etag, lastModifiedS: null }, answer.fields, 0),
  );
  // A 304 without a tag names nothing, unless we have named just one.
  const isTagged = responseTag(answer.fields) !== '';
  if (!isTagged && new Set(named.map(({ etag }) => etag)).size > 1) return [];
  const places = new Set(named.map(({ place }) => place));
  const found = await services.store!.variantsAt(key, variants, [...places]);
  const fit = found.filter(({ head }) => matchesStored(head, answer.fields, answer.receivedMs));
  for (const other of found) if (!fit.includes(other)) other.close();
  return fit;
}

/** A strong validator speaks of every stored variant that has it. */
async function freshenOthers(
  exchange: Exchange,
  chosen: StoredObject,
  answer: UpstreamResponse,
  fill: Fill,
): Promise<void> {
  const { variants, services, key } = exchange;
  const tag = responseTag(answer.fields);
  if (variants === null || !isStrongTag(tag)) return;
  const own = chosen.key.slice(key.length);
  const places = new Set(
    variants.list.filter(({ etag }) => etag === tag).map(({ place }) => place),
  );
  places.delete(own);
  if (places.size === 0) return;
  for (const other of await services.store!.variantsAt(key, variants, [...places])) {
    if (other.head.etag === tag) freshen(exchange, other, answer, fill);
    other.close();
  }
}

function addChoice(exchange: Exchange, object: StoredObject, head: Head, fill: Fill): void {
  const { services, key, fields, variants } = exchange;
  if (head.varyNames.length === 0 || variants === null) return;
  const variant = services.store!.variantKey(key, head.varyNames, fields);
  if (variant === null) return;
  const choice = variant.slice(key.length);
  services.store!.addChoice(key, variants, choice, object, fill);
}

interface Freshened {
  readonly head: Head;
  readonly isStored: boolean;
}

/** The stored head with the answer's fields in it. */
function freshen(
  exchange: Exchange,
  object: StoredObject,
  answer: UpstreamResponse,
  fill: Fill,
): Freshened {
  const { services, key } = exchange;
  const { head } = object;
  const merged = {
    status: head.status,
    reason: head.reason,
    fields: mergeNotModified(head.fields, answer.fields),
    receivedMs: answer.receivedMs,
  };
  const judgement = judge(exchange, merged, answer);
  const tags = tagsOf(answer.fields) === null ? head.tags : null;
  const decided = headOf(exchange, judgement, merged, head.bodyLength, tags);
  const refreshed = { ...decided, flags: decided.flags | (head.flags & headFlags.incomplete) };
  const isSameVariant = refreshed.varyNames.join() === head.varyNames.join();
  if (judgement.store && isSameVariant) {
    replaceHead(exchange, object, refreshed, fill);
    return { head: refreshed, isStored: true };
  }
  // Answers to this request are not for the store: what is there stays as it is.
  if (isReasonOfRequest(judgement.reason)) return { head: refreshed, isStored: false };
  // The answer takes the permission back, or chooses variants by other fields than before.
  services.store!.purgeKey(key);
  return { head: refreshed, isStored: false };
}

function replaceHead({ services }: Exchange, object: StoredObject, head: Head, fill: Fill): void {
  try {
    services.store!.refresh(object, encodeHead(head), fill);
  } catch {
    // No page for the new head, or purged meanwhile: it is validated again next time.
  }
}

/**
 * What a 200 to HEAD says about a stored response (RFC 9111 section 4.3.5): it is freshened where nothing
 * contradicts it, and stale from now on where something does. `fill` was begun before the origin was asked.
 */
export function freshenByHead(
  exchange: Exchange,
  object: StoredObject,
  answer: UpstreamResponse,
  fill: Fill,
): void {
  const { head } = object;
  if (!contradicts(head, answer.fields, answer.receivedMs)) {
    freshen(exchange, object, answer, fill);
    return;
  }
  const freshUntilMs = Math.min(head.freshUntilMs, answer.receivedMs);
  const stale = { ...head, freshUntilMs, staleWhileRevalidateUntilMs: 0, staleIfErrorUntilMs: 0 };
  replaceHead(exchange, object, stale, fill);
}

/**
 * A full answer says that what is stored is not the one to be used any more. Where the answer itself is
 * not stored, that still holds from the next request on, unless it is an error, or the reason lies in
 * this request.
 */
export function dropReplaced(
  { stored, services }: Exchange,
  status: number,
  reason: string,
  hasCredentials: boolean,
): void {
  const isAboutResource = status < 400 || status === 404 || status === 410;
  // Without credentials on either side, what was refused is there for nobody.
  const isPrivate = hasCredentials || (stored?.head.flags ?? 0) & headFlags.authorized;
  const isOfRequest = isReasonOfRequest(reason) && (reason !== 'access' || isPrivate);
  if (stored === null || isOfRequest || !isAboutResource) return;
  if (services.clock.now() >= stored.head.freshUntilMs) services.store!.forget(stored);
}
