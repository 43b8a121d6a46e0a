// When the addon has loaded all that earlier lives stored: a promise over its one report.

import type { Completions } from '../native/completions.js';
import type { NativeStore } from '../native/contract.js';

export class Warming {
  /** True once everything is loaded; false where the store was closed before. */
  readonly ended: Promise<boolean>;
  #end: (isWarm: boolean) => void = () => {};

  constructor(native: NativeStore, completions: Completions) {
    this.ended = new Promise((resolve) => {
      // Whoever waits for it is kept alive until then.
      const token = completions.once(() => this.#end(true));
      this.#end = (isWarm) => {
        completions.remove(token);
        resolve(isWarm);
      };
      native.onWarmed(token);
    });
  }

  close(): void {
    this.#end(false);
  }
}
