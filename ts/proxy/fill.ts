// Step fill: joins the running fill of this key or starts one, and waits for its head. A body that may be
// stored is followed; one that may not goes to the exchange that asked for it, and everybody else asks
// again alone.

import { UpstreamError } from '../errors.js';
import { withoutTags } from '../http/tags.js';
import type { Head } from '../store/entry.js';
import { fillBody, upstreamBody } from './body.js';
import { bodyLengthOf } from './body-length.js';
import { foreignFill, isConfirmedBy } from './confirmation.js';
import type { Answer, Exchange, StepName } from './exchange.js';
import { lookupsMax } from './part-request.js';
import { patchedBody } from './patched-body.js';
import { type FillOutcome, RunningFill } from './running-fill.js';
import { isOriginError, mayStandIn } from './stale.js';
import { answerFromStore, resumeOf } from './stored-answer.js';

/** How often an exchange looks for another fill to join before it asks for itself alone. */
const joinsMax = 3;
/** How often an exchange asks again because of purges: each time it takes a new one. */
const purgesMax = 8;

export function fill(exchange: Exchange): Promise<StepName> {
  return obtain(exchange);
}

function purgedTooOften(exchange: Exchange): UpstreamError {
  return new UpstreamError(
    'UPSTREAM_VALIDATOR_CHANGED',
    `${exchange.key} was purged again each time that it was being fetched`,
    { retryable: true },
  );
}

/** The same for a stored response that has to be validated: step revalidate. */
export async function obtain(exchange: Exchange): Promise<StepName> {
  const { fills, counters } = exchange.services;
  let wasLetGo = false;
  for (let joins = 0; ; joins += 1) {
    const { key, fields, part } = exchange;
    const running = joins < joinsMax ? fills.join(key, fields, part) : null;
    const foreign = running === null && joins === 0 ? foreignFill(exchange) : null;
    if (foreign !== null) {
      const next = await followForeign(exchange, foreign);
      if (next !== null) return next;
      continue;
    }
    const leads = running === null;
    const source = running ?? new RunningFill(exchange);
    // Once: who went on waiting with every new fill would never hear that the origin fails.
    const outcome = await (leads || wasLetGo ? source.ready : source.soon);
    if (outcome === null) {
      counters.waitersReleased += 1;
      wasLetGo = true;
      continue;
    }
    if (outcome.kind === 'shared' && source.isPurged()) {
      // What came was asked for before the purge. Nobody else waits for it but who is here as well.
      source.abandonUnheld('its key was purged while it was fetched');
      if (joins >= purgesMax) throw purgedTooOften(exchange);
      if (part !== null) return lookAgain(exchange);
      continue;
    }
    if (!leads && outcome.kind === 'shared' && !source.mayServe(fields, part)) {
      // What was fetched for another part may be stored by now, or a version to add our part to.
      if (part !== null && exchange.lookups < lookupsMax) return lookAgain(exchange);
      continue;
    }
    const next = await use(exchange, source, outcome, leads);
    if (next !== null) return next;
  }
}

/** Null: the origin does not vouch that what it sends somebody else is for this client as well. */
async function followForeign(exchange: Exchange, source: RunningFill): Promise<StepName | null> {
  const outcome = await source.soon;
  if (outcome?.kind !== 'shared') return null;
  source.retain();
  try {
    const isVouched = await isConfirmedBy(exchange, source, outcome.head);
    return isVouched ? follow(exchange, source, outcome, false) : null;
  } finally {
    source.release(false);
  }
}

function lookAgain(exchange: Exchange): StepName {
  exchange.stored?.close();
  exchange.stored = null;
  return 'lookup';
}

/** Null: this outcome is not for us, look again. */
async function use(
  exchange: Exchange,
  source: RunningFill,
  outcome: FillOutcome,
  leads: boolean,
): Promise<StepName | null> {
  switch (outcome.kind) {
    case 'shared':
      return follow(exchange, source, outcome, leads);
    case 'validated':
      return reuse(exchange, outcome, leads);
    case 'failed':
      exchange.failure = outcome.error;
      return 'fail';
    case 'private':
      return keepPrivate(exchange, outcome, leads);
  }
}

function follow(
  exchange: Exchange,
  source: RunningFill,
  outcome: FillOutcome & { kind: 'shared' },
  leads: boolean,
): StepName {
  const { head } = outcome;
  if (!leads) exchange.services.counters.collapsed += 1;
  exchange.handling = {
    ...exchange.handling,
    stored: true,
    ...(leads ? {} : { collapsed: true }),
  };
  exchange.answer = {
    status: head.status,
    reason: head.reason,
    fields: head.fields,
    bodyLength: head.bodyLength,
    ...bodyOf(exchange, source, head),
    head,
    isPurged: () => source.isPurged() || exchange.part?.known?.purgeState() === 'gone',
  };
  return 'serve';
}

function bodyOf(
  exchange: Exchange,
  source: RunningFill,
  head: Head,
): Pick<Answer, 'body' | 'available'> {
  const fetched = fillBody(source, head.bodyLength, resumeOf(exchange, head));
  const { interval } = source;
  if (interval === null) return { body: fetched };
  const known = exchange.part?.known ?? null;
  const isSame =
    known !== null && known.head.etag === head.etag && known.head.bodyLength === head.bodyLength;
  if (!isSame) return { body: fetched, available: interval };
  const stored = answerFromStore(exchange, known, head).body;
  return { body: stored === null ? fetched : patchedBody(stored, fetched, interval) };
}

async function reuse(
  exchange: Exchange,
  outcome: FillOutcome & { kind: 'validated' },
  leads: boolean,
): Promise<StepName | null> {
  exchange.handling = {
    hit: false,
    forward: exchange.handling.forward ?? 'stale',
    forwardStatus: 304,
  };
  if (leads) {
    const answer = answerFromStore(exchange, exchange.stored!, outcome.head);
    // What the 304 forbids to keep was purged by ourselves; the origin has just vouched for it all the same.
    exchange.answer = outcome.isStored ? answer : { ...answer, isPurged: () => false };
    return 'serve';
  }
  if (!outcome.isStored) return null;
  exchange.stored?.close();
  exchange.stored = null;
  const found = await exchange.services.store!.lookup(exchange.key, exchange.fields);
  if (found.kind !== 'object') return null;
  exchange.stored = found.object;
  exchange.handling = { ...exchange.handling, collapsed: true };
  exchange.answer = answerFromStore(exchange, found.object, found.object.head);
  return 'serve';
}

function keepPrivate(
  exchange: Exchange,
  outcome: FillOutcome & { kind: 'private' },
  leads: boolean,
): StepName | null {
  const { response } = outcome;
  const { services } = exchange;
  if (isOriginError(exchange, response.status) && mayStandIn(exchange, 'error')) {
    if (leads) response.body.abort();
    exchange.failure = new UpstreamError(
      'UPSTREAM_RESET',
      `${exchange.key}: the origin answered ${response.status}; the stale response is used`,
    );
    exchange.handling = { ...exchange.handling, forwardStatus: response.status };
    return 'fail';
  }
  if (!leads) return null;
  exchange.handling = { ...exchange.handling, detail: outcome.reason };
  exchange.answer = {
    status: response.status,
    reason: response.reason,
    fields: services.config.purge.exposeTags ? response.fields : withoutTags(response.fields),
    bodyLength: bodyLengthOf(response),
    body: upstreamBody(response.body),
    head: null,
  };
  return 'serve';
}
