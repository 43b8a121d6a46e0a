// Moves the body of one response into a native fill, up to an end that may come closer while it runs: then
// somebody else fetches what is behind it, and the connection is given up there.

import { UpstreamError } from '../errors.js';
import type { Fill } from '../store/contract.js';
import type { UpstreamBody } from '../upstream/request.js';

/** Of what comes soon nothing is taken away: it is on its way already. */
const soonBytes = 1024 * 1024;

export interface PumpEvents {
  /** Before bytes are taken; false: the fill is over. */
  mayGoOn(): boolean;
  /** The body has ended, or has come to the end that was set. `isCut`: before its own. */
  onEnd(isCut: boolean): void;
  /** The body broke off. */
  onBreak(error: Error): void;
  /** The store does not take it. */
  onRefusal(error: Error): void;
}

export class FillPump {
  readonly #body: UpstreamBody;
  readonly #fill: Fill;
  readonly #events: PumpEvents;
  /** Offset in the body behind what was received. */
  #received: number;
  #end: number;
  #isCut = false;
  #isOver = false;

  constructor(body: UpstreamBody, fill: Fill, start: number, end: number, events: PumpEvents) {
    this.#body = body;
    this.#fill = fill;
    this.#received = start;
    this.#end = end;
    this.#events = events;
  }

  start(): void {
    this.#fill.onResume = () => {
      if (!this.#endIfCut()) this.#body.resume();
    };
    this.#body.read({
      onData: (chunk) => this.#take(chunk),
      onEnd: () => this.#finish(() => this.#events.onEnd(false)),
      onError: (error) => this.#finish(() => this.#events.onBreak(error)),
    });
  }

  /** False: that is too near to what has come. */
  cutAt(offset: number): boolean {
    if (this.#isOver || offset >= this.#end || offset < this.#received + soonBytes) return false;
    this.#end = offset;
    this.#isCut = true;
    return true;
  }

  #take(chunk: Uint8Array): boolean {
    if (this.#isOver || !this.#events.mayGoOn()) return false;
    const wanted = chunk.subarray(0, Math.max(0, this.#end - this.#received));
    // In chunked coding a part can be longer than it says; of a whole body the framing is the length.
    if (wanted.length < chunk.length && !this.#isCut) {
      this.#finish(() => {
        this.#body.abort();
        this.#events.onBreak(
          new UpstreamError('UPSTREAM_PROTOCOL', 'more bytes came than Content-Range says'),
        );
      });
      return false;
    }
    this.#received += wanted.length;
    let goesOn: boolean;
    try {
      goesOn = wanted.length === 0 || this.#fill.append(wanted);
    } catch (error) {
      this.#finish(() => this.#events.onRefusal(error as Error));
      return false;
    }
    return goesOn && !this.#endIfCut();
  }

  /** Only once the fill has all bytes: those that wait for a page would be lost. */
  #endIfCut(): boolean {
    if (!this.#isCut || this.#fill.produced < this.#end) return false;
    this.#finish(() => {
      this.#body.abort();
      this.#events.onEnd(true);
    });
    return true;
  }

  #finish(tell: () => void): void {
    if (this.#isOver) return;
    this.#isOver = true;
    tell();
  }

  abort(): void {
    this.#isOver = true;
    this.#body.abort();
  }
}
