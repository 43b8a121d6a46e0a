// A request whose client waits for leave to send its body (Expect: 100-continue, RFC 9110 section 10.1.1).
// undici sends no Expect, so these few go through Node's own client, each on a connection of its own: the
// origin sees the head, and either says 100 or answers for good before a byte of the body was sent.

import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import type { Clock } from '../clock.js';
import { ClientError, UpstreamError } from '../errors.js';
import { clientLeft, upstreamFailure } from './failure.js';
import { refusalOfHead } from './head-refusal.js';
import { headBytesMax, type Origin } from './pool.js';
import type {
  BodyReader,
  RequestLimits,
  UpstreamBody,
  UpstreamRequest,
  UpstreamResponse,
} from './request.js';
import { systemTimers } from './timers.js';

export interface ExpectingRequest extends UpstreamRequest {
  readonly body: Readable;
  readonly onContinue: () => void;
}

/** Resolves with the final head. */
export function sendExpecting(
  origin: Origin,
  request: ExpectingRequest,
  clock: Clock,
  limits: RequestLimits,
): Promise<UpstreamResponse> {
  const { url } = origin;
  const open = url.protocol === 'https:' ? httpsRequest : httpRequest;
  const sentMs = clock.now();
  const outgoing = open({
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port,
    method: request.method,
    path: request.target,
    headers: [
      ...request.fields,
      'Expect',
      '100-continue',
      'Connection',
      'close',
      ...framing(request),
    ],
    agent: false,
    setHost: false,
    maxHeaderSize: headBytesMax,
    ...origin.connectOptions,
  });
  outgoing.maxHeadersCount = 0;
  // Silence in either direction; a body may take as long as it moves.
  outgoing.setTimeout(origin.answerTimeoutMs, () => {
    const text = `${url.origin} neither took the request nor answered within its limit`;
    outgoing.destroy(new UpstreamError('UPSTREAM_TIMEOUT', text));
  });
  const cancel =
    limits.totalMs === undefined ? () => {} : giveUpAfter(limits.totalMs, outgoing, url);
  outgoing.once('close', () => {
    cancel();
    limits.onDone?.();
  });
  outgoing.once('continue', request.onContinue);
  // A client that does not wait for the 100 is not held up either.
  request.body.pipe(outgoing);
  outgoing.flushHeaders();
  return new Promise((resolve, reject) => {
    // A pipe does not tell its end when its source breaks off, and the origin would wait for the rest.
    const leave = () => {
      if (!request.body.readableEnded) outgoing.destroy(clientLeft());
    };
    request.body.once('close', leave);
    outgoing.once('error', (error) => {
      request.body.unpipe(outgoing);
      reject(error instanceof ClientError ? error : upstreamFailure(url, error, 'head'));
    });
    outgoing.once('upgrade', () => {
      outgoing.destroy();
      const text = `${url.origin} switched protocols although nobody asked for it`;
      reject(new UpstreamError('UPSTREAM_PROTOCOL', text));
    });
    outgoing.once('response', (message) => {
      // Whatever of the body has not been sent by now is not wanted any more.
      request.body.unpipe(outgoing);
      request.body.off('close', leave);
      const refusal = refusalOfHead(url, message.rawHeaders, message.httpVersionMinor === 0);
      if (refusal !== null) {
        outgoing.destroy();
        reject(refusal);
        return;
      }
      resolve({
        status: message.statusCode!,
        reason: message.statusMessage ?? '',
        fields: message.rawHeaders,
        sentMs,
        receivedMs: clock.now(),
        body: new MessageBody(url, outgoing, message),
      });
    });
  });
}

function giveUpAfter(totalMs: number, outgoing: ClientRequest, url: URL): () => void {
  return systemTimers.after(totalMs, () => {
    const text = `${url.origin} did not get to the end of its response in ${totalMs} ms`;
    outgoing.destroy(new UpstreamError('UPSTREAM_TIMEOUT', text));
  });
}

/** A length that the client gave is among the fields; without one the body is chunked. */
function framing({ fields }: ExpectingRequest): string[] {
  const hasLength = fields.some((name, at) => at % 2 === 0 && /^content-length$/i.test(name));
  return hasLength ? [] : ['Transfer-Encoding', 'chunked'];
}

class MessageBody implements UpstreamBody {
  readonly #url: URL;
  readonly #request: ClientRequest;
  readonly #message: IncomingMessage;
  #reader: BodyReader | null = null;
  #isPaused = false;
  #isOver = false;

  constructor(url: URL, request: ClientRequest, message: IncomingMessage) {
    this.#url = url;
    this.#request = request;
    this.#message = message;
    // Until somebody reads there is nobody to tell; the end or the close is found later all the same.
    request.on('error', () => {});
    message.on('error', () => {});
  }

  read(reader: BodyReader): void {
    this.#reader = reader;
    const message = this.#message;
    message.on('readable', () => this.#pump());
    message.once('end', () => this.#end(() => reader.onEnd()));
    message.once('close', () => this.#fail());
    if (message.destroyed && !message.readableEnded) this.#fail();
    else this.#pump();
  }

  #pump(): void {
    while (!this.#isPaused && !this.#isOver) {
      const chunk = this.#message.read() as Buffer | null;
      if (chunk === null) return;
      if (this.#reader?.onData(chunk) === false) this.#isPaused = true;
    }
  }

  #fail(): void {
    const error = this.#message.errored ?? new Error('aborted');
    this.#end(() => this.#reader?.onError(upstreamFailure(this.#url, error, 'body')));
  }

  #end(report: () => void): void {
    if (this.#isOver) return;
    this.#isOver = true;
    report();
  }

  resume(): void {
    this.#isPaused = false;
    queueMicrotask(() => this.#pump());
  }

  abort(): void {
    this.#isOver = true;
    this.#request.destroy();
  }
}
