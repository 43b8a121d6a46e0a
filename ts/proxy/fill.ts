// Step fill: joins the running fill of this key or starts one, and waits for its head. A body that may be
// stored is followed; one that may not goes to the exchange that asked for it, and everybody else asks
// again alone.

import { UpstreamError } from '../errors.js';
import { chooseRange } from '../http/range.js';
import { withoutTags } from '../http/tags.js';
import type { StoredObject } from '../store/contract.js';
import type { Head } from '../store/entry.js';
import { assembledBody, isFar } from './assembled-body.js';
import { fillBody, upstreamBody } from './body.js';
import { bodyLengthOf } from './body-length.js';
import { foreignFill, isConfirmedBy } from './confirmation.js';
import type { Answer, Exchange, StepName } from './exchange.js';
import type { FillOutcome } from './fill-outcome.js';
import { lookupsMax, plannedPart } from './part-request.js';
import { type Claim, versionOf } from './part-table.js';
import { RunningFill } from './running-fill.js';
import { chunkBegin, slicingOf } from './slicing.js';
import { isOriginError, mayStandIn } from './stale.js';
import { answerFromStore, resumeOf } from './stored-answer.js';
import { trimmedPart } from './trimmed-part.js';

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
    const mayLook = exchange.lookups < lookupsMax;
    const joined = joins < joinsMax ? fills.join(key, fields, part) : null;
    const foreign = joins === 0 ? foreignFill(exchange, joined) : null;
    if (foreign !== null) {
      const next = await followForeign(exchange, foreign);
      if (next !== null) return next;
      // Of what it has begun our own part may be asked for.
      if (part !== null && part.known === null && mayLook) return lookAgain(exchange);
      continue;
    }
    const running = joined !== null && isOfUse(exchange, joined) ? joined : null;
    const leads = running === null;
    if (leads && part?.known && !plan(exchange) && mayLook) return lookAgain(exchange);
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
      const isFound = part !== null || (source.isPart && exchange.stored === null);
      if (isFound && mayLook) return lookAgain(exchange);
      continue;
    }
    // Those whose part it was have learned that the version is another one by now.
    const isOutdated = !leads && outcome.kind === 'failed' && part !== null;
    if ((isOutdated || outcome.kind === 'superseded') && mayLook) return lookAgain(exchange);
    if (outcome.kind === 'superseded') exchange.part = null;
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
    return isVouched ? await follow(exchange, source, outcome, false) : null;
  } finally {
    source.release(false);
  }
}

/** Not of a part that brings our byte too late: what it would bring from there on it leaves to us. */
function isOfUse({ part, fields }: Exchange, running: RunningFill): boolean {
  const from = part?.gap?.from;
  if (from === undefined) return true;
  if (!running.isOpenTo(fields)) return false;
  return !(isFar(running, from) && running.cutAt(chunkBegin(from)));
}

/** What exactly to ask for. False: it has been stored meanwhile. */
function plan(exchange: Exchange): boolean {
  const { part, services } = exchange;
  const { known, gap } = part!;
  exchange.part = plannedPart(services.fills.parts, known!, gap!, slicingOf(exchange));
  return known!.missingEnd(gap!.from, gap!.from + 1) > gap!.from;
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
    case 'superseded':
      return null;
    case 'validated':
      return reuse(exchange, outcome, leads);
    case 'failed':
      exchange.failure = outcome.error;
      return 'fail';
    case 'private':
      return keepPrivate(exchange, outcome, leads);
  }
}

async function follow(
  exchange: Exchange,
  source: RunningFill,
  outcome: FillOutcome & { kind: 'shared' },
  leads: boolean,
): Promise<StepName> {
  const { head } = outcome;
  const known = source.isPart ? await versionIn(exchange, head) : null;
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
    ...bodyOf(exchange, source, head, known),
    head,
    isPurged: () => source.isPurged() || known?.purgeState() === 'gone',
  };
  return 'serve';
}

/** The version that a part belongs to, as the store has it: it knows which other parts are there. */
async function versionIn(exchange: Exchange, head: Head): Promise<StoredObject | null> {
  const isSame = (object: StoredObject) =>
    versionOf(object.key, object.head) === versionOf(object.key, head);
  const { services, key, fields, stored, part } = exchange;
  if (stored !== null && part?.known === stored && isSame(stored)) return stored;
  const found = await services.store!.lookup(key, fields);
  if (found.kind !== 'object') return null;
  if (isSame(found.object)) {
    stored?.close();
    exchange.stored = found.object;
    return found.object;
  }
  found.object.close();
  return null;
}

function bodyOf(
  exchange: Exchange,
  source: RunningFill,
  head: Head,
  known: StoredObject | null,
): Pick<Answer, 'body' | 'available'> {
  const { interval } = source;
  // What the origin sent in place of what was asked for is what there is.
  const isElsewhere = exchange.part?.known === null && !isWanted(exchange, head, interval);
  if (known !== null && !isElsewhere) return { body: assembledBody(exchange, known, head, source) };
  const body = fillBody(source, head.bodyLength, resumeOf(exchange, head));
  return interval === null ? { body } : { body, available: interval };
}

/** Has the first byte of what the client asked for, or of one of several ranges. */
function isWanted(
  { method, fields, services }: Exchange,
  head: Head,
  interval: Claim | null,
): boolean {
  if (interval === null) return true;
  const { start, end } = interval;
  const now = services.clock.now();
  const choice = chooseRange({ method, fields }, head.bodyLength ?? 0, head, now);
  const parts = choice.kind === 'part' ? [choice] : choice.kind === 'parts' ? choice.parts : [];
  return parts.length === 0 || parts.some((each) => each.start >= start && each.start < end);
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
  const answer: Answer = {
    status: response.status,
    reason: response.reason,
    fields: services.config.purge.exposeTags ? response.fields : withoutTags(response.fields),
    bodyLength: bodyLengthOf(response),
    body: upstreamBody(response.body),
    head: null,
  };
  const isPart = response.status === 206 && exchange.part !== null;
  exchange.answer = isPart ? trimmedPart(exchange, answer) : answer;
  if (exchange.answer !== null) return 'serve';
  // Several ranges, of which one came: the origin is asked for all of them.
  answer.body!.discard(false);
  return lookAgain(exchange);
}
