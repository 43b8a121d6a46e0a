// The client's side of a scenario: requests as exact bytes on raw sockets. `get` and `send` use a
// connection each and wait until the proxy has settled; `connect` gives a connection to do anything with.

import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type Expected, expectResponse } from './expect.js';
import { Incoming, type Received, readResponse } from './reader.js';
import type { Transcript } from './transcript.js';

export interface Sent {
  readonly method?: string;
  readonly target: string;
  /** Lines as they are; Host is added where none is given. */
  readonly lines?: readonly string[];
  readonly body?: string;
  readonly version?: string;
}

/** A request as text. A body gets a Content-Length unless its framing is given. */
export function requestText(sent: Sent): string {
  const { method = 'GET', target, lines = [], body = '', version = '1.1' } = sent;
  const names = lines.map((line) => line.slice(0, line.indexOf(':')).toLowerCase());
  const host = names.includes('host') ? [] : ['Host: site.test'];
  const isFramed = names.includes('content-length') || names.includes('transfer-encoding');
  const length = body === '' || isFramed ? [] : [`Content-Length: ${body.length}`];
  const all = [...host, ...lines, ...length].map((line) => `${line}\r\n`).join('');
  return `${method} ${target} HTTP/${version}\r\n${all}\r\n${body}`;
}

/** A request on its way: to be awaited as it is, or with what its response has to be. */
export class Asking implements PromiseLike<Received> {
  readonly #what: string;
  readonly #received: Promise<Received>;

  constructor(what: string, received: Promise<Received>) {
    this.#what = what;
    this.#received = received;
    // A rejection is seen by whoever awaits; until then it is not an unhandled one.
    received.catch(() => {});
  }

  // biome-ignore lint/suspicious/noThenProperty: an Asking stands for its response
  then: Promise<Received>['then'] = (...callbacks) => this.#received.then(...callbacks);

  async gives(expected: Expected): Promise<Received> {
    const received = await this.#received;
    expectResponse(this.#what, received, expected);
    return received;
  }
}

/** More is not looked for in what came so far. */
const seenBytes = 16_384;

export class Connection {
  readonly #socket: Socket;
  readonly #incoming: Incoming;
  readonly #transcript: Transcript;
  #seen = '';

  constructor(socket: Socket, transcript: Transcript) {
    this.#socket = socket;
    this.#transcript = transcript;
    this.#incoming = new Incoming(socket, (part) => {
      const text = part.toString('latin1');
      if (this.#seen.length < seenBytes) this.#seen += text;
      transcript.note('client <', text);
    });
  }

  /** What came so far, its beginning at least. */
  get seen(): string {
    return this.#seen;
  }

  /** Bytes as they are; text is latin1. */
  write(text: string | Uint8Array): void {
    const part = typeof text === 'string' ? Buffer.from(text, 'latin1') : Buffer.from(text);
    this.#transcript.note('client >', part.toString('latin1'));
    this.#socket.write(part);
  }

  /** The next response; `method` is that of the request that it answers. */
  response(method = 'GET'): Promise<Received> {
    return readResponse(this.#incoming, method);
  }

  ask(sent: Sent): Asking {
    const { method = 'GET', target } = sent;
    this.write(requestText(sent));
    return new Asking(`${method} ${target}`, this.response(method));
  }

  /** Text of everything up to the end of the connection. */
  async rest(): Promise<string> {
    return (await this.#incoming.rest()).toString('latin1');
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Sends no more. */
  end(): void {
    this.#transcript.note('client >', '(ends)');
    this.#socket.end();
  }

  /** Goes, with a reset where the proxy has not ended the connection yet. */
  reset(): void {
    this.#transcript.note('client >', '(resets)');
    // A reset while libuv shuts the socket down fails, and Node then never frees the handle.
    if (this.isGone) this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }

  close(): void {
    this.#socket.destroy();
  }

  get isGone(): boolean {
    return this.#incoming.ending !== null;
  }
}

export interface ClientOptions {
  readonly transcript: Transcript;
  address(): string;
  /** Every fill and exchange is at its end. */
  settled(): Promise<void>;
}

export class ScenarioClient {
  readonly #options: ClientOptions;
  readonly #open = new Set<Socket>();
  #asking = 0;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  async connect(): Promise<Connection> {
    const { hostname, port } = new URL(this.#options.address());
    const socket = connect(Number(port), hostname);
    this.#open.add(socket);
    socket.once('close', () => this.#open.delete(socket));
    const connection = new Connection(socket, this.#options.transcript);
    await once(socket, 'connect');
    return connection;
  }

  get(target: string, ...lines: readonly string[]): Asking {
    return this.send({ target, lines });
  }

  head(target: string, ...lines: readonly string[]): Asking {
    return this.send({ method: 'HEAD', target, lines });
  }

  send(sent: Sent): Asking {
    const { method = 'GET', target } = sent;
    return new Asking(`${method} ${target}`, this.#exchange(sent));
  }

  async #exchange(sent: Sent): Promise<Received> {
    this.#asking += 1;
    const connection = await this.connect();
    try {
      const { method } = sent;
      connection.write(requestText(sent));
      const received = await connection.response(method ?? 'GET');
      this.#asking -= 1;
      if (this.#asking === 0) await this.#options.settled();
      return received;
    } finally {
      connection.close();
    }
  }

  /** Sends the bytes and returns all that came until the proxy closed. */
  async raw(text: string): Promise<string> {
    const connection = await this.connect();
    connection.write(text);
    return connection.rest();
  }

  /** No connection outlives its scenario. */
  leave(): void {
    for (const socket of this.#open) socket.destroy();
  }
}
