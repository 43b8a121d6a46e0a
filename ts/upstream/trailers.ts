// The fields behind a chunked body (RFC 9112 section 7.1.2) on their way to the parser: taken out, since
// nobody reads them here, and since a parser that takes a Content-Length among them for the framing breaks
// a body that is whole. What is not well-formed stays, for the parser to judge.

import { Buffer } from 'node:buffer';

const lineFeed = 0x0a;
const semicolon = 0x3b;
const carriageReturn = 0x0d;
/** Of the digits of a size; more than that no body has. */
const sizeMax = Number.MAX_SAFE_INTEGER / 16;
/** Of all fields; what is longer goes to the parser as it is, which has a limit of its own. */
const trailerBytesMax = 16 * 1024;
const emptyLine = Buffer.from('\r\n');
const nothing = Buffer.alloc(0);
const fieldLine = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*$/;

type State = 'size' | 'extension' | 'data' | 'trailers' | 'over';

/** Follows the chunks of one body, read by read. */
export class TrailerFilter {
  #state: State = 'size';
  #size = 0;
  /** Of the chunk and the line end behind it. */
  #left = 0;
  #trailers = nothing;

  /** Behind the body, or where it is malformed: the parser has the rest. */
  get isOver(): boolean {
    return this.#state === 'over';
  }

  /** What of these bytes goes to the parser: the same memory, unless trailers begin in them. */
  pass(bytes: Buffer): Buffer {
    let at = 0;
    while (at < bytes.length && this.#state !== 'trailers' && this.#state !== 'over') {
      if (this.#state === 'data') {
        const taken = Math.min(this.#left, bytes.length - at);
        this.#left -= taken;
        at += taken;
        if (this.#left === 0) this.#state = 'size';
      } else {
        this.#readSize(bytes[at]!);
        at += 1;
      }
    }
    if (this.#state !== 'trailers') return bytes;
    const tail = bytes.subarray(at);
    const kept = this.#withoutFields(tail);
    return kept === tail ? bytes : Buffer.concat([bytes.subarray(0, at), kept]);
  }

  #readSize(byte: number): void {
    if (byte === lineFeed) this.#beginChunk();
    else if (this.#state === 'extension' || byte === carriageReturn) return;
    else if (byte === semicolon) this.#state = 'extension';
    else this.#addDigit(Number.parseInt(String.fromCharCode(byte), 16));
  }

  #addDigit(digit: number): void {
    // No digit, or too many: the parser will say so.
    if (Number.isNaN(digit) || this.#size > sizeMax) this.#state = 'over';
    else this.#size = this.#size * 16 + digit;
  }

  #beginChunk(): void {
    this.#state = this.#size === 0 ? 'trailers' : 'data';
    this.#left = this.#size + emptyLine.length;
    this.#size = 0;
  }

  #withoutFields(bytes: Buffer): Buffer {
    const held = this.#trailers.length === 0 ? bytes : Buffer.concat([this.#trailers, bytes]);
    const text = held.toString('latin1', 0, trailerBytesMax);
    const found = text.indexOf('\r\n\r\n');
    const isEmpty = text.startsWith('\r\n');
    if (!isEmpty && found < 0 && text.length < trailerBytesMax) {
      this.#trailers = Buffer.from(held);
      return nothing;
    }
    this.#state = 'over';
    this.#trailers = nothing;
    if (isEmpty || found < 0) return held;
    const isWellFormed = text
      .slice(0, found)
      .split('\r\n')
      .every((line) => fieldLine.test(line));
    return isWellFormed ? held.subarray(found + emptyLine.length) : held;
  }
}
