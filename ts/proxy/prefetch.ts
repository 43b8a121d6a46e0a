// The next segments of a video, fetched while a client has just got its answer to one: as the playlist lists
// them, else by the number in the name. Each is an ordinary fill on that client's behalf, so a client that
// asks meanwhile joins it. What is fetched ahead leads to nothing further. Bounded by the route; not begun
// where memory is short, given up with the client that left in the middle of its segment.

import type { RouteConfig } from '../config/schema.js';
import { fieldValue } from '../http/fields.js';
import type { Head } from '../store/entry.js';
import { background } from './background.js';
import type { Exchange } from './exchange.js';
import { targetsByNumber } from './next-segments.js';
import { Playlists } from './playlists.js';
import { RunningFill } from './running-fill.js';
import type { Services } from './services.js';

/** So many segments are remembered, and for so long: nobody fetches them again because of the next viewer. */
const rememberedMax = 4096;
const rememberedMs = 10_000;

/** Counts since start. */
export interface PrefetchCounters {
  /** Fetches begun, and how many of these a client has asked for afterwards. */
  segmentsPrefetched: number;
  segmentsPrefetchedUsed: number;
  /** Not begun: as many ran as the route allows, or memory was short. */
  segmentsNotPrefetched: number;
  /** The origin had none, or it may not be stored. */
  segmentsPrefetchRefused: number;
  /** Given up because the client had left. */
  segmentsPrefetchCancelled: number;
}

export class Prefetcher {
  readonly counters: PrefetchCounters = {
    segmentsPrefetched: 0,
    segmentsPrefetchedUsed: 0,
    segmentsNotPrefetched: 0,
    segmentsPrefetchRefused: 0,
    segmentsPrefetchCancelled: 0,
  };
  readonly #isOn: boolean;
  readonly #playlists = new Playlists();
  /** Key to when it was thought of; the oldest first. */
  readonly #remembered = new Map<string, { readonly untilMs: number; isUsed: boolean }>();
  readonly #running = new Map<object, number>();
  /** What was begun for an exchange that is being answered. */
  readonly #begun = new WeakMap<Exchange, RunningFill[]>();

  constructor(routes: readonly RouteConfig[]) {
    this.#isOn = routes.some(({ prefetch }) => prefetch.next > 0);
  }

  /** The head of an answer of this exchange is out. */
  answered(exchange: Exchange): void {
    const { next } = exchange.rule!.prefetch;
    const isPlain = isWhole(exchange) && exchange.method === 'GET';
    if (next === 0 || !isPlain || exchange.services.store === null) return;
    this.#noteUse(exchange.key);
    if (exchange.sentStatus !== 200 && exchange.sentStatus !== 206) return;
    const { host, target } = exchange;
    const listed = this.#playlists.behind(host, target, next);
    for (const each of listed ?? targetsByNumber(target, next)) this.#consider(exchange, each);
  }

  /** This exchange is over: what was begun for a client that left is for nobody. */
  finished(exchange: Exchange): void {
    const { failure, answer } = exchange;
    const begun = this.#begun.get(exchange);
    if (failure !== null) for (const fill of begun ?? []) this.#cancel(fill);
    if (!this.#isOn || failure !== null || !isPlaylist(answer?.head ?? null)) return;
    background(this.#learn(exchange), 'prefetch', exchange.key);
  }

  #cancel(fill: RunningFill): void {
    const isCancelled = fill.abandonUnheld('the client that it was fetched for has left');
    if (isCancelled) this.counters.segmentsPrefetchCancelled += 1;
  }

  async #learn({ services, key, fields, host, target }: Exchange): Promise<void> {
    const found = await services.store!.lookup(key, fields);
    if (found.kind !== 'object') return;
    try {
      await this.#playlists.learn(host, target, found.object);
    } finally {
      found.object.close();
    }
  }

  #noteUse(key: string): void {
    const known = this.#remembered.get(key);
    if (known === undefined || known.isUsed) return;
    known.isUsed = true;
    this.counters.segmentsPrefetchedUsed += 1;
  }

  #consider(exchange: Exchange, target: string): void {
    const { services, rule, host, scheme } = exchange;
    const { table, rules } = services.routes;
    const number = table.match('GET', host, target);
    // Another route may have other ideas about who may have it, and no say in this one's bounds.
    if (rules[number] !== rule) return;
    const key = table.key(number, scheme, host, target);
    const nowMs = services.clock.monotonic();
    if ((this.#remembered.get(key)?.untilMs ?? 0) > nowMs) return;
    const running = this.#running.get(rule!) ?? 0;
    if (running >= rule!.prefetch.maxRunning || isMemoryShort(services)) {
      this.counters.segmentsNotPrefetched += 1;
      return;
    }
    this.#remember(key, nowMs);
    this.#running.set(rule!, running + 1);
    const ended = this.#fetch(exchange, key, target).finally(() => {
      this.#running.set(rule!, this.#running.get(rule!)! - 1);
    });
    background(ended, 'prefetch', key);
  }

  /** Until it is fetched it counts as used: what is there already was not prefetched. */
  #remember(key: string, nowMs: number): void {
    const isUsed = this.#remembered.get(key)?.isUsed ?? true;
    this.#remembered.delete(key);
    this.#remembered.set(key, { untilMs: nowMs + rememberedMs, isUsed });
    for (const [oldest] of this.#remembered) {
      if (this.#remembered.size <= rememberedMax) return;
      this.#remembered.delete(oldest);
    }
  }

  async #fetch(exchange: Exchange, key: string, target: string): Promise<void> {
    const { services, fields } = exchange;
    const found = await services.store!.lookup(key, fields);
    if (found.kind === 'object') found.object.close();
    if (found.kind === 'object' || services.fills.join(key, fields, null) !== null) return;
    const known = this.#remembered.get(key);
    if (known !== undefined) known.isUsed = false;
    this.counters.segmentsPrefetched += 1;
    const { variants } = found.kind === 'uri-miss' ? { variants: null } : found;
    const nothing = { stored: null, part: null, answer: null, isExpecting: false };
    const leader: Exchange = { ...exchange, ...nothing, key, target, variants };
    const fill = new RunningFill(leader);
    const over = new Promise<void>((resolve) => fill.whenDone(resolve));
    this.#begun.set(exchange, [...(this.#begun.get(exchange) ?? []), fill]);
    const outcome = await fill.ready;
    if (outcome.kind === 'private') outcome.response.body.abort();
    if (outcome.kind === 'private' || outcome.kind === 'failed') {
      this.counters.segmentsPrefetchRefused += 1;
      if (known !== undefined) known.isUsed = true;
    }
    await over;
  }
}

/** A range of a segment says nothing about who wants the next one; the whole may be asked for as one. */
function isWhole({ fields }: Exchange): boolean {
  const range = fieldValue(fields, 'range');
  return range === undefined || range === 'bytes=0-';
}

function isPlaylist(head: Head | null): boolean {
  return head !== null && /mpegurl/i.test(fieldValue(head.fields, 'content-type') ?? '');
}

/** Less than half of what fills and the disk share is free. */
function isMemoryShort({ store }: Services): boolean {
  const { memoryLimit, memoryUsed, l1Budget, l1Used } = store!.stats();
  const beside = Number(memoryLimit) - Number(l1Budget);
  return Number(memoryUsed) - Number(l1Used) > beside / 2;
}
