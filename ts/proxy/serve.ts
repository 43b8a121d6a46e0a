// Step serve: the client's conditions and range against the answer, the head, then the body. From the
// first byte of the head on there is no way back: what breaks now breaks the connection, visibly.

import { ClientError, type MillraceError, StoreError } from '../errors.js';
import { cacheStatus, xCache } from '../http/cache-status.js';
import { notModified, notModifiedFields } from '../http/conditional.js';
import { fieldLines, fieldValue, type RawFields } from '../http/fields.js';
import { ageMs } from '../http/freshness.js';
import { withoutHopByHop } from '../http/hop-by-hop.js';
import { chooseRange, contentRange, type RangeChoice, unsatisfiedRange } from '../http/range.js';
import { appendVia } from '../http/via.js';
import type { Lease } from '../store/contract.js';
import type { BodySource, BodyStream } from './body.js';
import type { Answer, Exchange, StepName } from './exchange.js';
import { isClientGone } from './exchange.js';
import { sendBody } from './send-body.js';

/** Written by us for each answer; what is stored or received under these names is taken out. */
const ownNames = new Set(['content-length', 'x-cache', 'cache-status', 'age']);

interface Plan {
  readonly status: number;
  readonly reason: string;
  readonly fields: RawFields;
  /** Null: chunked, or until close for HTTP/1.0. */
  readonly length: number | null;
  readonly offset: number;
  readonly body: BodySource | null;
}

export async function serve(exchange: Exchange): Promise<StepName> {
  const answer = exchange.answer;
  if (answer === null || isClientGone(exchange)) {
    answer?.body?.discard();
    exchange.failure ??= new ClientError('CLIENT_ABORTED', 'the client left before the answer');
    return 'finish';
  }
  const plan = planOf(exchange, answer);
  if (plan.body === null) {
    answer.body?.discard();
    count(exchange);
    writeHead(exchange, answer, plan);
    exchange.response.end();
    return 'finish';
  }
  const whole = plan.offset === 0 && plan.length === answer.bodyLength;
  const stream = plan.body.open(plan.offset, whole ? null : plan.length);
  let first: Lease[] | null = null;
  try {
    // Before the head is out, a part that is gone costs a hit; afterwards it would cost the answer.
    if (plan.body.isStored) {
      if (!plan.body.covers(plan.offset, plan.length ?? 0)) return abandonStored(exchange, stream);
      first = await stream.next();
    }
    count(exchange);
    writeHead(exchange, answer, plan);
  } catch (error) {
    for (const lease of first ?? []) lease.release();
    stream.close();
    if (error instanceof StoreError) return fetchAgain(exchange);
    throw error;
  }
  await deliver(exchange, plan, stream, first);
  return 'finish';
}

/** A part further on is gone: what is left of the object is no use to anybody. */
function abandonStored(exchange: Exchange, stream: BodyStream): StepName {
  stream.close();
  exchange.services.store?.purgeKey(exchange.key);
  return fetchAgain(exchange);
}

/** What was found cannot be read: as good as not stored. */
function fetchAgain(exchange: Exchange): StepName {
  exchange.stored?.close();
  exchange.stored = null;
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
    fields: answer.fields,
    length: answer.bodyLength,
    offset: 0,
    body: method === 'HEAD' ? null : answer.body,
  };
  const { head } = answer;
  if (head === null || head.status !== 200) return whole;
  const now = services.clock.now();
  if (notModified(request, head, now)) {
    return {
      ...whole,
      status: 304,
      reason: 'Not Modified',
      fields: notModifiedFields(answer.fields),
      length: null,
      body: null,
    };
  }
  if (answer.bodyLength === null || answer.body?.isSeekable !== true) return whole;
  return rangeOf(whole, chooseRange(request, answer.bodyLength, head, now), answer.bodyLength);
}

function rangeOf(whole: Plan, choice: RangeChoice, bodyLength: number): Plan {
  switch (choice.kind) {
    case 'whole': {
      const isNamed = fieldLines(whole.fields, 'accept-ranges').length > 0;
      return isNamed ? whole : { ...whole, fields: [...whole.fields, 'Accept-Ranges', 'bytes'] };
    }
    case 'part':
      return {
        ...whole,
        status: 206,
        reason: 'Partial Content',
        fields: [
          ...without(whole.fields, 'content-range'),
          'Content-Range',
          contentRange(choice.start, choice.end, bodyLength),
        ],
        offset: choice.start,
        length: choice.end - choice.start + 1,
      };
    case 'unsatisfiable':
      return {
        ...whole,
        status: 416,
        reason: 'Range Not Satisfiable',
        fields: ['Content-Range', unsatisfiedRange(bodyLength)],
        length: 0,
        body: null,
      };
  }
}

function without(fields: RawFields, name: string): string[] {
  const kept: string[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    if (fields[at]!.toLowerCase() !== name) kept.push(fields[at]!, fields[at + 1]!);
  }
  return kept;
}

function writeHead(exchange: Exchange, answer: Answer, plan: Plan): void {
  const { services, handling, response } = exchange;
  const fields: string[] = [];
  const passed = withoutHopByHop(plan.fields);
  for (let at = 0; at + 1 < passed.length; at += 2) {
    const name = passed[at]!.toLowerCase();
    if (!ownNames.has(name)) fields.push(passed[at]!, passed[at + 1]!);
  }
  const age = ageOf(exchange, answer);
  if (age !== null) fields.push('Age', age);
  if (plan.length !== null && plan.status !== 204) fields.push('Content-Length', `${plan.length}`);
  fields.push('Cache-Status', cacheStatus(fieldValue(answer.fields, 'cache-status'), handling));
  fields.push('X-Cache', xCache(handling));
  const named = appendVia(fields, '1.1', services.pseudonym);
  response.writeHead(plan.status, plan.reason, named);
  exchange.sentStatus = plan.status;
}

/** From the store: the true age. On its way through: what the origin's side said. */
function ageOf(exchange: Exchange, answer: Answer): string | null {
  const { handling, services } = exchange;
  const isFromStore = handling.hit || handling.collapsed === true;
  if (answer.head !== null && isFromStore) {
    return `${Math.floor(ageMs(answer.head, services.clock.now()) / 1000)}`;
  }
  return fieldLines(answer.fields, 'age')[0] ?? null;
}

function count(exchange: Exchange): void {
  const { counters } = exchange.services;
  const { handling } = exchange;
  if (handling.hit) {
    counters.hits += 1;
    if ((handling.ttlS ?? 0) < 0) counters.stale += 1;
  } else if (handling.forward !== 'bypass' && handling.forward !== 'method') {
    counters.misses += 1;
  }
}
