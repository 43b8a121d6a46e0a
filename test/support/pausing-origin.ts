// An origin that stops in mid-body, once, until the test lets it go on: what a fill is like while it runs can
// then be looked at. It heeds Range, and counts what it sends.

import type { OriginRequest, Reply, Script } from './scripted-origin.js';
import { type Gate, gate } from './until.js';

const pieceBytes = 64 * 1024;
const resumable = ['ETag', '"v1"', 'Accept-Ranges', 'bytes'];

export class PausingOrigin {
  /** Body bytes that were written while the connection was open. */
  sent = 0;
  /** The first request's connection is gone. */
  readonly left: Gate = gate();
  /** Opened by the test: the first answer goes on. */
  readonly rest: Gate = gate();
  readonly #body: Buffer;
  readonly #stopAt: number;
  readonly #fields: readonly string[];
  #asked = 0;

  /** The first answer stops after `stopAt` bytes; later ones come at once. */
  constructor(body: Buffer, stopAt: number, fields: readonly string[] = resumable) {
    this.#body = body;
    this.#stopAt = stopAt;
    this.#fields = fields;
  }

  readonly script: Script = async (request, reply) => {
    this.#asked += 1;
    const isFirst = this.#asked === 1;
    const { start, end } = await this.#head(request, reply);
    const stop = isFirst ? Math.min(start + this.#stopAt, end) : end;
    await this.#send(reply, start, stop);
    if (!isFirst || stop === end) return;
    let isGone = false;
    void reply.closed.then(() => {
      isGone = true;
      this.left.open();
    });
    await Promise.race([this.rest.opened, reply.closed]);
    if (!isGone) await this.#send(reply, stop, end);
  };

  async #head(request: OriginRequest, reply: Reply): Promise<{ start: number; end: number }> {
    const { length } = this.#body;
    const match = /^bytes=(\d+)-(\d+)$/.exec(request.field('range') ?? '');
    const start = match === null ? 0 : Number(match[1]);
    const end = match === null ? length : Number(match[2]) + 1;
    const range = match === null ? [] : ['Content-Range', `bytes ${start}-${end - 1}/${length}`];
    const framing = ['Content-Length', `${end - start}`, ...range];
    const fields = ['Cache-Control', 'max-age=600', ...this.#fields, ...framing];
    await reply.head(match === null ? 200 : 206, fields);
    return { start, end };
  }

  async #send(reply: Reply, from: number, end: number): Promise<void> {
    for (let at = from; at < end; at += pieceBytes) {
      const piece = this.#body.subarray(at, Math.min(at + pieceBytes, end));
      this.sent += piece.length;
      await reply.raw(piece);
    }
  }
}
