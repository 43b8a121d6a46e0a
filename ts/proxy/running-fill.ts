// One fetch on behalf of everybody who wants a key: asks the origin, judges the answer, and pumps a body
// that may be stored into native pages. Ends with an outcome that each waiting exchange reads for itself.

import { UpstreamError } from '../errors.js';
import { mayCompress } from '../http/compressible.js';
import type { RawFields } from '../http/fields.js';
import { mergeNotModified } from '../http/merge.js';
import { fieldsOfWhole, partOf } from '../http/partial.js';
import { isReasonOfRequest } from '../http/storable.js';
import { tagsOf } from '../http/tags.js';
import type { Fill, StoredObject } from '../store/contract.js';
import { encodeHead, type Head, headFlags } from '../store/entry.js';
import type { UpstreamResponse } from '../upstream/request.js';
import type { FillShare } from './body.js';
import { bodyLengthOf, sizeRefusal } from './body-length.js';
import { goesOnUnread } from './client-abort.js';
import { credentialsOf, isConfirmed } from './confirmation.js';
import type { Exchange } from './exchange.js';
import { headOf, judge } from './head.js';
import { askOrigin } from './origin-request.js';
import { fitOf, type PartRequest } from './part-request.js';
import { isOriginError, mayStandIn } from './stale.js';
import { validate, validationOf } from './validation.js';
import { within } from './within.js';

export type FillOutcome =
  /** Storable: the body can be followed by any number of readers. */
  | { readonly kind: 'shared'; readonly head: Head }
  /** For the one who asked. The body must be read or given up. */
  | { readonly kind: 'private'; readonly response: UpstreamResponse; readonly reason: string }
  /** The stored object still holds, under this head. */
  | { readonly kind: 'validated'; readonly head: Head; readonly isStored: boolean }
  | { readonly kind: 'failed'; readonly error: Error };

/** Refusals that tell nothing about what the next request for the key gets. */
const notesNothing: ReadonlySet<string> = new Set([
  'stale-if-error',
  'request-no-store',
  'status',
  'access',
]);

/** A body of unknown length that nobody reads is fetched up to this: it might never end. */
const unreadUnknownMax = 64 * 1024 * 1024;

export class RunningFill implements FillShare {
  readonly key: string;
  /** Settles with the outcome; never rejects. */
  readonly ready: Promise<FillOutcome>;
  /** For those who only wait: null where it takes longer than timeouts.join, and nobody else joins then. */
  readonly soon: Promise<FillOutcome | null>;
  readonly #exchange: Exchange;
  #fill: Fill;
  #judged: FillOutcome | null = null;
  #outcome: FillOutcome | null = null;
  #variantKey: string | null = null;
  #response: UpstreamResponse | null = null;
  #holders = 0;
  /** Somebody who read it went away before the end of the answer. */
  #wasLeft = false;
  #isDone = false;
  /** Of whom the origin lets in, where it is to confirm that; else ''. */
  readonly #credentials: string;
  /** What is asked for; null: the whole body. */
  #part: PartRequest | null;
  #interval: { readonly start: number; readonly end: number } | null = null;

  /** Starts at once. `exchange` leads: its request is the one that the origin gets. */
  constructor(exchange: Exchange) {
    const { services } = exchange;
    this.key = exchange.key;
    this.#exchange = exchange;
    this.#part = exchange.part;
    this.#credentials = isConfirmed(exchange) ? credentialsOf(exchange.fields) : '';
    // Before the origin is asked: a purge from now on wins over what it answers.
    this.#fill = services.store!.beginFill(exchange.key, exchange.variants);
    // What the client wants stored nowhere is no reason for others to wait.
    services.fills.add(this, exchange.directives.has('no-store'));
    this.ready = this.#run().then((outcome) => {
      this.#outcome = outcome;
      return outcome;
    });
    const { fills, timers, config } = services;
    this.soon = within(timers, this.ready, config.timeouts.joinMs, () => fills.unlist(this));
  }

  get fill(): Fill {
    return this.#fill;
  }

  get produced(): number {
    return this.#fill.produced;
  }

  /** Asked for a part of the body, and no other answer has come. */
  get isPart(): boolean {
    return this.#part !== null;
  }

  /** The bytes that come: of a part, once its head is there; null: all of them. */
  get interval(): { readonly start: number; readonly end: number } | null {
    return this.#interval;
  }

  /** While the head is unknown anybody may wait for it; then the variant decides, and the part. */
  mayServe(fields: RawFields, part: PartRequest | null): boolean {
    if (this.isPurged() || this.isPart !== (part !== null) || !this.isOpenTo(fields)) return false;
    if (this.#outcome === null) return true;
    return this.hasWanted(fields, part);
  }

  /** What it fetches was asked for without credentials, or with the same, or the route does not mind. */
  isOpenTo(fields: RawFields): boolean {
    return this.#credentials === '' || this.#credentials === credentialsOf(fields);
  }

  /** Its head is there, and it is the variant and has the part that are asked for. */
  hasWanted(fields: RawFields, part: PartRequest | null): boolean {
    if (this.#outcome?.kind !== 'shared' || !this.#hasPart(this.#outcome.head, part)) return false;
    const { varyNames } = this.#outcome.head;
    if (varyNames.length === 0) return true;
    const store = this.#exchange.services.store!;
    const key = store.variantKey(this.key, varyNames, fields);
    return key !== null && key === this.#variantKey;
  }

  #hasPart(head: Head, part: PartRequest | null): boolean {
    if (part === null || this.#interval === null) return part === null;
    const { wanted, known } = part;
    if (wanted === null || (known !== null && known.head.etag !== head.etag)) return false;
    const end = Math.min(wanted.end, head.bodyLength ?? wanted.end);
    return wanted.start >= this.#interval.start && end <= this.#interval.end;
  }

  /** Asked for at the origin before a purge that concerns it. */
  isPurged(): boolean {
    return this.#fill.isPurged();
  }

  retain(): void {
    this.#holders += 1;
  }

  release(hasLeft: boolean): void {
    this.#holders -= 1;
    this.#wasLeft ||= hasLeft;
    if (this.#holders > 0) return;
    if (this.#isDone) this.#fill.close();
    // Whoever has joined within this turn takes hold of it before the next one.
    else setImmediate(() => this.#judgeUnread());
  }

  #judgeUnread(): void {
    if (this.#holders > 0 || this.#isDone) return;
    if (this.#isEndless()) this.abandon('nobody reads a body of unknown length any more');
    if (!this.#wasLeft || this.#isDone) return;
    this.#wasLeft = false;
    const { rule, services } = this.#exchange;
    if (goesOnUnread(rule!.cache.clientAbort, this.#progress())) {
      services.counters.fillsContinued += 1;
      return;
    }
    services.counters.fillsStopped += 1;
    this.abandon('every client has left, and the route does not fetch on for the store');
  }

  #progress(): { done: number; length: number | null } {
    const { start, end } = this.#interval ?? { start: 0, end: this.#bodyLength() };
    return { done: this.produced - start, length: end === null ? null : end - start };
  }

  #bodyLength(): number | null {
    return this.#outcome?.kind === 'shared' ? this.#outcome.head.bodyLength : null;
  }

  #isEndless(): boolean {
    const isUnknown = this.#outcome?.kind === 'shared' && this.#bodyLength() === null;
    return isUnknown && this.#holders === 0 && this.produced > unreadUnknownMax;
  }

  async #run(): Promise<FillOutcome> {
    try {
      let validation = validationOf(this.#exchange);
      let response = await this.#ask(this.#part?.condition ?? validation?.condition ?? []);
      if (this.#judged !== null) return this.#judged;
      if (this.#part !== null) {
        // Neither the part that was asked for nor the whole: once more for the whole.
        response.body.abort();
        this.#part = null;
        response = await this.#ask([]);
        if (this.#judged !== null) return this.#judged;
      }
      if (response.status === 304) {
        const outcome =
          validation === null
            ? null
            : await validate(this.#exchange, validation, response, this.#fill);
        response.body.abort();
        if (outcome !== null) return this.#end(outcome);
        // The 304 speaks of another version, or of no condition of ours: once more without one.
        validation = null;
        response = await this.#ask([]);
        if (this.#judged !== null) return this.#judged;
        response.body.abort();
      }
      throw new UpstreamError(
        'UPSTREAM_PROTOCOL',
        `${this.key}: the origin answered 304 to a request without a condition`,
      );
    } catch (error) {
      return this.#end({ kind: 'failed', error: error as Error });
    }
  }

  #ask(condition: RawFields): Promise<UpstreamResponse> {
    return askOrigin(this.#exchange, 'fill', condition, (response) => {
      // At once, so that bytes that came with the head need not wait in a buffer of their own.
      if (response.status === 206 && this.#part !== null) {
        this.#judged = this.#judgePart(response, this.#part);
      } else if (response.status === 416 && this.#part?.known) {
        this.#judged = null;
      } else if (response.status !== 304) {
        this.#judged = this.#judge(response);
      }
    });
  }

  /** An outcome without a body of ours: the native fill was for nothing. */
  #end(outcome: FillOutcome): FillOutcome {
    this.#isDone = true;
    this.#fill.fail(new UpstreamError('UPSTREAM_TRUNCATED', 'the fill was given up'));
    this.#fill.close();
    this.#exchange.services.fills.remove(this);
    return outcome;
  }

  #judge(response: UpstreamResponse): FillOutcome {
    const { services } = this.#exchange;
    const judgement = judge(this.#exchange, response, response);
    const bodyLength = bodyLengthOf(response);
    // Although it may be stored: what it would replace is the better answer for as long as it stands in.
    const isWorse =
      isOriginError(this.#exchange, response.status) && mayStandIn(this.#exchange, 'error');
    const reason = isWorse
      ? 'stale-if-error'
      : judgement.reason || sizeRefusal(response, services.store!.largestBody);
    if (reason !== '') {
      if (!notesNothing.has(reason)) services.fills.noteUnshareable(this.key);
      this.#dropReplaced(response, reason);
      return this.#end({ kind: 'private', response, reason });
    }
    this.#part = null;
    const head = headOf(this.#exchange, judgement, response, bodyLength);
    return this.#begin(response, head, null);
  }

  /** Null: it is not what was asked for. */
  #judgePart(response: UpstreamResponse, request: PartRequest): FillOutcome | null {
    const { services } = this.#exchange;
    const part = partOf(response.fields);
    const fit = part === null ? null : fitOf(this.#exchange, request, response, part);
    if (fit === 'none' || (fit === null && request.known !== null)) return null;
    const known = fit === 'known' ? request.known : null;
    if (part === null) return this.#end({ kind: 'private', response, reason: 'partial' });
    const fields = fieldsOfWhole(response.fields);
    const whole = {
      status: 200,
      reason: 'OK',
      fields: known === null ? fields : mergeNotModified(known.head.fields, fields),
      receivedMs: response.receivedMs,
    };
    const judgement = judge(this.#exchange, whole, response);
    const tooLarge = part.length > services.store!.largestBody ? 'too-large' : '';
    const reason =
      judgement.reason || tooLarge || sizeRefusal(response, services.store!.largestBody);
    if (reason !== '') {
      if (known === null) return this.#end({ kind: 'private', response, reason });
      // As after a 304 that says so.
      services.store!.purgeKey(this.key);
      return null;
    }
    const tags = known === null || tagsOf(response.fields) !== null ? null : known.head.tags;
    const head = headOf(this.#exchange, judgement, whole, part.length, tags);
    const flags = head.flags | headFlags.incomplete | headFlags.acceptsRanges;
    return this.#begin(response, { ...head, flags }, { ...part, known });
  }

  #begin(
    response: UpstreamResponse,
    head: Head,
    part: { start: number; end: number; known: StoredObject | null } | null,
  ): FillOutcome {
    const { services, fields } = this.#exchange;
    const encoded = encodeHead(head);
    try {
      this.#variantKey = services.store!.variantKey(this.key, head.varyNames, fields);
      this.#fill.begin({
        head: encoded,
        bodyLength: head.bodyLength,
        store: true,
        mayCompress: mayCompress(head.fields),
        varyNames: head.varyNames,
        requestFields: fields,
        etag: head.etag,
        ...(part === null ? {} : { part }),
      });
    } catch {
      // A head or key that is too large to store is served all the same.
      return this.#end({ kind: 'private', response, reason: 'head-too-large' });
    }
    if (part !== null) this.#interval = { start: part.start, end: part.end };
    if (part !== null && part.known !== null) this.#renew(part.known, encoded);
    services.fills.noteShareable(this.key);
    services.fills.unlist(this);
    services.fills.list(this);
    this.#response = response;
    // Whoever waits takes its place at the first byte within this turn; until then somebody holds it.
    const place = this.#fill.follow(part?.start ?? 0);
    this.retain();
    setImmediate(() => {
      place.close();
      this.release(false);
    });
    this.#pump(response);
    return { kind: 'shared', head };
  }

  /** The newest fields are those of the whole object. */
  #renew(known: StoredObject, head: Uint8Array): void {
    try {
      this.#exchange.services.store!.refresh(known, head, this.#fill);
    } catch {
      // No page for it, or purged or replaced meanwhile: what is stored keeps its own head.
    }
  }

  /**
   * A full answer says that what is stored is not the one to be used any more. Where the answer itself is
   * not stored, that still holds from the next request on, unless it is an error, or the reason lies in
   * this request.
   */
  #dropReplaced(response: UpstreamResponse, reason: string): void {
    const { stored, services } = this.#exchange;
    const { status } = response;
    const isAboutResource = status < 400 || status === 404 || status === 410;
    // Without credentials on either side, what was refused is there for nobody.
    const isPrivate = this.#credentials !== '' || (stored?.head.flags ?? 0) & headFlags.authorized;
    const isOfRequest = isReasonOfRequest(reason) && (reason !== 'access' || isPrivate);
    if (stored === null || isOfRequest || !isAboutResource) return;
    if (services.clock.now() >= stored.head.freshUntilMs) services.store!.forget(stored);
  }

  #pump(response: UpstreamResponse): void {
    const { body } = response;
    this.#fill.onResume = () => body.resume();
    body.read({
      onData: (chunk) => {
        if (this.#isDone) return false;
        if (this.#isEndless()) {
          this.abandon('nobody reads a body of unknown length any more');
          return false;
        }
        try {
          return this.#fill.append(chunk);
        } catch (error) {
          this.abandon((error as Error).message);
          return false;
        }
      },
      onEnd: () => {
        this.#fill.finish();
        this.#leave();
      },
      onError: (error) => {
        this.#exchange.services.counters.originErrors += 1;
        this.#fill.fail(error);
        this.#leave();
      },
    });
  }

  /** The same where nobody reads it. */
  abandonUnheld(why: string): void {
    if (this.#holders === 0) this.abandon(why);
  }

  /** Gives the origin's connection up; followers see the break. */
  abandon(why: string): void {
    if (this.#isDone) return;
    this.#response?.body.abort();
    this.#fill.fail(new UpstreamError('UPSTREAM_TRUNCATED', `${this.key}: ${why}`));
    this.#leave();
  }

  #leave(): void {
    this.#isDone = true;
    this.#exchange.services.fills.remove(this);
    if (this.#holders === 0) this.#fill.close();
  }
}
