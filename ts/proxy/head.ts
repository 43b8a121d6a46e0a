// A judged response as the head that is stored, and the parts of a stored head that decide about reuse.

import { fieldLines, type RawFields, withField, withoutField } from '../http/fields.js';
import {
  type CachePolicy,
  type Judgement,
  judgeResponse,
  type ResponseTimes,
  type ReusableHead,
} from '../http/freshness.js';
import { withoutHopByHop } from '../http/hop-by-hop.js';
import { formatHttpDate } from '../http/http-date.js';
import { tagsOf, withoutTags } from '../http/tags.js';
import { type Head, headFlags } from '../store/entry.js';
import type { Exchange } from './exchange.js';

const noTags = new Uint8Array(0);

export function policyOf(exchange: Exchange, status: number): CachePolicy {
  const { config } = exchange.services;
  const { cache } = exchange.rule!;
  const { heuristic, stale } = cache;
  // cache_ttl is the lifetime of a rule that overrides the origin without naming one for this status.
  const fallback = cache.overrideOrigin && status === 200 ? config.cacheTtlMs : null;
  return {
    defaultTtlMs: cache.ttlMs.get(status) ?? fallback,
    overrideOrigin: cache.overrideOrigin,
    targetedFields: cache.targetedFields,
    heuristicFraction: heuristic.fraction,
    heuristicMaxMs: heuristic.maxMs,
    staleWhileRevalidateMs: stale.whileRevalidateMs,
    staleIfErrorMs: stale.ifErrorMs,
    ignoreRequestDirectives: cache.ignoreRequestDirectives,
    setCookie: cache.setCookie,
    authorization: cache.authorization,
  };
}

export function judge(
  exchange: Exchange,
  response: { readonly status: number; readonly fields: RawFields },
  times: ResponseTimes,
): Judgement {
  // What is stored is a response to GET, also where a HEAD has brought its fields up to date.
  const method = exchange.method === 'HEAD' ? 'GET' : exchange.method;
  const request = { method, fields: exchange.fields };
  return judgeResponse(request, response, times, policyOf(exchange, response.status));
}

/**
 * Names that choose the variant: those of Vary, those that the route adds, and Accept-Encoding wherever
 * the body is coded.
 */
function varyNamesOf(
  judgement: Judgement,
  fields: RawFields,
  added: readonly string[],
): readonly string[] {
  const isCoded = fieldLines(fields, 'content-encoding').some(
    (value) => !/^identity$/i.test(value),
  );
  // An origin that forgets Vary would have us send gzip to a client that cannot read it.
  const coding = isCoded ? ['accept-encoding'] : [];
  if (added.length === 0 && coding.length === 0) return judgement.varyNames;
  return [...new Set([...judgement.varyNames, ...added, ...coding])].sort();
}

/** The time of receipt stands in for a Date that the origin did not give; a hit's own time must not. */
function withDate(fields: RawFields, receivedMs: number): RawFields {
  if (fieldLines(fields, 'date').length > 0) return fields;
  return withField(fields, 'Date', formatHttpDate(receivedMs / 1000));
}

/** `tags` are those of the stored head that a 304 without any leaves as they are. */
export function headOf(
  exchange: Exchange,
  judgement: Judgement,
  response: {
    readonly status: number;
    readonly reason: string;
    readonly fields: RawFields;
    readonly receivedMs: number;
  },
  bodyLength: number | null,
  tags: Uint8Array | null = null,
): Head {
  const { store, config } = exchange.services;
  const named = tagsOf(response.fields) ?? [];
  const { cache } = exchange.rule!;
  const open = config.purge.exposeTags ? response.fields : withoutTags(response.fields);
  const fields = cache.setCookie === 'strip' ? withoutField(open, 'set-cookie') : open;
  const flag = (isSet: boolean, bit: number) => (isSet ? bit : 0);
  return {
    status: response.status,
    flags:
      flag(judgement.mustRevalidate, headFlags.mustRevalidate) |
      flag(judgement.noCache, headFlags.noCache) |
      flag(judgement.immutable, headFlags.immutable) |
      flag(judgement.strongValidator, headFlags.strongValidator) |
      flag(judgement.acceptsRanges, headFlags.acceptsRanges) |
      flag(judgement.hasSetCookie, headFlags.hasSetCookie) |
      flag(judgement.authorized, headFlags.authorized),
    responseMs: response.receivedMs,
    initialAgeMs: judgement.initialAgeMs,
    freshUntilMs: judgement.freshUntilMs,
    staleWhileRevalidateUntilMs: judgement.staleWhileRevalidateUntilMs,
    staleIfErrorUntilMs: judgement.staleIfErrorUntilMs,
    bodyLength,
    lastModifiedS: judgement.lastModifiedS,
    dateS: judgement.dateS,
    etag: judgement.etag,
    varyNames: varyNamesOf(judgement, response.fields, cache.key.fields),
    tags: tags ?? (named.length === 0 ? noTags : store!.tagHashes(named)),
    fields: withDate(withoutHopByHop(fields), response.receivedMs),
    reason: response.reason,
  };
}

/** What freshnessOf and mayServeStale ask about a stored head. */
export function reusable(head: Head): ReusableHead & { readonly staleIfErrorUntilMs: number } {
  return {
    responseMs: head.responseMs,
    initialAgeMs: head.initialAgeMs,
    freshUntilMs: head.freshUntilMs,
    staleIfErrorUntilMs: head.staleIfErrorUntilMs,
    noCache: (head.flags & headFlags.noCache) !== 0,
    mustRevalidate: (head.flags & headFlags.mustRevalidate) !== 0,
    immutable: (head.flags & headFlags.immutable) !== 0,
  };
}
