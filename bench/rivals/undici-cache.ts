// undici's own HTTP cache (interceptors.cache) behind node:http: what a Node program has without another
// package. Its store is in memory; entries may be as large as the store, since its default of 5 MB would
// leave out what we measure.

import type { RequestListener } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { cacheStores, interceptors, Pool } from 'undici';
import { passedFields } from './fields.js';

const connectionsMax = 128;

export function undiciCache(originPort: number, memoryBytes: number): RequestListener {
  const store = new cacheStores.MemoryCacheStore({
    maxSize: memoryBytes,
    maxEntrySize: memoryBytes,
    maxCount: 100_000,
  });
  const origin = `http://127.0.0.1:${originPort}`;
  const pool = new Pool(origin, { connections: connectionsMax });
  const cached = pool.compose(interceptors.cache({ store, methods: ['GET'] }));
  return (request, response) => {
    const answer = async (): Promise<void> => {
      const { statusCode, headers, body } = await cached.request({
        // A pool knows it by itself; the cache makes its key of it and keeps nothing without.
        origin,
        method: 'GET',
        path: request.url ?? '/',
        headers: passedFields(request.headers),
      });
      response.writeHead(statusCode, passedFields(headers));
      await pipeline(body, response);
    };
    answer().catch(() => response.destroy());
  };
}
