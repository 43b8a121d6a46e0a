// The least that a proxy in Node can do: an undici pool to the origin, its body piped into node:http's
// response as it comes, kept nowhere. What a miss costs anybody who writes a proxy in JavaScript.

import type { RequestListener } from 'node:http';
import type { Writable } from 'node:stream';
import { Pool } from 'undici';
import { passedFields } from './fields.js';

const connectionsMax = 128;

export function undiciPipe(originPort: number): RequestListener {
  const pool = new Pool(`http://127.0.0.1:${originPort}`, { connections: connectionsMax });
  return (request, response) => {
    pool
      .stream(
        {
          method: 'GET',
          path: request.url ?? '/',
          headers: passedFields(request.headers),
          opaque: response,
        },
        ({ statusCode, headers, opaque }): Writable => {
          const answer = opaque as typeof response;
          answer.writeHead(statusCode, passedFields(headers));
          return answer;
        },
      )
      .catch(() => response.destroy());
  };
}
