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
import { bodyLengthOf } from './body-length.js';
import { goesOnUnread } from './client-abort.js';
import { credentialsOf, isConfirmed } from './confirmation.js';
import type { Exchange } from './exchange.js';
import { storeRefusal } from './fill-memory.js';
import { changedError, type FillOutcome, notesNothing } from './fill-outcome.js';
import { FillPump } from './fill-pump.js';
import { headOf, judge } from './head.js';
import { askOrigin } from './origin-request.js';
import { fitOf, hasNoRanges, type PartRequest, renewHead } from './part-request.js';
import { type Claim, PartPlace, versionOf } from './part-table.js';
import { mayFetchInParts } from './slicing.js';
import { isOriginError, mayStandIn } from './stale.js';
import { dropReplaced, validate, validationOf } from './validation.js';
import { within } from './within.js';

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
  #pump: FillPump | null = null;
  #holders = 0;
  /** Somebody who read it went away before the end of the answer. */
  #wasLeft = false;
  #isDone = false;
  /** Of whom the origin lets in, where it is to confirm that; else ''. */
  readonly #credentials: string;
  /** What is asked for; null: the whole body. */
  #part: PartRequest | null;
  #interval: Claim | null = null;
  readonly #place: PartPlace;
  readonly #isLate: boolean;
  readonly #onDone: (() => void)[] = [];
  #isCut = false;

  /**
   * Starts at once. `exchange` leads: its request is the one that the origin gets. `isLate`: for an answer
   * whose head is out, to which nothing but these bytes of this version is of use.
   */
  constructor(exchange: Exchange, isLate = false) {
    const { services } = exchange;
    this.key = exchange.key;
    this.#exchange = exchange;
    this.#part = exchange.part;
    this.#credentials = isConfirmed(exchange) ? credentialsOf(exchange.fields) : '';
    this.#isLate = isLate;
    const isForOne = exchange.directives.has('no-store');
    this.#place = new PartPlace(isForOne ? null : services.fills.parts, this);
    const known = this.#part?.known ?? null;
    // Whoever asked may have left before the origin answers.
    known?.retain();
    if (known !== null) this.#place.take(versionOf(known.key, known.head), this.#part!.wanted!);
    // Before the origin is asked: a purge from now on wins over what it answers.
    this.#fill = services.store!.beginFill(exchange.key, exchange.variants);
    // What the client wants stored nowhere is no reason for others to wait.
    services.fills.add(this, isForOne);
    this.ready = this.#run().then((outcome) => {
      this.#outcome = outcome;
      known?.close();
      return outcome;
    });
    const { fills, timers, config } = services;
    this.soon = within(timers, this.ready, config.timeouts.joinMs, () => {
      fills.unlist(this);
      this.#place.leave();
    });
  }

  get fill(): Fill {
    return this.#fill;
  }

  get produced(): number {
    return this.#fill.produced;
  }

  /** Asked for a part of the body, or answered in a way that others may fetch parts of. */
  get isPart(): boolean {
    return this.#part !== null || this.#interval !== null;
  }

  /** The bytes that come: of a part, once its head is there; null: all of them. */
  get interval(): Claim | null {
    return this.#interval;
  }

  /** Of a part of a version that is known: the bytes that it is to bring. */
  get claim(): Claim | null {
    return this.#place.claim;
  }

  /** Ended where another one goes on, not by a fault. */
  get isCut(): boolean {
    return this.#isCut;
  }

  /** Brings a body, whole or a part, that others may read. */
  get isShared(): boolean {
    return this.#outcome?.kind === 'shared';
  }

  /** It broke off, or brought nothing. */
  get hasFailed(): boolean {
    return this.#isDone && !this.#isCut && (!this.isShared || this.#fill.failure !== null);
  }

  /** Called when nothing more comes, however that is. */
  whenDone(call: () => void): void {
    this.#onDone.push(call);
  }

  /** Somebody else brings what is behind `offset`. False: that is too near to what has come. */
  cutAt(offset: number): boolean {
    const isCut = this.#pump?.cutAt(offset) === true;
    if (isCut) this.#place.shorten(offset);
    return isCut;
  }

  /** While the head is unknown anybody may wait for it; then the variant decides, and the part. */
  mayServe(fields: RawFields, part: PartRequest | null): boolean {
    if (this.isPurged() || this.isPart !== (part !== null) || !this.isOpenTo(fields)) return false;
    return this.#outcome === null || this.hasWanted(fields, part);
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

  #hasPart({ etag }: Head, part: PartRequest | null): boolean {
    if (part === null) return this.#interval === null;
    const { known, gap } = part;
    const { claim } = this;
    if (known === null || known.head.etag !== etag || claim === null) return false;
    return claim.start <= gap!.from && gap!.from < claim.end;
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
        this.#place.leave();
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
        this.#judged = this.#judgePart(response, this.#part) ?? this.#refuseLate(response);
      } else if (this.#isLate) {
        this.#judged = this.#refuseLate(response);
      } else if (response.status === 416 && this.#part?.known) {
        this.#judged = null;
      } else if (response.status !== 304) {
        this.#judged = this.#judge(response);
      }
    });
  }

  #remove(): void {
    this.#isDone = true;
    this.#place.leave();
    this.#exchange.services.fills.remove(this);
    // Not within this: whoever hears of it may begin the next part.
    for (const call of this.#onDone) queueMicrotask(call);
  }

  /** An outcome without a body of ours: the native fill was for nothing. */
  #end(outcome: FillOutcome): FillOutcome {
    this.#fill.fail(new UpstreamError('UPSTREAM_TRUNCATED', 'the fill was given up'));
    this.#fill.close();
    this.#remove();
    return outcome;
  }

  /** An answer that a body whose head is out cannot go on with. Null: it is no late one. */
  #refuseLate(response: UpstreamResponse): FillOutcome | null {
    if (!this.#isLate) return null;
    const { known } = this.#part!;
    const { status } = response;
    response.body.abort();
    // What the origin has by now is another version, so the next request begins with that.
    if (status < 300 || status === 416) this.#exchange.services.store!.forget(known!);
    return this.#end({ kind: 'failed', error: changedError(this.key, known!.head.etag, status) });
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
      : judgement.reason || storeRefusal(services, this, response, bodyLength);
    if (reason !== '') {
      if (!notesNothing.has(reason)) services.fills.noteUnshareable(this.key);
      dropReplaced(this.#exchange, response.status, reason, this.#credentials !== '');
      return this.#end({ kind: 'private', response, reason });
    }
    const request = this.#part;
    this.#place.leave();
    this.#part = null;
    if (request !== null && response.status === 200) {
      if (hasNoRanges(request, response)) services.fills.habits.note(this.key, 'whole');
      // Others have asked for their parts of what changed meanwhile: one of them fetches it.
      if (services.fills.wholeOf(this.key, this.#exchange.fields) !== null) {
        response.body.abort();
        return this.#end({ kind: 'superseded' });
      }
    }
    const head = headOf(this.#exchange, judgement, response, bodyLength);
    if (!mayFetchInParts(this.#exchange, head)) return this.#begin(response, head, null);
    const incomplete = { ...head, flags: head.flags | headFlags.incomplete };
    return this.#begin(response, incomplete, { start: 0, end: head.bodyLength!, known: null });
  }

  /** Null: it is not what was asked for. */
  #judgePart(response: UpstreamResponse, request: PartRequest): FillOutcome | null {
    const { services } = this.#exchange;
    const part = partOf(response.fields);
    const fit = part === null ? null : fitOf(this.#exchange, request, response, part);
    if (fit === 'none' || (fit === null && request.known !== null)) return null;
    const known = fit === 'known' ? request.known : null;
    if (part === null) return this.#keepPartPrivate(response, 'partial');
    const fields = fieldsOfWhole(response.fields);
    const whole = {
      status: 200,
      reason: 'OK',
      fields: known === null ? fields : mergeNotModified(known.head.fields, fields),
      receivedMs: response.receivedMs,
    };
    const judgement = judge(this.#exchange, whole, response);
    const reason = judgement.reason || storeRefusal(services, this, response, part, !!known);
    if (reason !== '') {
      if (known === null) return this.#keepPartPrivate(response, reason);
      // As after a 304 that says so.
      if (!isReasonOfRequest(reason)) services.store!.purgeKey(this.key);
      return null;
    }
    const tags = known === null || tagsOf(response.fields) !== null ? null : known.head.tags;
    const head = headOf(this.#exchange, judgement, whole, part.length, tags);
    const flags = head.flags | headFlags.incomplete | headFlags.acceptsRanges;
    services.fills.habits.forget(this.key);
    return this.#begin(response, { ...head, flags }, { ...part, known });
  }

  #keepPartPrivate(response: UpstreamResponse, reason: string): FillOutcome {
    const { habits } = this.#exchange.services.fills;
    if (!isReasonOfRequest(reason) && reason !== 'memory') habits.note(this.key, 'exact');
    return this.#end({ kind: 'private', response, reason });
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
    if (part !== null) {
      this.#interval = { start: part.start, end: part.end };
      this.#place.take(versionOf(this.#variantKey ?? this.key, head), this.#interval);
      if (part.known !== null)
        renewHead(this.#exchange, part.known, this.#fill, { head, encoded, isLate: this.#isLate });
    }
    services.fills.noteShareable(this.key);
    services.fills.unlist(this);
    services.fills.list(this);
    // Whoever waits takes its place at the first byte within this turn; until then somebody holds it.
    const place = this.#fill.follow(part?.start ?? 0);
    this.retain();
    setImmediate(() => {
      place.close();
      this.release(false);
    });
    this.#pump = this.#pumpOf(response, part?.start ?? 0, part?.end ?? Number.MAX_SAFE_INTEGER);
    this.#pump.start();
    return { kind: 'shared', head };
  }

  #pumpOf(response: UpstreamResponse, start: number, end: number): FillPump {
    return new FillPump(response.body, this.#fill, start, end, {
      mayGoOn: () => {
        if (!this.#isDone && this.#isEndless()) {
          this.abandon('nobody reads a body of unknown length any more');
        }
        return !this.#isDone;
      },
      onEnd: (isCut) => {
        this.#isCut = isCut;
        if (isCut) this.#fill.fail(new UpstreamError('UPSTREAM_TRUNCATED', 'the part was cut'));
        else this.#fill.finish();
        this.#leave();
      },
      onBreak: (error) => {
        this.#exchange.services.counters.originErrors += 1;
        this.#fill.fail(error);
        this.#leave();
      },
      onRefusal: (error) => this.abandon(error.message),
    });
  }

  /** The same where nobody reads it; false where somebody does, or it is over. */
  abandonUnheld(why: string): boolean {
    if (this.#holders > 0 || this.#isDone) return false;
    this.abandon(why);
    return true;
  }

  /** Gives the origin's connection up; followers see the break. */
  abandon(why: string): void {
    if (this.#isDone) return;
    this.#pump?.abort();
    this.#fill.fail(new UpstreamError('UPSTREAM_TRUNCATED', `${this.key}: ${why}`));
    this.#leave();
  }

  #leave(): void {
    this.#remove();
    if (this.#holders === 0) this.#fill.close();
  }
}
