// The demo's origin: a plain HTTP server over real files, with validators, a lifetime, single ranges
// and a rate. Shares no code with the proxy it is there to test. Counts every request by path.

import { once } from 'node:events';
import { createReadStream, statSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import type { Throttle } from './throttle.js';

export interface OriginOptions {
  /** What is served: "/name" to the path of a file. */
  readonly files: Readonly<Record<string, string>>;
  readonly throttle: Throttle;
}

export interface RunningOrigin {
  readonly port: number;
  /** Requests since start, by path. */
  counts(): Record<string, number>;
  close(): Promise<void>;
}

interface Served {
  readonly path: string;
  readonly size: number;
  readonly etag: string;
  readonly lastModified: string;
}

interface Span {
  readonly start: number;
  /** First byte that is not part of it. */
  readonly end: number;
}

function examine(path: string): Served {
  const { size, mtimeMs, mtime } = statSync(path);
  const etag = `"${size.toString(16)}-${Math.floor(mtimeMs).toString(16)}"`;
  return { path, size, etag, lastModified: mtime.toUTCString() };
}

export async function startOrigin({ files, throttle }: OriginOptions): Promise<RunningOrigin> {
  const served = new Map(Object.entries(files).map(([name, path]) => [name, examine(path)]));
  const counts = new Map<string, number>();
  const server = createServer((request, response) => {
    const name = request.url ?? '';
    counts.set(name, (counts.get(name) ?? 0) + 1);
    const file = served.get(name);
    if (file === undefined) {
      response.writeHead(404, { 'content-length': 0 }).end();
      return;
    }
    // A client that leaves ends its own transfer and nothing else.
    answer(request, response, file, throttle).catch(() => response.destroy());
  });
  server.listen({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    counts: () => Object.fromEntries(counts),
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  file: Served,
  throttle: Throttle,
): Promise<void> {
  const fields: Record<string, string | number> = {
    etag: file.etag,
    'last-modified': file.lastModified,
    'cache-control': 'max-age=3600',
    'accept-ranges': 'bytes',
    'content-type': 'application/octet-stream',
  };
  if (request.headers['if-none-match'] === file.etag) {
    response.writeHead(304, fields).end();
    return;
  }
  const span = spanOf(request.headers.range, file.size);
  if (span === 'unsatisfiable') {
    response.writeHead(416, { 'content-range': `bytes */${file.size}`, 'content-length': 0 }).end();
    return;
  }
  const { start, end } = span ?? { start: 0, end: file.size };
  fields['content-length'] = end - start;
  if (span !== null) fields['content-range'] = `bytes ${start}-${end - 1}/${file.size}`;
  response.writeHead(span === null ? 200 : 206, fields);
  if (request.method === 'HEAD' || end === start) {
    response.end();
    return;
  }
  await pipeline(
    createReadStream(file.path, { start, end: end - 1 }),
    async function* (source: AsyncIterable<Buffer>) {
      for await (const bytes of source) {
        await throttle.take(bytes.length);
        yield bytes;
      }
    },
    response,
  );
}

/** Null: the whole of it, which is also what lists of ranges get. */
function spanOf(range: string | undefined, size: number): Span | 'unsatisfiable' | null {
  const match = /^bytes=(\d*)-(\d*)$/.exec(range ?? '');
  if (match === null || match[0] === 'bytes=-') return null;
  const [, first = '', last = ''] = match;
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size : Math.min(Number(last) + 1, size);
  return start < end ? { start, end } : 'unsatisfiable';
}
