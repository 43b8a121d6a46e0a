// Several ranges of one body: the body is given back also where no part of it was read.

import test from 'ava';
import { multipartOf } from '../../../ts/http/multipart.js';
import type { BodySource, BodyStream } from '../../../ts/proxy/body.js';
import { PartsStream } from '../../../ts/proxy/parts-body.js';

const text = Buffer.from('0123456789');

/** A body that tells what became of it. */
function watched(events: string[]): BodySource {
  return {
    isSeekable: true,
    opensAgain: true,
    isLent: false,
    isStored: true,
    covers: () => true,
    copyTo: () => false,
    open(offset, length): BodyStream {
      const bytes = text.subarray(offset, offset + length!);
      events.push(`open ${bytes}`);
      return { next: () => [{ bytes, release() {} }], close: () => events.push('close') };
    },
    discard: () => events.push('discard'),
  };
}

const parts = [
  { start: 1, end: 2 },
  { start: 5, end: 7 },
];

test('parts: a body whose client left before its first byte is discarded once', (t) => {
  const events: string[] = [];
  const stream = new PartsStream(watched(events), multipartOf(parts, 10, undefined, 'b'));
  stream.close();
  stream.close();
  t.deepEqual(events, ['discard']);
});

test('parts: a body that was read is closed and not discarded', async (t) => {
  const events: string[] = [];
  const stream = new PartsStream(watched(events), multipartOf(parts, 10, undefined, 'b'));
  while ((await stream.next()) !== null);
  stream.close();
  t.deepEqual(events, ['open 12', 'close', 'open 567', 'close']);
});
