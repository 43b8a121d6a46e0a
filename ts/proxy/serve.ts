// Step serve: the client's conditions and range against the answer, the head, then the body. From the
// first byte of the head on there is no way back: what breaks now breaks the connection, visibly.

import { randomBytes } from 'node:crypto';
import { ClientError, type MillraceError, StoreError } from '../errors.js';
import { cacheStatus, xCache } from '../http/cache-status.js';
import { notModified } from '../http/conditional.js';
import { fieldLines, type RawFields, withoutField } from '../http/fields.js';
import { ageMs } from '../http/freshness.js';
import { type Multipart, multipartOf } from '../http/multipart.js';
import {
  type BytePart,
  chooseRange,
  contentRange,
  type RangeChoice,
  unsatisfiedRange,
} from '../http/range.js';
import { viaBehind } from '../http/via.js';
import type { Lease } from '../store/contract.js';
import { headFlags } from '../store/entry.js';
import type { BodySource, BodyStream } from './body.js';
import type { Answer, Exchange, NextStep, StepName } from './exchange.js';
import { isClientGone } from './exchange.js';
import { lentOrCopied } from './lent-or-copied.js';
import { hasParts, PartsStream } from './parts-body.js';
import { notModifiedFieldsOf, type PassedFields, passedFieldsOf } from './passed-fields.js';
import { sendBody } from './send-body.js';
import { copyOf, sendCopy } from './send-copy.js';

/** Nobody guesses it, so no body of ours holds it on purpose. */
const boundaryBytes = 16;
const acceptsRanges = ['Accept-Ranges', 'bytes'];

interface Plan {
  readonly status: number;
  readonly reason: string;
  readonly passed: PassedFields;
  /** Fields of this answer alone: name, value, ... */
  readonly added: RawFields;
  /** Null: chunked, or until close for HTTP/1.0. */
  readonly length: number | null;
  readonly offset: number;
  /** Several parts of the body, with `length` including what stands between them; null: one run of bytes. */
  readonly parts: Multipart | null;
  readonly body: BodySource | null;
}

export function serve(exchange: Exchange): NextStep {
  const answer = exchange.answer;
  if (answer === null || isClientGone(exchange)) {
    answer?.body?.discard(true);
    exchange.failure ??= new ClientError('CLIENT_ABORTED', 'the client left before the answer');
    return 'finish';
  }
  const plan = planOf(exchange, answer);
  if (plan.body === null) {
    answer.body?.discard(false);
    if (answer.isPurged?.() === true) return fetchAgain(exchange);
    count(exchange);
    writeHead(exchange, answer, plan);
    exchange.response.end();
    return 'finish';
  }
  const copy = plan.parts === null ? copyOf(plan.body, plan.offset, plan.length) : null;
  if (copy === null) return serveStream(exchange, answer, plan, plan.body);
  if (answer.isPurged?.() === true) return fetchAgain(exchange);
  count(exchange);
  writeHead(exchange, answer, plan);
  exchange.services.prefetcher.answered(exchange);
  sendCopy(exchange, copy);
  return 'finish';
}

async function serveStream(
  exchange: Exchange,
  answer: Answer,
  plan: Plan,
  body: BodySource,
): Promise<StepName> {
  const stream = lentOrCopied(exchange, body, streamOf(answer, plan, body));
  let first: Lease[] | null = null;
  try {
    // Before the head is out, a part that is gone costs a hit; afterwards it would cost the answer.
    if (body.isStored) {
      if (!isCovered(plan, body)) return abandonStored(exchange, stream);
      const read = stream.next();
      first = read instanceof Promise ? await read : read;
    }
    if (answer.isPurged?.() === true) {
      for (const lease of first ?? []) lease.release();
      stream.close();
      return fetchAgain(exchange);
    }
    count(exchange);
    writeHead(exchange, answer, plan);
    exchange.services.prefetcher.answered(exchange);
  } catch (error) {
    for (const lease of first ?? []) lease.release();
    stream.close();
    if (error instanceof StoreError || isOtherVersion(error)) return fetchAgain(exchange);
    throw error;
  }
  await deliver(exchange, plan, stream, first);
  return 'finish';
}

/** Part of what is stored is gone, and the origin has moved on: all of it counts as not stored. */
function isOtherVersion(error: unknown): boolean {
  return (error as Partial<MillraceError>).code === 'ERR_MILLRACE_UPSTREAM_VALIDATOR_CHANGED';
}

function streamOf(answer: Answer, plan: Plan, body: BodySource): BodyStream {
  if (plan.parts !== null) return new PartsStream(body, plan.parts);
  const whole = plan.offset === 0 && plan.length === answer.bodyLength;
  return body.open(plan.offset, whole ? null : plan.length);
}

function isCovered({ parts, offset, length }: Plan, body: BodySource): boolean {
  if (parts === null) return body.covers(offset, length ?? 0);
  return parts.parts.every(({ start, end }) => body.covers(start, end - start + 1));
}

/** A part further on is gone: what is left of the object is no use to anybody. */
function abandonStored(exchange: Exchange, stream: BodyStream): StepName {
  stream.close();
  if (exchange.stored !== null) exchange.services.store?.forget(exchange.stored);
  return fetchAgain(exchange);
}

/** What was found cannot be read: as good as not stored. */
function fetchAgain(exchange: Exchange): StepName {
  exchange.stored?.close();
  exchange.stored = null;
  exchange.part = null;
  exchange.answer = null;
  exchange.handling = { hit: false, forward: 'miss' };
  if (exchange.directives.has('only-if-cached')) {
    throw new ClientError('CLIENT_ONLY_IF_CACHED', 'the store cannot answer this request');
  }
  return 'fill';
}

async function deliver(
  exchange: Exchange,
  plan: Plan,
  stream: BodyStream,
  first: Lease[] | null,
): Promise<void> {
  try {
    const sent = await sendBody(exchange, stream, plan.length, first);
    if (plan.length !== null && sent !== plan.length) {
      throw new Error(`the body ended after ${sent} of ${plan.length} bytes`);
    }
    exchange.response.end();
  } catch (error) {
    exchange.failure = error as Error;
    const code = (error as Partial<MillraceError>).code;
    if (code === 'ERR_MILLRACE_CLIENT_ABORTED') exchange.services.counters.clientAborts += 1;
    else exchange.services.counters.brokenBodies += 1;
    // No clean end: a client that sees one would take what it has for the whole.
    exchange.response.destroy();
  } finally {
    stream.close();
  }
}

function planOf(exchange: Exchange, answer: Answer): Plan {
  const { services, method, fields } = exchange;
  const request = { method, fields };
  const whole: Plan = {
    status: answer.status,
    reason: answer.reason,
    passed: passedFieldsOf(answer, exchange.rule!.cache.consumedFields),
    added: [],
    length: answer.bodyLength,
    offset: 0,
    parts: null,
    body: method === 'HEAD' ? null : answer.body,
  };
  const { head } = answer;
  if (head === null || head.status !== 200) return whole;
  const now = services.clock.now();
  // Only what is stored as a whole tells a client that it has the response already.
  const isWhole = (head.flags & headFlags.incomplete) === 0;
  if (isWhole && notModified(request, head, now)) {
    return {
      ...whole,
      status: 304,
      reason: 'Not Modified',
      passed: notModifiedFieldsOf(answer, exchange.rule!.cache.consumedFields),
      length: null,
      body: null,
    };
  }
  if (answer.bodyLength === null || answer.body?.isSeekable !== true) return whole;
  const choice = chooseRange(request, answer.bodyLength, head, now);
  return rangeOf(whole, availableOf(answer, choice, answer.bodyLength), answer.bodyLength);
}

/** What the origin sent of a body that is not stored is what there is, whatever was asked for. */
function availableOf({ available }: Answer, choice: RangeChoice, bodyLength: number): RangeChoice {
  if (available === undefined) return choice;
  const { start, end } = available;
  if (start === 0 && end === bodyLength) return choice;
  if (choice.kind === 'unsatisfiable') return choice;
  if (choice.kind !== 'part' || choice.start < start || choice.start >= end) {
    return { kind: 'part', start, end: end - 1 };
  }
  return { kind: 'part', start: choice.start, end: Math.min(choice.end, end - 1) };
}

function rangeOf(whole: Plan, choice: RangeChoice, bodyLength: number): Plan {
  switch (choice.kind) {
    case 'whole':
      return whole.passed.namesAcceptRanges ? whole : { ...whole, added: acceptsRanges };
    case 'part':
      return {
        ...whole,
        status: 206,
        reason: 'Partial Content',
        passed: { ...whole.passed, fields: withoutField(whole.passed.fields, 'content-range') },
        added: ['Content-Range', contentRange(choice.start, choice.end, bodyLength)],
        offset: choice.start,
        length: choice.end - choice.start + 1,
      };
    case 'parts':
      return partsOf(whole, choice.parts, bodyLength);
    case 'unsatisfiable':
      return {
        ...whole,
        status: 416,
        reason: 'Range Not Satisfiable',
        passed: { ...whole.passed, fields: [] },
        added: ['Content-Range', unsatisfiedRange(bodyLength)],
        length: 0,
        body: null,
      };
  }
}

function partsOf(whole: Plan, parts: readonly BytePart[], bodyLength: number): Plan {
  const { passed, body } = whole;
  const boundary = randomBytes(boundaryBytes).toString('hex');
  const type = fieldLines(passed.fields, 'content-type')[0];
  const multipart = multipartOf(parts, bodyLength, type, boundary);
  // A running fill has them in their order only: the whole is an answer, too.
  if (body === null || !hasParts(body, multipart)) return rangeOf(whole, { kind: 'whole' }, 0);
  const kept = withoutField(withoutField(passed.fields, 'content-range'), 'content-type');
  return {
    ...whole,
    status: 206,
    reason: 'Partial Content',
    passed: { ...passed, fields: kept },
    added: ['Content-Type', multipart.contentType],
    length: multipart.length,
    parts: multipart,
  };
}

function writeHead(exchange: Exchange, answer: Answer, plan: Plan): void {
  const { services, handling, response } = exchange;
  const { passed } = plan;
  const fields = passed.fields.slice();
  for (const text of plan.added) fields.push(text);
  const age = ageOf(exchange, answer, passed);
  if (age !== undefined) fields.push('Age', age);
  if (plan.length !== null && plan.status !== 204) fields.push('Content-Length', `${plan.length}`);
  const { exposeKey } = exchange.rule!.cache;
  const own = cacheStatus(undefined, exposeKey ? { ...handling, key: exchange.key } : handling);
  const status = passed.cacheStatus === undefined ? own : `${passed.cacheStatus}, ${own}`;
  fields.push('Cache-Status', status);
  fields.push('X-Cache', xCache(handling));
  fields.push('Via', viaBehind(passed.via, '1.1', services.pseudonym));
  response.writeHead(plan.status, plan.reason, fields);
  exchange.sentStatus = plan.status;
}

/** From the store: the true age. On its way through: what the origin's side said. */
function ageOf(exchange: Exchange, answer: Answer, passed: PassedFields): string | undefined {
  const { handling, services } = exchange;
  const isFromStore = handling.hit || handling.isStandIn === true || handling.collapsed === true;
  if (answer.head !== null && isFromStore) {
    return `${Math.floor(ageMs(answer.head, services.clock.now()) / 1000)}`;
  }
  return passed.age;
}

function count(exchange: Exchange): void {
  const { counters } = exchange.services;
  const { handling } = exchange;
  if (handling.hit || handling.isStandIn === true) {
    counters.hits += 1;
    if ((handling.ttlS ?? 0) < 0) counters.stale += 1;
  } else if (handling.forward !== 'bypass' && handling.forward !== 'method') {
    counters.misses += 1;
  }
}
