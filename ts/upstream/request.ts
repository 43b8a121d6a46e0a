// One request to an origin: resolves with the head, hands the body on chunk by chunk under the reader's
// pace. The only file that speaks undici's handler interface; chunks are passed on as they come, without
// a stream in between.

import type { Buffer } from 'node:buffer';
import type { Readable } from 'node:stream';
import { type Dispatcher, errors } from 'undici';
import type { Clock } from '../clock.js';
import { type ClientError, UpstreamError } from '../errors.js';
import { fieldValue, type RawFields, trimmed } from '../http/fields.js';
import { sendExpecting } from './expecting-request.js';
import { clientLeft, upstreamFailure } from './failure.js';
import { isFieldText, refusalOfHead } from './head-refusal.js';
import {
  currentReception,
  expectBody,
  expectHead,
  interimsMax,
  type Reception,
  type ReceptionPhase,
} from './origin-socket.js';
import type { Origin } from './pool.js';

export interface UpstreamRequest {
  readonly method: string;
  /** Origin form. */
  readonly target: string;
  /** Without hop-by-hop fields; Host included. */
  readonly fields: RawFields;
  readonly body: Readable | null;
  /** Told of 1xx responses, except 100. */
  readonly onInterim?: (status: number, fields: RawFields) => void;
  /** The client waits with its body; called when the origin wants it. */
  readonly onContinue?: () => void;
}

export interface BodyReader {
  /**
   * Returns false to pause; `UpstreamBody.resume` goes on. The chunk's memory is used again as soon as this
   * returns: what is to be kept has to be copied.
   */
  onData(chunk: Buffer): boolean;
  onEnd(): void;
  onError(error: UpstreamError): void;
}

/** The body of a response. Nothing is read ahead before `read` is called. */
export interface UpstreamBody {
  /** Called once. An error or end that came before is reported at once, data later. */
  read(reader: BodyReader): void;
  resume(): void;
  /** Gives the connection up. No report follows. */
  abort(): void;
}

export interface UpstreamResponse {
  readonly status: number;
  readonly reason: string;
  readonly fields: RawFields;
  readonly sentMs: number;
  readonly receivedMs: number;
  readonly body: UpstreamBody;
}

/** Told of the head before anything of the body is parsed: who reads from here on need not pause. */
export type HeadReader = (response: UpstreamResponse) => void;

export interface RequestLimits {
  /** Longest time from the wish to the head; the origin's own where it is not given. */
  readonly answerMs?: number;
  /** Longest time from the wish to the last byte; none where it is not given. */
  readonly totalMs?: number;
  /** Called once when this request holds its connection no longer, however it ended. */
  readonly onDone?: () => void;
}

/** Sends the request, once. Rejects with an UpstreamError when no response head comes, or CLIENT_ABORTED. */
export function sendRequest(
  origin: Origin,
  request: UpstreamRequest,
  clock: Clock,
  onHead: HeadReader = () => {},
  limits: RequestLimits = {},
): Promise<UpstreamResponse> {
  return new Promise((resolve, reject) => {
    const answer = (response: UpstreamResponse) => {
      try {
        onHead(response);
        resolve(response);
      } catch (error) {
        response.body.abort();
        reject(error);
      }
    };
    if (request.onContinue !== undefined && request.body !== null) {
      const expecting = { ...request, body: request.body, onContinue: request.onContinue };
      sendExpecting(origin, expecting, clock, limits).then(answer, reject);
      return;
    }
    const handler = new ResponseHandler(origin.url, clock, request, limits, answer, reject);
    // undici's own limits begin with a connection; this one also ends the wait for a free one. A request
    // with a body gets its answer when the body is through, however long that takes.
    if (request.body === null) handler.limitWait(limits.answerMs ?? origin.answerTimeoutMs);
    origin.dispatch(
      {
        method: request.method as Dispatcher.HttpMethod,
        path: request.target,
        headers: request.fields as string[],
        body: request.body,
      },
      handler,
    );
  });
}

type Ending = { readonly kind: 'end' } | { readonly kind: 'error'; readonly error: UpstreamError };

class ResponseHandler implements Dispatcher.DispatchHandler, UpstreamBody {
  readonly #url: URL;
  readonly #clock: Clock;
  readonly #onInterim: UpstreamRequest['onInterim'];
  readonly #resolve: (response: UpstreamResponse) => void;
  readonly #reject: (error: UpstreamError | ClientError) => void;
  readonly #sentMs: number;
  readonly #limits: RequestLimits;
  #controller: Dispatcher.DispatchController | null = null;
  #reader: BodyReader | null = null;
  #reception: Reception | null = null;
  #ending: Ending | null = null;
  #timer: NodeJS.Timeout | undefined;
  #totalTimer: NodeJS.Timeout | undefined;
  #isDone = false;
  #hasHead = false;
  #isPaused = false;
  #isAborted = false;
  #interims = 0;
  #isBodiless = false;
  #hasClientLeft = false;

  constructor(
    url: URL,
    clock: Clock,
    request: UpstreamRequest,
    limits: RequestLimits,
    resolve: (response: UpstreamResponse) => void,
    reject: (error: UpstreamError | ClientError) => void,
  ) {
    this.#url = url;
    this.#clock = clock;
    this.#limits = limits;
    this.#onInterim = request.onInterim;
    // Before undici hears of it, which would tell the same as if the origin had broken off.
    request.body?.once('error', () => {
      this.#hasClientLeft = !this.#isDone;
    });
    this.#resolve = resolve;
    this.#reject = reject;
    this.#sentMs = clock.now();
    if (limits.totalMs !== undefined) this.#limitWhole(limits.totalMs);
  }

  limitWait(timeoutMs: number): void {
    this.#timer = setTimeout(() => {
      this.#giveUp(`${this.#url.origin} sent no response head within ${timeoutMs} ms`);
    }, timeoutMs);
  }

  #limitWhole(timeoutMs: number): void {
    this.#totalTimer = setTimeout(() => {
      const text = `${this.#url.origin} did not get to the end of its response in ${timeoutMs} ms`;
      if (this.#hasHead) this.#controller?.abort(new UpstreamError('UPSTREAM_TIMEOUT', text));
      else this.#giveUp(text);
    }, timeoutMs);
  }

  /** Before the head. */
  #giveUp(text: string): void {
    this.#isAborted = true;
    const error = new UpstreamError('UPSTREAM_TIMEOUT', text, {
      proxyError: 'http_response_timeout',
    });
    this.#controller?.abort(error);
    this.#done();
    this.#reject(error);
  }

  #done(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#totalTimer);
    if (this.#isDone) return;
    this.#isDone = true;
    this.#limits.onDone?.();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#isAborted) controller.abort(new UpstreamError('UPSTREAM_TIMEOUT', 'too late'));
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    reason?: string,
  ): void {
    const fields = fieldsOf((controller as unknown as { rawHeaders: Buffer[] }).rawHeaders);
    const refusal = this.#refusalOf(status, fields);
    if (refusal !== null) {
      controller.abort(refusal);
      return;
    }
    if (status < 200) {
      this.#onInterim?.(status, fields);
      return;
    }
    this.#isBodiless = status === 204 || status === 304;
    clearTimeout(this.#timer);
    this.#hasHead = true;
    this.#reception = currentReception();
    if (this.#reception !== null) expectBody(this.#reception, framingOf(fields));
    this.#resolve({
      status,
      reason: isFieldText(reason ?? '') ? (reason ?? '') : '',
      fields,
      sentMs: this.#sentMs,
      receivedMs: this.#clock.now(),
      body: this,
    });
    if (this.#reader === null) this.#pause(controller);
  }

  #refusalOf(status: number, fields: RawFields): UpstreamError | null {
    if (status < 200) this.#interims += 1;
    const isOld = currentReception()?.minorVersion === 0;
    if (this.#interims <= interimsMax) return refusalOfHead(this.#url, fields, isOld);
    return new UpstreamError(
      'UPSTREAM_PROTOCOL',
      `${this.#url.origin} sent more than ${interimsMax} interim responses to one request`,
    );
  }

  #pause(controller: Dispatcher.DispatchController): void {
    controller.pause();
    this.#isPaused = true;
    const reception = currentReception();
    if (reception !== null) reception.isPaused = true;
  }

  /** What follows on this connection is the head of another response. */
  #leaveSocket(): void {
    if (this.#reception !== null) expectHead(this.#reception);
    this.#reception = null;
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    // undici reports nothing at all when it is resumed before more has come. Pausing for that would have
    // a reader that takes one chunk at a time resume and pause for ever, without a turn of the loop.
    if (this.#isAborted || chunk.length === 0) return;
    if (this.#reader?.onData(chunk) === false) this.#pause(controller);
  }

  onResponseEnd(): void {
    this.#done();
    this.#leaveSocket();
    this.#finish({ kind: 'end' });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#hasClientLeft && !this.#hasHead) {
      this.#done();
      this.#leaveSocket();
      this.#reject(clientLeft());
      return;
    }
    this.#done();
    this.#leaveSocket();
    // A length in a response that has no body (RFC 9112 section 6.3) means nothing to its reader.
    if (this.#isBodiless && error instanceof errors.ResponseContentLengthMismatchError) {
      this.#finish({ kind: 'end' });
      return;
    }
    const phase = this.#hasHead ? 'body' : 'head';
    const failure = upstreamFailure(this.#url, error, phase);
    if (this.#hasHead) this.#finish({ kind: 'error', error: failure });
    else this.#reject(failure);
  }

  #finish(ending: Ending): void {
    if (this.#isAborted || this.#ending !== null) return;
    this.#ending = ending;
    if (this.#reader !== null) this.#report(this.#reader, ending);
  }

  #report(reader: BodyReader, ending: Ending): void {
    if (ending.kind === 'end') reader.onEnd();
    else reader.onError(ending.error);
  }

  read(reader: BodyReader): void {
    this.#reader = reader;
    if (this.#ending !== null) this.#report(reader, this.#ending);
    else if (this.#isPaused) this.resume();
  }

  /**
   * Goes on in a microtask: undici's parser may be running right now, for this or another connection, and
   * does not take a resume from within one of its callbacks.
   */
  resume(): void {
    const goOn = () => {
      if (this.#isAborted || this.#ending !== null || !this.#isPaused) return;
      this.#isPaused = false;
      this.#controller?.resume();
    };
    // Reading must not begin again within a read where a reset could be taken for the end.
    if (this.#reception?.phase === 'close') setImmediate(goOn);
    else queueMicrotask(goOn);
  }

  abort(): void {
    if (this.#isAborted || this.#ending !== null) return;
    this.#isAborted = true;
    this.#done();
    this.#controller?.abort(new UpstreamError('UPSTREAM_RESET', 'nobody wants the body any more'));
  }
}

function framingOf(fields: RawFields): Exclude<ReceptionPhase, 'head'> {
  if (fieldValue(fields, 'transfer-encoding') !== undefined) return 'chunked';
  return fieldValue(fields, 'content-length') === undefined ? 'close' : 'length';
}

// undici gives names and values as Buffers, several values of one name as an array. It leaves blanks behind a
// value, which are no part of it (RFC 9112 section 5).
function fieldsOf(raw: readonly (Buffer | Buffer[])[]): string[] {
  const fields: string[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = (raw[at] as Buffer).toString('latin1');
    const value = raw[at + 1]!;
    for (const line of Array.isArray(value) ? value : [value]) {
      fields.push(name, trimmed(line.toString('latin1')));
    }
  }
  return fields;
}
