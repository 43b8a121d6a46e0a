// Bodies that cannot be mistaken for one another: every 4 bytes of a body tell their place in it and the
// body that they are of, so that a swapped, shifted or foreign page shows.

import { Buffer } from 'node:buffer';

/** `length` bytes of the body called `seed`; `from` is the offset of the first one, a multiple of 4. */
export function bodyBytes(length: number, seed = 1, from = 0): Buffer {
  const words = new Uint32Array(Math.ceil(length / 4));
  const first = from / 4;
  for (let at = 0; at < words.length; at += 1) {
    words[at] = Math.imul(first + at + 1, 0x9e3779b1) ^ Math.imul(seed, 0x85ebca6b);
  }
  return Buffer.from(words.buffer, 0, length);
}
