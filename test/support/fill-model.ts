// The model of the random fills (test/model/fills.test.ts): objects whose origin has a version at any
// time, an origin that answers ranges of them or fails as it is told, and what an answer to a client
// may be.

import type { Buffer } from 'node:buffer';
import { bodyBytes } from './bytes.js';
import type { OpenResponse, Response } from './client.js';
import type { OriginRequest, Reply, Script } from './scripted-origin.js';
import { below, type Random, randomOf } from './versioned-objects.js';

const kib = 1024;
const mib = 1024 * kib;
/** Below a page, across some, below a chunk and a piece, several chunks. */
const lengths = [5000, 300_000, mib, mib + 70_000, 3 * mib + 77];
const pieceBytes = 48 * kib;

export interface Range {
  readonly text: string;
  /** Of a body of this length; null: nothing of it. */
  of(length: number): { readonly start: number; readonly end: number } | null;
}

/**
 * How the origin answers one request. whole: it heeds no Range. careless: it heeds no If-Range. shifted: it
 * sends another range than it was asked for, and says so.
 */
const faults = [
  'cut',
  'reset',
  'silent',
  'whole',
  'shifted',
  'careless',
  'chunked',
  'error',
] as const;
/** Those that a request for the rest of something is most likely to be harmed by. */
const faultsOfRests = ['cut', 'whole', 'shifted', 'careless'] as const;
type Fault = 'none' | (typeof faults)[number];

export interface Model {
  readonly script: Script;
  readonly keys: readonly string[];
  /** What of all answers is drawn as a fault; 0: none. */
  faultShare: number;
  /** Answers that were none of a good origin. */
  faultsSent: number;
  /** From now on the origin has another body under this key. */
  change(key: string): void;
  /**
   * As `change`, but who asks once it is acknowledged may not get what was there before: for ever where it
   * is durable, else in this life of the proxy.
   */
  replace(key: string, isDurable: boolean): { acknowledged(): void };
  newLife(): void;
  /** The least version that an answer to a request of now may have. */
  floorOf(key: string): number;
  judge(asked: Asked, answer: Answer): Judgement;
}

export type Answer = Pick<Response, 'status' | 'field' | 'body' | 'isComplete'>;

export interface Asked {
  readonly key: string;
  readonly range: Range | null;
  readonly floor: number;
}

export interface Judgement {
  /** What may never be. */
  readonly wrong: string | null;
  /** What a faulty origin explains. */
  readonly odd: string | null;
}

interface Known {
  version: number;
  floor: number;
  lifeFloor: number;
  requests: number;
}

export function randomRange(random: Random): Range {
  const start = below(random, below(random, 2) === 0 ? 4000 : 3 * mib);
  const size = 1 + below(random, below(random, 2) === 0 ? 2000 : 2 * mib);
  const within = (from: number, end: number, length: number) =>
    from < Math.min(end, length) ? { start: from, end: Math.min(end, length) } : null;
  switch (below(random, 4)) {
    case 0:
      return { text: `${start}-`, of: (length) => within(start, length, length) };
    case 1:
      return {
        text: `-${size}`,
        of: (length) => within(Math.max(0, length - size), length, length),
      };
    default:
      return {
        text: `${start}-${start + size - 1}`,
        of: (length) => within(start, start + size, length),
      };
  }
}

export function fillModel(seed: number, count: number): Model {
  const keys = Array.from({ length: count }, (_, id) => `/object-${id}`);
  const known = new Map<string, Known>(
    keys.map((key) => [key, { version: 1, floor: 1, lifeFloor: 1, requests: 0 }]),
  );
  const tagOf = (key: string, version: number) => `"${keys.indexOf(key)}-${version}"`;
  const bodies = new Map<string, Buffer>();
  const bodyOf = (key: string, version: number): Buffer => {
    const tag = tagOf(key, version);
    let body = bodies.get(tag);
    if (body === undefined) {
      const id = keys.indexOf(key);
      // Now and then the same length, which is when versions are easily taken for one another.
      const length = lengths[(id + Math.floor(version / 3)) % lengths.length]!;
      body = bodyBytes(length, id * 1000 + version);
      bodies.set(tag, body);
    }
    return body;
  };
  const model: Model = {
    keys,
    faultShare: 0,
    faultsSent: 0,
    floorOf(key) {
      const { floor, lifeFloor } = known.get(key)!;
      return Math.max(floor, lifeFloor);
    },
    newLife() {
      for (const object of known.values()) object.lifeFloor = 1;
    },
    change(key) {
      known.get(key)!.version += 1;
    },
    replace(key, isDurable) {
      const object = known.get(key)!;
      object.version += 1;
      const { version } = object;
      return {
        acknowledged() {
          if (isDurable) object.floor = Math.max(object.floor, version);
          object.lifeFloor = Math.max(object.lifeFloor, version);
        },
      };
    },
    script: (request, reply) => {
      const key = request.target;
      if (request.method !== 'GET') return reply.send({ status: 204 });
      const object = known.get(key)!;
      object.requests += 1;
      // Of its own, so that what is drawn does not hang on who else asks.
      const random = randomOf(seed + 7919 * object.requests + keys.indexOf(key));
      const isFault = random() < model.faultShare;
      if (isFault) model.faultsSent += 1;
      const choice: readonly Fault[] =
        request.field('if-range') === undefined ? faults : faultsOfRests;
      const fault = isFault ? choice[below(random, choice.length)]! : 'none';
      const { version } = object;
      const play = { tag: tagOf(key, version), body: bodyOf(key, version), fault, random };
      return answerLike(request, reply, play);
    },
    judge({ key, range, floor }, answer) {
      const { status, field } = answer;
      // Refused or failed: an answer of its own, and nothing of the object.
      if (status >= 500) return { wrong: null, odd: `status ${status}` };
      if (status === 416) return { wrong: range === null ? 'a 416' : null, odd: null };
      if (status !== 200 && status !== 206) return { wrong: `status ${status}`, odd: null };
      const [, object, text] = /^"(\d+)-(\d+)"$/.exec(field('etag') ?? '') ?? [];
      if (keys[Number(object)] !== key) return { wrong: `has ETag ${field('etag')}`, odd: null };
      const version = Number(text);
      const newest = known.get(key)!.version;
      if (version < floor || version > newest) {
        return { wrong: `version ${version}, not ${floor} to ${newest}`, odd: null };
      }
      const whole = bodyOf(key, version);
      return { wrong: wrongBytes(whole, range, answer), odd: oddities(whole, range, answer) };
    },
  };
  return model;
}

function wrongBytes(whole: Buffer, range: Range | null, answer: Answer): string | null {
  const { status, body, isComplete } = answer;
  const span = spanOf(answer, whole.length);
  if (span === null) return `Content-Range: ${answer.field('content-range')} of ${whole.length}`;
  if (status === 206 && range === null) return 'a part that nobody asked for';
  const { start, end } = span;
  if (body.length > end - start) return `${body.length} bytes of ${end - start}`;
  if (!body.equals(whole.subarray(start, start + body.length))) {
    return `wrong bytes from ${start} on`;
  }
  const isFalseEnd = isComplete && body.length !== end - start;
  return isFalseEnd ? `ends after ${body.length} of ${end - start}` : null;
}

function oddities(whole: Buffer, range: Range | null, answer: Answer): string | null {
  if (!answer.isComplete) return 'broke off';
  if (answer.status === 200) return null;
  const span = spanOf(answer, whole.length);
  const wanted = range?.of(whole.length) ?? null;
  const isExact = span?.start === wanted?.start && span?.end === wanted?.end;
  return isExact ? null : `bytes ${span?.start} to ${span?.end}, not ${range?.text}`;
}

/** Null: it is of a body of another length, or malformed. */
function spanOf({ status, field }: Answer, length: number): { start: number; end: number } | null {
  if (status === 200) return { start: 0, end: length };
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(field('content-range') ?? '');
  if (match === null || Number(match[3]) !== length) return null;
  return { start: Number(match[1]), end: Number(match[2]) + 1 };
}

interface Play {
  readonly tag: string;
  readonly body: Buffer;
  readonly fault: Fault;
  readonly random: Random;
}

async function answerLike(request: OriginRequest, reply: Reply, play: Play): Promise<void> {
  const { tag, body, fault, random } = play;
  // The version is that of the request, however long the head takes.
  for (let turns = below(random, 4) === 0 ? below(random, 200) : 0; turns > 0; turns -= 1) {
    await turn();
  }
  if (fault === 'silent') return reply.close();
  if (fault === 'error') return reply.send({ status: 503, body: 'broken' });
  const fields = ['Cache-Control', 'max-age=600', 'ETag', tag, 'Accept-Ranges', 'bytes'];
  const part = fault === 'whole' ? null : partOf(request, tag, body.length, fault === 'careless');
  if (part === 'unsatisfiable') {
    return reply.send({ status: 416, fields: ['Content-Range', `bytes */${body.length}`] });
  }
  const { start, end } = part ?? { start: 0, end: body.length };
  // One that tells of other bytes than it was asked for, and sends those that it tells of.
  const first = fault === 'shifted' && part !== null ? Math.min(start + 7, end - 1) : start;
  const range = part === null ? [] : ['Content-Range', `bytes ${first}-${end - 1}/${body.length}`];
  const isChunked = fault === 'chunked';
  const framing = isChunked
    ? ['Transfer-Encoding', 'chunked']
    : ['Content-Length', `${end - first}`];
  await reply.head(part === null ? 200 : 206, [...fields, ...range, ...framing]);
  const isBroken = fault === 'cut' || fault === 'reset' || (isChunked && below(random, 2) === 0);
  const stop = isBroken ? first + below(random, end - first) : end;
  for (let at = first; at < stop; at += pieceBytes) {
    const piece = body.subarray(at, Math.min(at + pieceBytes, stop));
    if (isChunked) await reply.chunk(piece);
    else await reply.raw(piece);
    if (below(random, 4) === 0) await turn();
  }
  if (fault === 'reset') return reply.reset();
  if (isBroken) return reply.close();
  if (isChunked) return reply.lastChunk();
}

/** Null: the whole is asked for, or another version than there is. */
function partOf(
  request: OriginRequest,
  tag: string,
  length: number,
  isCareless: boolean,
): { start: number; end: number } | 'unsatisfiable' | null {
  const match = /^bytes=(\d*)-(\d*)$/.exec(request.field('range') ?? '');
  const condition = request.field('if-range');
  const isOther = condition !== undefined && condition !== tag && !isCareless;
  if (match === null || isOther) return null;
  const [, first = '', last = ''] = match;
  const start = first === '' ? Math.max(0, length - Number(last)) : Number(first);
  const end = first === '' || last === '' ? length : Math.min(Number(last) + 1, length);
  return start < end ? { start, end } : 'unsatisfiable';
}

export function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

/** Reads an answer as a client does that stops now and then, and may leave for good. */
export async function readLike(
  random: Random,
  response: OpenResponse,
  leavesAfter: number | null,
): Promise<Response> {
  if (leavesAfter !== null) {
    await response.hasBytes(leavesAfter).catch(() => {});
    response.leave();
  } else if (below(random, 3) === 0) {
    await response.hasBytes(1).catch(() => {});
    response.pause();
    for (let turns = below(random, 200); turns > 0; turns -= 1) await turn();
    response.resume();
  }
  return response.whole();
}
