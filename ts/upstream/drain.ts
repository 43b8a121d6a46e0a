// The body of a response that nobody wants: read to its end where that is near, so that its connection can be
// used again.

import type { UpstreamResponse } from './request.js';

const drainedBytesMax = 64 * 1024;

export function drain({ body }: UpstreamResponse): void {
  let bytes = 0;
  body.read({
    onData(chunk) {
      bytes += chunk.length;
      if (bytes > drainedBytesMax) body.abort();
      return true;
    },
    onEnd() {},
    onError() {},
  });
}
