// The baseline that the original design compared itself with: downloads the whole body into memory, then
// answers the client from it. Cached nowhere. Real requests over real sockets; the only thing it does
// badly is what it stands for. It runs as a process of its own (rivals/node-process.ts).

import { Agent, get, type RequestListener } from 'node:http';

/** Kept connections to the origin, as many as it may use; the proxies it is compared with have them too. */
const connectionsMax = 128;

const notPassedOn: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'transfer-encoding']);

export function simpleProxy(originPort: number): RequestListener {
  const agent = new Agent({ keepAlive: true, maxSockets: connectionsMax });
  return (request, response) => {
    const { url: path = '/', headers } = request;
    const options = {
      host: '127.0.0.1',
      port: originPort,
      path,
      agent,
      headers: forOrigin(headers),
    };
    get(options, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', () => response.destroy());
      answer.on('end', () => {
        const fields = Object.entries(answer.headers).filter(([name]) => !notPassedOn.has(name));
        response.writeHead(answer.statusCode ?? 502, Object.fromEntries(fields));
        response.end(Buffer.concat(chunks));
      });
    }).on('error', () => response.destroy());
  };
}

function forOrigin(headers: Readonly<Record<string, unknown>>): Record<string, string> {
  const passed = Object.entries(headers).filter(
    (entry): entry is [string, string] =>
      typeof entry[1] === 'string' && !notPassedOn.has(entry[0]),
  );
  return Object.fromEntries(passed);
}
