// The origin's side of a scenario: what it plays, request by request, as exact bytes, and what it was asked.
// A play is one response; those of `plays` are used up in order, so that a request too many or too few
// fails the scenario without a word about counts.

import { Buffer } from 'node:buffer';
import type { OriginRequest, Reply, Script } from '../../support/scripted-origin.js';
import { type ExpectedRequest, expectFields, Unmet } from './expect.js';
import { fieldValue, linesOf } from './reader.js';
import { type Transcript, visible } from './transcript.js';

/** What a play may do with its connection. */
export interface Line {
  /** Bytes as they are; text is latin1. Resolves when the socket may take more. */
  write(bytes: string | Uint8Array): Promise<void>;
  chunk(bytes: string | Uint8Array): Promise<void>;
  /** Closes in order, or with a reset. */
  close(): void;
  reset(): void;
  /** Settles when the connection is gone. */
  readonly closed: Promise<void>;
}

export type Play = (line: Line, request: OriginRequest) => Promise<void> | void;

type Lines = string | readonly string[];

const listed = (lines: Lines): readonly string[] => (typeof lines === 'string' ? [lines] : lines);

/** A response head: status line and these lines, whatever they are. */
export function head(lines: Lines, status = 200, reason = 'OK'): string {
  const text = listed(lines).filter((line) => line !== '');
  return `HTTP/1.1 ${status} ${reason}\r\n${text.map((line) => `${line}\r\n`).join('')}\r\n`;
}

/** A whole response with Content-Length, unless its status has no body. */
export function answer(lines: Lines, body: string | Uint8Array = '', status = 200): Play {
  return async (line, request) => {
    const isBodiless = status === 204 || status === 304;
    const all = isBodiless ? lines : [...listed(lines), `Content-Length: ${body.length}`];
    await line.write(head(all, status));
    if (!isBodiless && request.method !== 'HEAD' && body.length > 0) await line.write(body);
  };
}

export function notModified(lines: Lines): Play {
  return answer(lines, '', 304);
}

/** A whole response in chunks. */
export function chunked(lines: Lines, ...chunks: readonly string[]): Play {
  return async (line) => {
    await line.write(head([...listed(lines), 'Transfer-Encoding: chunked']));
    for (const chunk of chunks) await line.chunk(chunk);
    await line.write('0\r\n\r\n');
  };
}

/** Bytes, whatever they are, and then the end of the connection or nothing. */
export function bytes(text: string, then: 'close' | 'reset' | 'stay' = 'close'): Play {
  return async (line) => {
    await line.write(text);
    if (then === 'close') line.close();
    else if (then === 'reset') line.reset();
  };
}

/** The connection goes without an answer. */
export const hangUp: Play = (line) => line.reset();

export class ScenarioOrigin {
  readonly #transcript: Transcript;
  readonly #requests: OriginRequest[] = [];
  readonly #failures: string[] = [];
  #plays: Play[] = [];
  #always: Play | null = null;
  #busy = 0;

  constructor(transcript: Transcript) {
    this.#transcript = transcript;
  }

  /** One play for each request to come, in order. More may be added while the scenario goes on. */
  plays(...plays: readonly Play[]): void {
    this.#always = null;
    this.#plays.push(...plays);
  }

  /** The same for each request from now on; how many come is for `wasAsked` to say. */
  always(play: Play): void {
    this.#plays = [];
    this.#always = play;
  }

  get requests(): readonly OriginRequest[] {
    return this.#requests;
  }

  /** Plays that have begun and not ended. */
  get busy(): number {
    return this.#busy;
  }

  wasAsked(times: number): void {
    if (this.#requests.length !== times) {
      throw new Unmet(
        `the origin should have been asked ${times} times, was ${this.#requests.length}`,
      );
    }
  }

  /** The request of that number, from 1 on. */
  async got(number: number, expected: ExpectedRequest): Promise<void> {
    const where = `request ${number} at the origin`;
    const request = this.#requests[number - 1];
    if (request === undefined) throw new Unmet(`${where} never came`);
    const { method, target } = expected;
    if (method !== undefined && request.method !== method) {
      throw new Unmet(`${where}: the method should be ${method}, was ${request.method}`);
    }
    if (target !== undefined && request.target !== target) {
      throw new Unmet(`${where}: the target should be ${target}, was ${request.target}`);
    }
    expectFields(where, request.fields, expected.fields ?? {});
    if (expected.body === undefined) return;
    const body = (await request.body).toString('latin1');
    if (body !== expected.body) {
      throw new Unmet(
        `${where}: the body should be ${visible(expected.body)}, was ${visible(body)}`,
      );
    }
  }

  /** Throws where plays are left, or where a request came that nobody wrote a play for. */
  finish(): void {
    const [failure] = this.#failures;
    if (failure !== undefined) throw new Unmet(failure);
    if (this.#plays.length > 0) {
      throw new Unmet(
        `${this.#plays.length} plays of the origin are left: it was asked ${this.#requests.length} times`,
      );
    }
  }

  readonly script: Script = async (request, reply) => {
    this.#requests.push(request);
    this.#transcript.note('origin <', request.head);
    const fault = canonicalFault(request);
    if (fault !== '')
      this.#failures.push(`the origin got a request that is not canonical: ${fault}`);
    const play = this.#always ?? this.#plays.shift();
    if (play === undefined) {
      this.#failures.push(
        `the origin was asked a time too many: ${request.method} ${request.target}`,
      );
      await reply.send({ status: 599, reason: 'Nobody Wrote A Play', fields: [], body: 'none' });
      return;
    }
    this.#busy += 1;
    try {
      await play(this.#lineOn(reply), request);
    } finally {
      this.#busy -= 1;
    }
  };

  #lineOn(reply: Reply): Line {
    const note = (text: string) => this.#transcript.note('origin >', text);
    const write = (part: string | Uint8Array) => {
      note(typeof part === 'string' ? part : Buffer.from(part).toString('latin1'));
      return reply.raw(part);
    };
    return {
      write,
      async chunk(part) {
        await write(`${part.length.toString(16)}\r\n`);
        await write(part);
        await write('\r\n');
      },
      close() {
        note('(closes)');
        reply.close();
      },
      reset() {
        note('(resets)');
        reply.reset();
      },
      closed: reply.closed,
    };
  }
}

const requestLine = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+ [\x21-\x7e]+ HTTP\/1\.1$/;
const nameStart = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+:(?= |$)/;

/** Whatever a client sent: the origin gets plain lines, one Host, and one framing at most. */
function canonicalFault({ head: text, fields }: OriginRequest): string {
  const [first = '', ...lines] = text.slice(0, -4).split('\r\n');
  if (!requestLine.test(first)) return first;
  const odd = lines.find((line) => {
    const name = nameStart.exec(line)?.[0];
    return name === undefined || !fieldValue.test(line.slice(name.length + 1));
  });
  if (odd !== undefined) return odd;
  if (linesOf(fields, 'host').length !== 1) return 'not one Host';
  const framings = [...linesOf(fields, 'content-length'), ...linesOf(fields, 'transfer-encoding')];
  return framings.length > 1 ? `framed by ${framings.join(' and ')}` : '';
}
