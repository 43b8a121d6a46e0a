// Several parts of one body as one stream, with the texts of multipart/byteranges between them. Of a stored
// body, or of one that is assembled, each part is opened by itself; a running fill has one reader that moves
// on from part to part, so there they have to lie in this order.

import type { Buffer } from 'node:buffer';
import type { Multipart } from '../http/multipart.js';
import type { Lease } from '../store/contract.js';
import type { BodySource, BodyStream } from './body.js';

/** Whether `body` can be sent in these parts. */
export function hasParts(body: BodySource, { parts }: Multipart): boolean {
  return body.opensAgain || parts.every(({ start }, at) => at === 0 || parts[at - 1]!.end < start);
}

export class PartsStream implements BodyStream {
  readonly #body: BodySource;
  readonly #multipart: Multipart;
  #stream: BodyStream | null = null;
  /** Of the next byte that the stream gives. */
  #offset = 0;
  /** Of the part that is being sent. */
  #number = 0;
  #isBegun = false;
  #isOver = false;

  constructor(body: BodySource, multipart: Multipart) {
    this.#body = body;
    this.#multipart = multipart;
  }

  async next(): Promise<Lease[] | null> {
    const { parts, heads, tail } = this.#multipart;
    if (this.#number >= parts.length) {
      if (this.#isOver) return null;
      this.#isOver = true;
      return [ownText(tail)];
    }
    const { start, end } = parts[this.#number]!;
    const isFirst = !this.#isBegun;
    if (isFirst) this.#begin(start, end + 1);
    const leases = await this.#stream!.next();
    if (leases === null) throw new Error(`the body ended before byte ${end}`);
    for (const lease of leases) this.#offset += lease.bytes.length;
    const text = heads[this.#number]!;
    if (this.#offset > end) {
      this.#number += 1;
      this.#isBegun = false;
    }
    // Only now the text: when it goes out, the part's first bytes have been found.
    return isFirst ? [ownText(text), ...leases] : leases;
  }

  #begin(start: number, end: number): void {
    const stream = this.#stream;
    this.#offset = start;
    this.#isBegun = true;
    if (stream?.moveTo !== undefined) {
      stream.moveTo(start, end);
      return;
    }
    stream?.close();
    this.#stream = this.#body.open(start, end - start);
  }

  close(): void {
    if (this.#stream !== null) this.#stream.close();
    else if (!this.#isOver) this.#body.discard(true);
    this.#stream = null;
    this.#number = this.#multipart.parts.length;
    this.#isOver = true;
  }
}

function ownText(bytes: Buffer): Lease {
  return { bytes, release() {} };
}
