// Node's own HTTP server in front of the steps: limits, malformed requests, addresses. It serves every
// client for now; native lanes take the plain ones later and hand the rest over to this one.

import { existsSync } from 'node:fs';
import { lstat, unlink } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { dirname } from 'node:path';
import type { ServedAddress } from '../config/schema.js';
import { ConfigError } from '../errors.js';
import { turns } from '../turns.js';

export interface ListenerOptions {
  /** Longest time without progress on a connection that is owed bytes, or owes some. */
  readonly clientIdleMs: number;
  /** `isExpecting`: the client waits for a 100 before it sends its body. */
  readonly onRequest: (
    request: IncomingMessage,
    response: ServerResponse,
    isExpecting: boolean,
  ) => void;
}

export interface Listener {
  /** 'http://host:port' with the port that was given, or 'unix:/path'. */
  readonly address: string;
  /** Takes no more connections; resolves when the open ones are gone and whoever watched them knows. */
  close(): Promise<void>;
  /** Ends what is still open. */
  destroy(): void;
}

const headBytesMax = 32 * 1024;
const headTimeoutMs = 30_000;
const keepAliveMs = 65_000;

/** Rejects with ConfigError `LISTEN_FAILED`. */
export async function listen(address: ServedAddress, options: ListenerOptions): Promise<Listener> {
  const take = (request: IncomingMessage, response: ServerResponse, isExpecting: boolean): void => {
    if (!spoiled.has(request.socket)) options.onRequest(request, response, isExpecting);
  };
  const server = createServer(
    {
      maxHeaderSize: headBytesMax,
      insecureHTTPParser: false,
      headersTimeout: headTimeoutMs,
      // A request body may take as long as it makes progress: the idle limit sees to that.
      requestTimeout: 0,
      keepAliveTimeout: keepAliveMs,
      noDelay: true,
    },
    (request, response) => take(request, response, false),
  );
  // With a limit Node leaves the rest out without a word, framing fields too; accept has one that tells.
  server.maxHeadersCount = 0;
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) =>
    take(request, response, true),
  );
  server.timeout = options.clientIdleMs;
  server.on('timeout', onIdle);
  const open = new OpenSockets();
  server.on('connection', (socket: Socket) => {
    turns.noteNewcomer();
    open.add(socket);
  });
  server.on('clientError', refuse);
  server.on('connect', (_request, socket: Socket) => {
    socket.end('HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
  });
  if (address.kind === 'unix') await removeStaleSocket(address.path);
  await bind(server, address);
  return {
    address: addressOf(server, address),
    async close() {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      });
      await open.allClosed();
    },
    destroy: () => open.destroy(),
  };
}

/**
 * The sockets of a listener until each has told that it is closed. The server says so earlier, and Node's
 * list of connections lacks those that a CONNECT took out of HTTP.
 */
class OpenSockets {
  readonly #sockets = new Set<Socket>();
  #onEmpty: () => void = () => {};

  add(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      if (this.#sockets.size === 0) this.#onEmpty();
    });
  }

  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async allClosed(): Promise<void> {
    if (this.#sockets.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
  }
}

function bind(server: Server, address: ServedAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException) => reject(listenFailure(address, error));
    server.once('error', onError);
    const onListening = () => {
      server.off('error', onError);
      resolve();
    };
    if (address.kind === 'unix') server.listen(address.path, onListening);
    else server.listen(address.port, address.host, onListening);
  });
}

export function addressText(address: ServedAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}

function addressOf(server: Server, address: ServedAddress): string {
  const bound = server.address();
  if (address.kind === 'unix' || bound === null || typeof bound === 'string') {
    return addressText(address);
  }
  return `http://${addressText({ ...address, port: bound.port })}`;
}

function listenFailure(address: ServedAddress, error: NodeJS.ErrnoException): ConfigError {
  const where = addressText(address);
  const advice: Record<string, string> = {
    EADDRINUSE: 'another process listens there; stop it or choose another address in listen',
    EACCES: 'this user may not listen there; ports below 1024 need root or CAP_NET_BIND_SERVICE',
    EADDRNOTAVAIL: 'this machine has no such address; choose one of its own in listen',
  };
  // libuv reports EACCES for it.
  const isHomeless = address.kind === 'unix' && !existsSync(dirname(address.path));
  const hint = isHomeless
    ? `${dirname(address.path)} does not exist; make it first`
    : (advice[error.code ?? ''] ?? error.message);
  return new ConfigError('LISTEN_FAILED', `cannot listen on ${where}: ${hint}`, { cause: error });
}

/** A socket file that nobody answers on is left over from a process that was killed. */
async function removeStaleSocket(path: string): Promise<void> {
  // Connecting to a plain file is refused too, and that file is not ours to remove.
  const found = await lstat(path).catch(() => null);
  if (found === null || !found.isSocket()) return;
  const isAnswered = await new Promise<boolean | null>((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code === 'ECONNREFUSED' ? false : null);
    });
  });
  if (isAnswered === false) await unlink(path).catch(() => {});
}

/** No progress for the limit. A client that waits for the origin's bytes is not idle: we are. */
function onIdle(socket: Socket): void {
  const { _httpMessage: response } = socket as ServingSocket;
  const isOurTurn =
    response?.req.complete === true && response.writableLength === 0 && socket.writableLength === 0;
  if (!isOurTurn) socket.destroy();
}

/** Sockets on which a request was refused: what comes behind it may be its rest. */
const spoiled = new WeakSet<Socket>();

/** Nothing more is read from this client; what it was answered still goes out. */
export function spoil(socket: Socket): void {
  spoiled.add(socket);
}

type ServingSocket = Socket & { _httpMessage?: ServerResponse | null };

/** What Node's parser refused: never forwarded, answered once, and the connection ends. */
function refuse(error: ParserError, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const { _httpMessage: current } = socket as ServingSocket;
  if (current !== undefined && current !== null) {
    if (current.req.complete) {
      // An answer to an earlier request is on its way: a second head would become a part of its body.
      current.shouldKeepAlive = false;
      current.once('finish', () => socket.destroySoon());
      return;
    }
    // The body of the very request that is being answered is malformed.
    if (current.headersSent) {
      socket.destroy();
      return;
    }
  }
  if (spoiled.has(socket)) {
    socket.destroySoon();
    return;
  }
  const status =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? '431 Request Header Fields Too Large'
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? '408 Request Timeout'
        : isUnknownMethod(error)
          ? '501 Not Implemented'
          : '400 Bad Request';
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n` +
      'Proxy-Status: millrace; error=http_request_error\r\n\r\n',
  );
}

interface ParserError extends NodeJS.ErrnoException {
  readonly rawPacket?: Buffer;
  readonly reason?: string;
}

/** A well-formed request line whose method Node's parser does not know, or knows from RTSP alone. */
function isUnknownMethod(error: ParserError): boolean {
  const isOfRtsp = error.reason?.startsWith('Invalid method for HTTP') ?? false;
  const isMethod = error.code === 'HPE_INVALID_METHOD' || isOfRtsp;
  if (!isMethod || error.rawPacket === undefined) return false;
  const start = error.rawPacket.toString('latin1', 0, 1024);
  return /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+ [\x21-\x7e]+ HTTP\/1\.[01]\r\n/.test(start);
}
