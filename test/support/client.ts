// Clients of the proxy: node:http where the request is well-formed, with a view of how the body arrives and
// whether it ended whole, and raw sockets for everything that no library would send. Nothing here
// retries or repairs.

import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { resetSocket } from './reset.js';

export interface RequestOptions {
  readonly method?: string;
  /** Name, value, name, value, ...; Host is added where it is missing. */
  readonly fields?: readonly string[];
  /** A stream goes out chunked unless the fields have a Content-Length. */
  readonly body?: string | Uint8Array | Readable;
}

interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  /** As received; latin1. */
  readonly fields: readonly string[];
  /** The one line of that name; undefined without one. Throws where there are several. */
  field(name: string): string | undefined;
  /** Every line of that name. */
  lines(name: string): string[];
}

export interface Response extends ResponseHead {
  readonly body: Buffer;
  /** False: the connection broke before the end that the framing promised. */
  readonly isComplete: boolean;
}

/** A response whose head has come and whose body may still be on its way. */
export interface OpenResponse extends ResponseHead {
  /** Body bytes so far. */
  readonly received: number;
  /** Resolves when that many body bytes have come; rejects when the body ends before. */
  hasBytes(count: number): Promise<void>;
  pause(): void;
  resume(): void;
  /** Leaves, with a reset. */
  leave(): void;
  /** Everything, once it has ended or broken. */
  whole(): Promise<Response>;
}

/** Resolves at the head of the response. Rejects where none comes. */
export async function openRequest(
  address: string,
  target: string,
  options: RequestOptions = {},
): Promise<OpenResponse> {
  const { hostname, port } = new URL(address);
  const { method = 'GET', fields = [], body } = options;
  const hasHost = fields.some((name, at) => at % 2 === 0 && name.toLowerCase() === 'host');
  const request = httpRequest({
    host: hostname,
    port,
    path: target,
    method,
    headers: [...(hasHost ? [] : ['Host', 'site.test']), ...fields],
    // A connection of its own: no request waits behind another one's, and none is sent twice.
    agent: false,
  });
  if (typeof body === 'object' && 'pipe' in body) body.pipe(request);
  else request.end(body);
  const [message] = (await once(request, 'response')) as [IncomingMessage];
  // The proxy may answer before it has the whole body, and close; the answer counts.
  request.on('error', () => {});
  return openResponse(message);
}

function openResponse(message: IncomingMessage): OpenResponse {
  const parts: Buffer[] = [];
  const waiting = new Set<() => void>();
  let received = 0;
  let isOver = false;
  const wake = () => {
    for (const look of waiting) look();
  };
  message.on('data', (part: Buffer) => {
    parts.push(part);
    received += part.length;
    wake();
  });
  message.on('error', () => {});
  const ended = new Promise<void>((resolve) => {
    message.once('close', () => {
      isOver = true;
      resolve();
      wake();
    });
  });
  const head = headOf(message.statusCode!, message.statusMessage!, message.rawHeaders);
  return {
    ...head,
    get received() {
      return received;
    },
    hasBytes: (count) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (received < count && !isOver) return;
          waiting.delete(look);
          if (received >= count) resolve();
          else reject(new Error(`the body ended after ${received} bytes, before ${count}`));
        };
        waiting.add(look);
        look();
      }),
    pause: () => void message.pause(),
    resume: () => void message.resume(),
    leave: () => resetSocket(message.socket),
    async whole() {
      await ended;
      return { ...head, body: Buffer.concat(parts), isComplete: message.complete };
    },
  };
}

function headOf(status: number, reason: string, fields: readonly string[]): ResponseHead {
  const lines = (name: string) =>
    fields.filter((_, at) => at % 2 === 1 && fields[at - 1]!.toLowerCase() === name);
  return {
    status,
    reason,
    fields,
    lines,
    field(name) {
      const found = lines(name);
      if (found.length > 1) throw new Error(`${name} came ${found.length} times: ${found}`);
      return found[0];
    },
  };
}

export async function send(
  address: string,
  target: string,
  options?: RequestOptions,
): Promise<Response> {
  return (await openRequest(address, target, options)).whole();
}

export interface RawClient {
  readonly socket: Socket;
  /** Latin1 text of everything received so far. */
  readonly text: string;
  write(text: string): void;
  /** All text, when the proxy has closed the connection. */
  ended(): Promise<string>;
}

/** A socket that sends what it is told and shows what comes back. */
export async function openRaw(address: string): Promise<RawClient> {
  const { hostname, port } = new URL(address);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  let text = '';
  socket.setEncoding('latin1');
  socket.on('data', (part: string) => {
    text += part;
  });
  socket.on('error', () => {});
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  return {
    socket,
    get text() {
      return text;
    },
    write: (more) => void socket.write(more, 'latin1'),
    async ended() {
      await closed;
      return text;
    },
  };
}

/** Sends the text and returns what came until the proxy closed. */
export async function sendRaw(address: string, text: string): Promise<string> {
  const client = await openRaw(address);
  client.write(text);
  return client.ended();
}

/** A client that asks and then reads nothing until it is resumed. */
export async function openStopped(address: string, target: string): Promise<Socket> {
  const { hostname, port } = new URL(address);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.pause();
  socket.write(`GET ${target} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n`);
  return socket;
}
