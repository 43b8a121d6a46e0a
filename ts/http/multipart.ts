// The body of a 206 with several parts (RFC 9110 14.6): the texts between the parts and the length of it all.
// Which parts is decided in range.ts; their bytes are sent from where they lie, never gathered here.

import { Buffer } from 'node:buffer';
import { type BytePart, contentRange } from './range.js';

export interface Multipart {
  readonly contentType: string;
  readonly length: number;
  readonly parts: readonly BytePart[];
  /** What goes out before each part. */
  readonly heads: readonly Buffer[];
  /** What goes out behind the last one. */
  readonly tail: Buffer;
}

/** `contentType` is that of the whole body; undefined where it has none. */
export function multipartOf(
  parts: readonly BytePart[],
  bodyLength: number,
  contentType: string | undefined,
  boundary: string,
): Multipart {
  const type = contentType === undefined ? '' : `Content-Type: ${contentType}\r\n`;
  const heads = parts.map(({ start, end }, at) => {
    const range = `Content-Range: ${contentRange(start, end, bodyLength)}\r\n`;
    const head = `${at === 0 ? '' : '\r\n'}--${boundary}\r\n${type}${range}\r\n`;
    return Buffer.from(head, 'latin1');
  });
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`, 'latin1');
  const texts = [...heads, tail].reduce((sum, { length }) => sum + length, 0);
  const bytes = parts.reduce((sum, { start, end }) => sum + end - start + 1, 0);
  return {
    contentType: `multipart/byteranges; boundary=${boundary}`,
    length: texts + bytes,
    parts,
    heads,
    tail,
  };
}
