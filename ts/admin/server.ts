// The operator's listener: GET /stats answers with every counter as JSON, GET /segments with how
// much of each segment is used, POST /purge purges. Loopback or a
// unix socket only, which the configuration has seen to. Knows neither the proxy nor the store: whoever
// starts it hands in what it calls. docs/reference/admin.md describes what it takes and answers.

import { once } from 'node:events';
import { chmodSync, existsSync, lstatSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { dirname } from 'node:path';
import type { ServedAddress } from '../config/schema.js';
import { ConfigError, MillraceError } from '../errors.js';

export interface AdminOptions {
  readonly listen: ServedAddress;
  /** Becomes the answer to GET /stats. */
  readonly stats: () => object;
  /** Becomes the answer to GET /segments. */
  readonly segments: () => Promise<object>;
  /** Gets the JSON of POST /purge as it came; rejects with MillraceError. What it resolves to is answered. */
  readonly purge: (request: unknown) => Promise<object>;
}

export interface RunningAdmin {
  /** "http://127.0.0.1:9080" or "unix:/path"; the real port when 0 was asked for. */
  readonly address: string;
  close(): Promise<void>;
}

// A handful of operators and one collector of metrics; more is somebody's mistake.
const connectionsMax = 64;
// A purge names one URL, prefix or tag.
const bodyBytesMax = 64 * 1024;
// An owner that lives answers at once on its own machine.
const probeLimitMs = 1000;

/** Rejects with ConfigError LISTEN_FAILED. */
export async function startAdmin(options: AdminOptions): Promise<RunningAdmin> {
  const { listen } = options;
  const server = createServer((request, response) => {
    void answer(request, response, options);
  });
  server.maxConnections = connectionsMax;
  try {
    await listenOn(server, listen);
  } catch (error) {
    const isOurs = listen.kind === 'unix' && isAddressInUse(error);
    if (!isOurs || !(await isAbandoned(listen.path))) throw listenFailure(listen, error);
    rmSync(listen.path, { force: true });
    await listenOn(server, listen).catch((again: unknown) => {
      throw listenFailure(listen, again);
    });
  }
  // Who may connect may look at every counter; the directory alone is not to decide that.
  if (listen.kind === 'unix') chmodSync(listen.path, 0o600);
  return {
    address: addressOf(server, listen),
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
  { stats, segments, purge }: AdminOptions,
): Promise<void> {
  const path = request.url?.split('?', 1)[0];
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  if (path === '/purge') {
    if (request.method === 'POST') await answerPurge(request, response, purge);
    else send(response, 405, { error: 'only POST' }, { allow: 'POST' });
  } else if (path !== '/stats' && path !== '/segments') {
    send(response, 404, { error: 'there are only /stats, /segments and /purge here' });
  } else if (!isRead) {
    send(response, 405, { error: 'only GET and HEAD' }, { allow: 'GET, HEAD' });
  } else {
    send(response, 200, path === '/stats' ? stats() : await segments());
  }
}

async function answerPurge(
  request: IncomingMessage,
  response: ServerResponse,
  purge: AdminOptions['purge'],
): Promise<void> {
  // A page in a browser on this machine can send a form here, but not this type.
  if (!/^application\/json\b/i.test(request.headers['content-type'] ?? '')) {
    send(response, 415, { error: 'send JSON with Content-Type: application/json' });
    return;
  }
  const given = await readJson(request);
  if (given === undefined) {
    send(response, 400, { error: `the body is not JSON of at most ${bodyBytesMax} bytes` });
    return;
  }
  try {
    send(response, 200, { purged: await purge(given) });
  } catch (error) {
    const isOurs = error instanceof MillraceError;
    const status = isOurs && error.source === 'client' ? 400 : 500;
    // 503: not durable. It holds until the process ends, which the sentence says.
    const isStore = isOurs && error.source === 'store';
    send(response, isStore ? 503 : status, {
      error: isOurs ? error.message : 'millrace failed to purge; its log has the reason',
      code: isOurs ? error.code : 'ERR_MILLRACE_INTERNAL',
    });
  }
}

/** Undefined for anything but JSON of a moderate size. */
async function readJson(request: IncomingMessage): Promise<unknown> {
  let text = '';
  request.setEncoding('utf8');
  try {
    for await (const part of request) {
      text += part as string;
      if (text.length > bodyBytesMax) return undefined;
    }
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function send(
  response: ServerResponse,
  status: number,
  value: object,
  fields: Readonly<Record<string, string>> = {},
): void {
  const body = `${JSON.stringify(value, null, 2)}\n`;
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    ...fields,
  });
  response.end(body);
}

function listenOn(server: Server, listen: ServedAddress): Promise<unknown> {
  const listening = once(server, 'listening');
  if (listen.kind === 'unix') server.listen({ path: listen.path });
  else server.listen({ host: listen.host, port: listen.port });
  return listening;
}

function isAddressInUse(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
}

/** A socket that a killed process left behind: it is there, and nobody answers on it. */
async function isAbandoned(path: string): Promise<boolean> {
  // A connection to a regular file is refused as well: a file is nothing that we may remove.
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return false;
  const probe = connect({ path });
  try {
    await once(probe, 'connect', { signal: AbortSignal.timeout(probeLimitMs) });
    return false;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ECONNREFUSED' || code === 'ENOENT';
  } finally {
    probe.destroy();
  }
}

function addressOf(server: Server, listen: ServedAddress): string {
  if (listen.kind === 'unix') return `unix:${listen.path}`;
  const { address, port } = server.address() as AddressInfo;
  return `http://${address.includes(':') ? `[${address}]` : address}:${port}`;
}

function listenFailure(listen: ServedAddress, error: unknown): ConfigError {
  const name = listen.kind === 'unix' ? `unix:${listen.path}` : `${listen.host}:${listen.port}`;
  return new ConfigError(
    'LISTEN_FAILED',
    `admin.listen: cannot listen on ${name}: ${adviceFor(listen, error as NodeJS.ErrnoException)}`,
    { cause: error },
  );
}

function adviceFor(listen: ServedAddress, { code, message }: NodeJS.ErrnoException): string {
  switch (code) {
    case 'EADDRINUSE':
      return 'another process has it; stop that one or choose another address';
    case 'EADDRNOTAVAIL':
      return 'this machine has no such address; choose one that it has';
    case 'EACCES':
      // libuv says this for a missing directory too.
      if (listen.kind === 'unix' && !existsSync(dirname(listen.path))) {
        return `the directory ${dirname(listen.path)} does not exist; make it first`;
      }
      return 'permission denied; choose a place that this user may write to, or a port above 1023';
    default:
      return message;
  }
}
