// An origin with one body that answers single ranges and heeds If-Range, counts what it sends and how often
// it sends the same byte of one version, and stops where a test says.

import type { Buffer } from 'node:buffer';
import type { Scene } from './harness.js';
import type { OriginRequest, Reply, Script } from './scripted-origin.js';

export interface Part {
  /** Of the request, from 0 on. */
  readonly number: number;
  readonly start: number;
  readonly end: number;
}

export interface RangeOriginOptions {
  readonly fields?: readonly string[];
  /** False: it answers everything with the whole. */
  readonly ranges?: boolean;
  /** Longest part that it sends. */
  readonly longest?: number;
  /** Before the body bytes from `offset` on are sent, the first time before the head. */
  readonly before?: (part: Part, offset: number) => Promise<void>;
}

const pieceBytes = 256 * 1024;

export class RangeOrigin {
  body: Buffer;
  tag = '"v1"';
  before: (part: Part, offset: number) => Promise<void>;
  sentBytes = 0;
  /** Bytes that were sent before, of the same version. */
  repeatedBytes = 0;
  mostAtATime = 0;
  readonly #options: RangeOriginOptions;
  #running = 0;
  #requests = 0;
  #sent: { tag: string; readonly seen: Uint8Array };

  constructor(body: Buffer, options: RangeOriginOptions = {}) {
    this.body = body;
    this.#options = options;
    this.before = options.before ?? (async () => {});
    this.#sent = { tag: this.tag, seen: new Uint8Array(body.length) };
  }

  readonly script: Script = async (request, reply) => {
    const number = this.#requests;
    this.#requests += 1;
    this.#running += 1;
    this.mostAtATime = Math.max(this.mostAtATime, this.#running);
    try {
      await this.#answer(request, reply, number);
    } finally {
      this.#running -= 1;
    }
  };

  async #answer(request: OriginRequest, reply: Reply, number: number): Promise<void> {
    const wanted = this.#wanted(request);
    await this.before({ number, start: 0, end: 0, ...wanted }, wanted?.start ?? 0);
    const { body, tag } = this;
    const condition = request.field('if-range');
    const part = condition === undefined || condition === tag ? wanted : null;
    const { start, end } = part ?? { start: 0, end: body.length };
    const { fields = ['Cache-Control', 'max-age=600', 'ETag', tag] } = this.#options;
    const ranges = this.#options.ranges === false ? [] : ['Accept-Ranges', 'bytes'];
    if (start >= body.length) {
      return reply.send({ status: 416, fields: ['Content-Range', `bytes */${body.length}`] });
    }
    const framing = ['Content-Length', `${end - start}`];
    if (part !== null) framing.push('Content-Range', `bytes ${start}-${end - 1}/${body.length}`);
    await reply.head(part === null ? 200 : 206, [...fields, ...ranges, ...framing]);
    let isGone = false;
    void reply.closed.then(() => {
      isGone = true;
    });
    for (let at = start; at < end && !isGone; at += pieceBytes) {
      await this.before({ number, start, end }, at);
      if (isGone) return;
      const piece = body.subarray(at, Math.min(at + pieceBytes, end));
      this.#count(tag, at, piece.length);
      await reply.raw(piece);
    }
  }

  #wanted(request: OriginRequest): { start: number; end: number } | null {
    const match = /^bytes=(\d*)-(\d*)$/.exec(request.field('range') ?? '');
    if (match === null || this.#options.ranges === false) return null;
    const [, first = '', last = ''] = match;
    const { length } = this.body;
    const start = first === '' ? Math.max(0, length - Number(last)) : Number(first);
    const end = first === '' || last === '' ? length : Math.min(Number(last) + 1, length);
    return { start, end: Math.min(end, start + (this.#options.longest ?? length)) };
  }

  #count(tag: string, offset: number, length: number): void {
    if (this.#sent.tag !== tag) this.#sent = { tag, seen: new Uint8Array(this.body.length) };
    const { seen } = this.#sent;
    this.sentBytes += length;
    for (let at = offset; at < offset + length; at += 1) this.repeatedBytes += seen[at]!;
    seen.fill(1, offset, offset + length);
  }
}

/** The Range fields of all requests, in their order. */
export function rangesAsked({ origin }: Scene): (string | undefined)[] {
  return origin.requests.map((request) => request.field('range'));
}
