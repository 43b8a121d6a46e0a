// An HTTP/1.1 origin on a raw socket that does what a test tells it to, good or bad: the script of a test
// gets each request and writes bytes, closes or resets as it likes. Every request is recorded. The
// reader of requests is our own and small: what the proxy sends must be plain enough for it.

import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import type { ExecutionContext } from 'ava';
import { heldPort } from './held-port.js';
import { resetSocket } from './reset.js';

export interface OriginRequest {
  readonly method: string;
  readonly target: string;
  /** Name, value, name, value, ... as received; latin1. */
  readonly fields: readonly string[];
  /** The head as it came; latin1. */
  readonly head: string;
  /** The value of the first line of that name. */
  field(name: string): string | undefined;
  /** Settles when the body was read; rejects when it broke off or was malformed. */
  readonly body: Promise<Buffer>;
}

export interface Answer {
  readonly status?: number;
  readonly reason?: string;
  readonly fields?: readonly string[];
  readonly body?: string | Uint8Array;
}

export interface Reply {
  /** Bytes as they are; resolves when the socket may take more. Strings are latin1. */
  raw(bytes: string | Uint8Array): Promise<void>;
  /** Status line and fields, nothing added. */
  head(status: number, fields: readonly string[], reason?: string): Promise<void>;
  /** A whole response with Content-Length. */
  send(answer: Answer): Promise<void>;
  /** One chunk of chunked coding. */
  chunk(bytes: string | Uint8Array): Promise<void>;
  lastChunk(): Promise<void>;
  /** Closes the connection in order. */
  close(): void;
  /** Closes it with a reset. */
  reset(): void;
  /** Settles when the connection is gone. */
  readonly closed: Promise<void>;
}

export type Script = (request: OriginRequest, reply: Reply) => void | Promise<void>;

export interface ScriptedOrigin {
  /** "127.0.0.1:port" */
  readonly address: string;
  readonly requests: readonly OriginRequest[];
  /** Connections accepted so far. */
  readonly connections: number;
  /** What later requests meet. */
  script: Script;
  /** No more connections; the open ones are reset, and new ones refused until the test ends. */
  stop(): Promise<void>;
}

/** A script that gives each request the same answer. */
export function always(answer: Answer): Script {
  return (_request, reply) => reply.send(answer);
}

export interface OriginPlace {
  readonly host?: string;
  readonly port?: number;
  /** Over TLS. */
  readonly tls?: TlsOptions;
  /** Awaited before more than 1 MiB of an answer is written, again and again. */
  readonly pace?: () => Promise<void>;
}

export async function startOrigin(
  t: ExecutionContext,
  script: Script,
  { host = '127.0.0.1', port = 0, tls, pace = async () => {} }: OriginPlace = {},
): Promise<ScriptedOrigin> {
  const sockets = new Set<Socket>();
  const requests: OriginRequest[] = [];
  let connections = 0;
  const begin = (socket: Socket): void => {
    // A reset by the proxy is an event of the test, not a failure of the origin.
    socket.on('error', () => {});
    const reply = replyOn(socket, pace);
    void converse(socket, reply, (request) => {
      requests.push(request);
      return origin.script(request, reply);
    }).catch(() => resetSocket(socket));
  };
  const server: Server =
    tls === undefined
      ? createServer({ noDelay: true }, begin)
      : createTlsServer({ noDelay: true, ...tls }, begin);
  server.on('connection', (socket: Socket) => {
    connections += 1;
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => {});
  });
  server.on('tlsClientError', () => {});
  server.listen(port === 0 ? await heldPort(t, host) : port, host);
  await once(server, 'listening');
  const stop = async () => {
    for (const socket of sockets) resetSocket(socket);
    if (!server.listening) return;
    server.close();
    await once(server, 'close');
  };
  t.teardown(stop);
  const origin: ScriptedOrigin = {
    address: `${host}:${(server.address() as AddressInfo).port}`,
    requests,
    get connections() {
      return connections;
    },
    script,
    stop,
  };
  return origin;
}

async function converse(socket: Socket, reply: Reply, script: Script): Promise<void> {
  const reader = new SocketReader(socket);
  for (;;) {
    const head = await reader.through('\r\n\r\n');
    if (head === null) return;
    const request = requestOf(head, reader);
    await script(request, reply);
    // The next request begins behind this body; one that nobody could read ends the connection.
    await request.body;
  }
}

function requestOf(head: string, reader: SocketReader): OriginRequest {
  const [requestLine = '', ...lines] = head.slice(0, -4).split('\r\n');
  const [method = '', target = ''] = requestLine.split(' ');
  const fields = lines.flatMap((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  const field = (name: string) => {
    const at = fields.findIndex((text, i) => i % 2 === 0 && text.toLowerCase() === name);
    return at < 0 ? undefined : fields[at + 1];
  };
  const body = bodyOf(field, reader);
  body.catch(() => {});
  return { method, target, fields, head, field, body };
}

async function bodyOf(
  field: (name: string) => string | undefined,
  reader: SocketReader,
): Promise<Buffer> {
  if (field('transfer-encoding') === undefined) {
    return reader.bytes(Number(field('content-length') ?? 0));
  }
  const parts: Buffer[] = [];
  for (;;) {
    const line = await reader.through('\r\n');
    if (line === null || !/^[0-9a-f]+\r\n$/i.test(line)) throw new Error('a malformed chunk');
    const size = Number.parseInt(line, 16);
    parts.push(await reader.bytes(size));
    if ((await reader.through('\r\n')) !== '\r\n') throw new Error('a chunk without its end');
    if (size === 0) return Buffer.concat(parts);
  }
}

class SocketReader {
  readonly #next: AsyncIterator<Buffer>;
  #held: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.#next = socket[Symbol.asyncIterator]();
  }

  async #more(): Promise<boolean> {
    const { done, value } = await this.#next.next();
    if (done) return false;
    this.#held = Buffer.concat([this.#held, value]);
    return true;
  }

  #take(length: number): Buffer {
    const taken = this.#held.subarray(0, length);
    this.#held = this.#held.subarray(length);
    return taken;
  }

  /** Latin1 text up to the end of `mark`; null when the connection ended before. */
  async through(mark: string): Promise<string | null> {
    for (;;) {
      const at = this.#held.indexOf(mark, 0, 'latin1');
      if (at >= 0) return this.#take(at + mark.length).toString('latin1');
      if (!(await this.#more())) return null;
    }
  }

  async bytes(length: number): Promise<Buffer> {
    while (this.#held.length < length) {
      if (!(await this.#more())) throw new Error(`the request body ended before ${length} bytes`);
    }
    return this.#take(length);
  }
}

const pieceLength = 1024 * 1024;

function replyOn(socket: Socket, pace: () => Promise<void>): Reply {
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const write = async (bytes: Uint8Array) => {
    // A script that goes on writing must come to a stop here, not spin.
    if (socket.destroyed) return closed;
    if (socket.writableEnded) return;
    if (!socket.write(bytes)) await Promise.race([once(socket, 'drain').catch(() => {}), closed]);
  };
  let unpaced = 0;
  const raw = async (text: string | Uint8Array) => {
    const bytes = typeof text === 'string' ? Buffer.from(text, 'latin1') : text;
    for (let at = 0; at < bytes.length; at += pieceLength) {
      const piece = bytes.subarray(at, at + pieceLength);
      unpaced += piece.length;
      if (unpaced > pieceLength) {
        await pace();
        unpaced = piece.length;
      }
      await write(piece);
    }
  };
  const head = (status: number, fields: readonly string[], reason = 'OK') => {
    let text = `HTTP/1.1 ${status} ${reason}\r\n`;
    for (let at = 0; at < fields.length; at += 2) text += `${fields[at]}: ${fields[at + 1]}\r\n`;
    return raw(`${text}\r\n`);
  };
  return {
    raw,
    head,
    async send({ status = 200, reason = 'OK', fields = [], body = '' }) {
      const hasBody = status !== 304 && status !== 204;
      const length = hasBody ? ['Content-Length', `${body.length}`] : [];
      await head(status, [...fields, ...length], reason);
      if (hasBody && body.length > 0) await raw(body);
    },
    async chunk(bytes) {
      await raw(`${bytes.length.toString(16)}\r\n`);
      await raw(bytes);
      await raw('\r\n');
    },
    lastChunk: () => raw('0\r\n\r\n'),
    close: () => socket.end(),
    reset: () => resetSocket(socket),
    closed,
  };
}
