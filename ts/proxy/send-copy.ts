// A small body out of memory: copied, and sent with the head in one write. To lend its page instead takes a
// Buffer over it, a callback and a detach, which cost more than the copy. One piece of memory serves all
// copies, because a socket has nearly always taken the bytes when the write returns.

import { Buffer } from 'node:buffer';
import type { BodySource } from './body.js';
import type { Exchange } from './exchange.js';
import { onSocketClose } from './socket-close.js';

/** Above, the copy costs more: see docs/PERFORMANCE.md. */
const copyBytesMax = 64 * 1024;
/** Bytes that sockets have not taken yet. More slow readers than this allows are lent pages instead. */
const keptBytesMax = 8 * 1024 * 1024;

let scratch = Buffer.allocUnsafeSlow(copyBytesMax);
let keptBytes = 0;

/** The bytes, where they are few and at hand. To be given to `sendCopy` before anything else is copied. */
export function copyOf(body: BodySource, offset: number, length: number | null): Uint8Array | null {
  if (length === null || length > copyBytesMax || keptBytes >= keptBytesMax) return null;
  const bytes = scratch.subarray(0, length);
  return body.copyTo(bytes, offset) ? bytes : null;
}

/** Ends the response with these bytes. */
export function sendCopy(exchange: Exchange, bytes: Uint8Array): void {
  const { response } = exchange;
  response.end(bytes);
  exchange.sentBytes = bytes.length;
  if (response.writableLength === 0) return;
  // A socket that is full or not our turn's reads from this memory later: it belongs to that write now.
  scratch = Buffer.allocUnsafeSlow(copyBytesMax);
  keptBytes += copyBytesMax;
  const done = () => {
    keptBytes -= copyBytesMax;
    response.off('finish', done);
    unwatch();
  };
  const unwatch = onSocketClose(exchange.socket, done);
  response.once('finish', done);
}
