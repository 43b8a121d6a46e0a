// Carries records from the addon's staging into the file tier, one after the other: staging is the queue, so
// a slow disk makes it refuse offers and nothing here grows.

import type { Completions } from '../native/completions.js';
import type { NativeStore } from '../native/contract.js';
import type { FileCompressor } from './file-compressor.js';
import type { FileTier } from './file-tier.js';
import { leasesOf } from './leases.js';

const partsFrom = 3;

export class FileWriter {
  readonly #native: NativeStore;
  readonly #tier: FileTier;
  readonly #completions: Completions;
  readonly #token: number;
  readonly #compressor: FileCompressor | null;
  #running: Promise<void> | null = null;
  #closed = false;
  recordsWritten = 0;

  /** Without a compressor every body is stored as it is. */
  constructor(
    native: NativeStore,
    completions: Completions,
    tier: FileTier,
    compressor: FileCompressor | null,
  ) {
    this.#native = native;
    this.#tier = tier;
    this.#compressor = compressor;
    this.#completions = completions;
    this.#token = completions.standing(() => this.#start());
    native.onStaged(this.#token);
  }

  #start(): void {
    if (this.#closed || this.#running !== null) return;
    this.#running = this.#drain().finally(() => {
      this.#running = null;
    });
  }

  async #drain(): Promise<void> {
    for (;;) {
      const staged = this.#native.takeStaged();
      if (staged === null) return;
      const [handle, name, object] = staged as [number, string, number];
      const leases = leasesOf(this.#native, staged, partsFrom);
      try {
        let isSettled = false;
        const isWanted = () => {
          isSettled = true;
          return this.#native.settleStaged(handle);
        };
        const body = leases.map((lease) => lease.bytes);
        const blocks = (await this.#compressor?.compress(object, body)) ?? null;
        const header = this.#native.stagedHeader(handle, blocks);
        const parts = [header, ...(blocks ?? body)];
        if (await this.#tier.write(name, parts, isWanted)) this.recordsWritten += 1;
        if (!isSettled) this.#native.settleStaged(handle);
      } finally {
        for (const lease of leases) lease.release();
      }
    }
  }

  /** Writes what is staged, then stops. */
  async close(): Promise<void> {
    this.#start();
    while (this.#running !== null) await this.#running;
    this.#closed = true;
    this.#completions.remove(this.#token);
  }
}
