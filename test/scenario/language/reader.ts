// Reads responses off a raw socket and takes nothing that is not canonical: one framing field, CRLF, names
// that are tokens, no folds. So every scenario also shows that what the proxy sends is well-formed. A body
// that ends before its framing says so is no error here, but the response says that it was cut.

import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';

/** Bytes of a socket with a way to wait for more of them. */
export class Incoming {
  #parts: Buffer[] = [];
  #length = 0;
  #ending: 'closed' | 'reset' | null = null;
  #wake: () => void = () => {};

  constructor(socket: Socket, onBytes: (bytes: Buffer) => void) {
    let isReset = false;
    socket.on('data', (bytes: Buffer) => {
      onBytes(bytes);
      this.#parts.push(bytes);
      this.#length += bytes.length;
      this.#wake();
    });
    socket.on('error', () => {
      isReset = true;
    });
    const end = () => {
      this.#ending ??= isReset ? 'reset' : 'closed';
      this.#wake();
    };
    socket.on('end', end);
    socket.on('close', end);
  }

  get ending(): 'closed' | 'reset' | null {
    return this.#ending;
  }

  /** False: the connection ended before. */
  async #more(): Promise<boolean> {
    if (this.#ending !== null) return false;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    return true;
  }

  /** All that is held, in one piece: put together when it is looked at, not when it comes. */
  #joined(): Buffer {
    if (this.#parts.length !== 1) this.#parts = [Buffer.concat(this.#parts)];
    return this.#parts[0]!;
  }

  #take(length: number): Buffer {
    const held = this.#joined();
    this.#parts = [held.subarray(length)];
    this.#length -= length;
    return held.subarray(0, length);
  }

  /** Latin1 text before `mark`, which is taken too; null: the connection ended before it came. */
  async before(mark: string): Promise<string | null> {
    for (;;) {
      const at = this.#joined().indexOf(mark, 0, 'latin1');
      if (at >= 0)
        return this.#take(at + mark.length)
          .toString('latin1')
          .slice(0, -mark.length);
      if (!(await this.#more())) return null;
    }
  }

  /** That many bytes, or fewer where the connection ended before. */
  async bytes(length: number): Promise<Buffer> {
    while (this.#length < length && (await this.#more()));
    return this.#take(Math.min(length, this.#length));
  }

  /** Everything up to the end of the connection. */
  async rest(): Promise<Buffer> {
    while (await this.#more());
    return this.#take(this.#length);
  }
}

export interface Received {
  readonly status: number;
  readonly reason: string;
  /** Name, value, name, value, ... as received; latin1. */
  readonly fields: readonly string[];
  readonly body: Buffer;
  /** The connection ended before the end that the framing promised. */
  readonly isCut: boolean;
  /** Statuses that came before the final one, with their fields. */
  readonly interim: ReadonlyArray<{ status: number; fields: readonly string[] }>;
  /** Fields behind the last chunk. */
  readonly trailers: readonly string[];
}

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Without blanks around it. */
export const fieldValue =
  /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/;

/** `method` is that of the request: it decides whether a body follows. */
export async function readResponse(from: Incoming, method: string): Promise<Received> {
  const interim: Array<{ status: number; fields: readonly string[] }> = [];
  for (;;) {
    const head = await from.before('\r\n\r\n');
    if (head === null) throw new Error('the proxy ended the connection without a response');
    const { status, reason, fields } = readHead(head);
    if (status < 200) {
      interim.push({ status, fields });
      if (status !== 101) continue;
    }
    return { status, reason, fields, interim, ...(await readBody(from, method, status, fields)) };
  }
}

function readHead(head: string): { status: number; reason: string; fields: string[] } {
  const [statusLine = '', ...lines] = head.split('\r\n');
  const match = /^HTTP\/1\.1 ([1-9]\d\d) ([\t\x20-\x7e\x80-\xff]*)$/.exec(statusLine);
  if (match === null) throw new Error(`the proxy sent a bad status line: ${statusLine}`);
  return { status: Number(match[1]), reason: match[2]!, fields: readFields(lines) };
}

function readFields(lines: readonly string[]): string[] {
  return lines.flatMap((line) => {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon);
    const text = line.slice(colon + 1).replace(/^ /, '');
    if (colon < 1 || !token.test(name) || !fieldValue.test(text)) {
      throw new Error(`the proxy sent a field line that is not canonical: ${line}`);
    }
    return [name, text];
  });
}

export function linesOf(fields: readonly string[], name: string): string[] {
  return fields.filter((_, at) => at % 2 === 1 && fields[at - 1]!.toLowerCase() === name);
}

type Body = Pick<Received, 'body' | 'isCut' | 'trailers'>;

async function readBody(
  from: Incoming,
  method: string,
  status: number,
  fields: readonly string[],
): Promise<Body> {
  const lengths = linesOf(fields, 'content-length');
  const codings = linesOf(fields, 'transfer-encoding');
  if (lengths.length + codings.length > 1) {
    throw new Error(`the proxy framed a response twice: ${[...lengths, ...codings].join(', ')}`);
  }
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) {
    return { body: Buffer.alloc(0), isCut: false, trailers: [] };
  }
  if (codings.length > 0) {
    if (codings[0] !== 'chunked') throw new Error(`the proxy sent the coding ${codings[0]}`);
    return readChunks(from);
  }
  if (lengths.length > 0) {
    if (!/^\d+$/.test(lengths[0]!)) throw new Error(`the proxy sent the length ${lengths[0]}`);
    const length = Number(lengths[0]);
    const body = await from.bytes(length);
    return { body, isCut: body.length < length, trailers: [] };
  }
  return { body: await from.rest(), isCut: from.ending === 'reset', trailers: [] };
}

async function readChunks(from: Incoming): Promise<Body> {
  const parts: Buffer[] = [];
  const cut = () => ({ body: Buffer.concat(parts), isCut: true, trailers: [] });
  for (;;) {
    const line = await from.before('\r\n');
    if (line === null) return cut();
    if (!/^[0-9a-f]+$/i.test(line)) throw new Error(`the proxy sent the chunk size ${line}`);
    const size = Number.parseInt(line, 16);
    if (size === 0) break;
    const part = await from.bytes(size);
    parts.push(part);
    if (part.length < size) return cut();
    const end = await from.bytes(2);
    if (end.length < 2) return cut();
    if (end.toString('latin1') !== '\r\n') throw new Error('the proxy sent a chunk without end');
  }
  const trailers: string[] = [];
  for (;;) {
    const line = await from.before('\r\n');
    if (line === null) return cut();
    if (line === '') return { body: Buffer.concat(parts), isCut: false, trailers };
    trailers.push(...readFields([line]));
  }
}
