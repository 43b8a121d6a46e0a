// Tokens and promises over the addon's batched completions. A token is a place in a table of handlers; the
// addon reports (token, code, value) words, many per call. One-shot operations hold the event loop
// open while they run; standing handlers (wake-ups of followers and producers) do not.

import { type FaultReport, faultChannel } from '../observe/channels.js';
import { loadAddon } from './binding.js';
import type { Addon } from './contract.js';

/** code: number of status-codes.inc; value: a handle, or 0. */
export type CompletionHandler = (code: number, value: number) => void;

const wordsPerReport = 3;

// A token carries the generation of its place, so that a late report for a removed handler is not taken for
// one of the handler that has the place now.
const indexBits = 20;
const indexMask = (1 << indexBits) - 1;
const generations = 1 << (32 - indexBits);

interface Place {
  handler: CompletionHandler | undefined;
  isOnce: boolean;
  generation: number;
}

export class Completions {
  readonly addon: Addon;
  readonly #words: Uint32Array;
  readonly #places: Place[] = [];
  readonly #free: number[] = [];
  #underWay = 0;

  constructor(addon: Addon) {
    this.addon = addon;
    this.#words = addon.start((count) => this.#deliver(count));
  }

  /** A token for one report, after which it is free again. */
  once(handler: CompletionHandler): number {
    if (this.#underWay++ === 0) this.addon.hold(true);
    return this.#add(handler, true);
  }

  /** A token for any number of reports, until `remove`. */
  standing(handler: CompletionHandler): number {
    return this.#add(handler, false);
  }

  /** Gives back a standing token, or a one-shot one whose operation answered at once. */
  remove(token: number): void {
    const index = token & indexMask;
    const place = this.#places[index];
    if (place?.handler === undefined || place.generation !== token >>> indexBits) return;
    place.handler = undefined;
    place.generation = (place.generation + 1) % generations;
    if (place.isOnce && --this.#underWay === 0) this.addon.hold(false);
    this.#free.push(index);
  }

  /** Delivers what is waiting now instead of on the next turn of the event loop. */
  drain(): void {
    for (let count = this.addon.take(); count > 0; count = this.addon.take()) this.#deliver(count);
  }

  #add(handler: CompletionHandler, isOnce: boolean): number {
    let index = this.#free.pop();
    if (index === undefined) {
      index = this.#places.length;
      if (index > indexMask) throw new RangeError('more than a million operations under way');
      this.#places.push({ handler: undefined, isOnce: false, generation: 0 });
    }
    const place = this.#places[index]!;
    place.handler = handler;
    place.isOnce = isOnce;
    return ((place.generation << indexBits) | index) >>> 0;
  }

  #deliver(count: number): void {
    // Handlers may cause another batch to be taken into the same words: copy first.
    const reports = this.#words.slice(0, count * wordsPerReport);
    for (let at = 0; at < reports.length; at += wordsPerReport) {
      const token = reports[at]!;
      const place = this.#places[token & indexMask];
      if (place?.handler === undefined || place.generation !== token >>> indexBits) continue;
      const handler = place.handler;
      if (place.isOnce) this.remove(token);
      try {
        handler(reports[at + 1]!, reports[at + 2]!);
      } catch (error) {
        // A bug of that handler; the others of its batch wait for their reports all the same.
        const said = error instanceof Error ? (error.stack ?? error.message) : String(error);
        const report: FaultReport = { what: 'completion', url: '', error: said };
        faultChannel.publish(report);
      }
    }
  }
}

let shared: Completions | undefined;

/** The environment's completions; loads the addon on first use. */
export function completions(): Completions {
  shared ??= new Completions(loadAddon());
  return shared;
}
