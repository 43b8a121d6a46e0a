// Purges of the file tier that no removal of one file makes durable: by prefix, tag, everything, and soft
// ones. One line each, appended and flushed before the purge is answered, several with one flush. A start
// reads them back into the addon's tables, which judge each record as it is read. A last line that was
// torn was not answered; any other damage makes everything count as purged.

import { createHash } from 'node:crypto';
import { type FileHandle, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { PurgeTarget } from './contract.js';

export interface KeptPurge {
  readonly kind: PurgeTarget['kind'];
  readonly text: string;
  readonly soft: boolean;
  /** What was born below it is purged. */
  readonly bound: number;
}

interface Waiting {
  readonly purge: KeptPurge;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const fileName = 'millrace-purges.txt';
/** Above this the oldest quarter becomes one purge of everything. */
const keptMax = 10_000;
const linesBeforeRewrite = 1000;
const kinds: ReadonlySet<string> = new Set(['key', 'prefix', 'tag', 'all']);

export class FilePurges {
  readonly #path: string;
  readonly #directory: string;
  #kept = new Map<string, KeptPurge>();
  #file: FileHandle | null = null;
  #lines = 0;
  #queue: Waiting[] = [];
  #writing: Promise<void> | null = null;

  private constructor(directory: string) {
    this.#directory = directory;
    this.#path = join(directory, fileName);
  }

  /** `firstBirth` is above every birth of earlier lives. */
  static async open(directory: string, firstBirth: number): Promise<FilePurges> {
    const purges = new FilePurges(directory);
    const text = await readFile(purges.#path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '';
      throw error;
    });
    const lines = text.split('\n');
    const last = lines.pop();
    const read = lines.map(parseLine);
    const isDamaged = read.some((purge, at) => purge === null && at < read.length - 1);
    const isTornEnd = last !== '' || read.at(-1) === null;
    for (const purge of read) if (purge !== null) purges.#keep(purge);
    if (isDamaged) purges.#keep({ kind: 'all', text: '', soft: false, bound: firstBirth });
    purges.#lines = read.length;
    if (isDamaged || isTornEnd || purges.#isWordy()) await purges.#rewrite();
    return purges;
  }

  get kept(): Iterable<KeptPurge> {
    return this.#kept.values();
  }

  get count(): number {
    return this.#kept.size;
  }

  /** Resolves when it is durable, and rejects when it cannot be made so. */
  add(purge: KeptPurge): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ purge, resolve, reject });
      this.#start();
    });
  }

  #start(): void {
    if (this.#writing !== null || this.#queue.length === 0) return;
    this.#writing = this.#writeAll().then(() => {
      this.#writing = null;
      // Whoever was just answered may have come again before this line.
      this.#start();
    });
  }

  async #writeAll(): Promise<void> {
    while (this.#queue.length > 0) {
      // What comes while these are written shares the next flush.
      const batch = this.#queue;
      this.#queue = [];
      try {
        await this.#write(batch.map(({ purge }) => purge));
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
  }

  async #write(batch: readonly KeptPurge[]): Promise<void> {
    for (const purge of batch) this.#keep(purge);
    if (this.#isWordy()) {
      await this.#rewrite();
      return;
    }
    const isNew = this.#file === null;
    this.#file ??= await open(this.#path, 'a', 0o600);
    await this.#file.appendFile(batch.map(lineOf).join(''));
    await this.#file.datasync();
    if (isNew) await syncDirectory(this.#directory);
    this.#lines += batch.length;
  }

  #isWordy(): boolean {
    return this.#lines > linesBeforeRewrite && this.#lines > 2 * this.#kept.size;
  }

  #keep(purge: KeptPurge): void {
    const name = `${purge.kind} ${purge.soft ? 'soft' : 'hard'} ${purge.text}`;
    const before = this.#kept.get(name)?.bound ?? 0;
    this.#kept.delete(name);
    this.#kept.set(name, { ...purge, bound: Math.max(before, purge.bound) });
    if (purge.kind === 'all' && !purge.soft) this.#dropCovered(purge.bound);
    if (this.#kept.size > keptMax) this.#fold();
  }

  #dropCovered(bound: number): void {
    for (const [name, kept] of this.#kept) {
      if (kept.kind !== 'all' && kept.bound <= bound) this.#kept.delete(name);
    }
  }

  /** More is fetched again than need be; nothing that was purged comes back. */
  #fold(): void {
    const oldest = [...this.#kept.values()]
      .filter(({ kind }) => kind !== 'all')
      .sort((a, b) => a.bound - b.bound)
      .slice(0, keptMax / 4);
    const bound = oldest.at(-1)?.bound;
    if (bound !== undefined) this.#keep({ kind: 'all', text: '', soft: false, bound });
  }

  async #rewrite(): Promise<void> {
    await this.#file?.close();
    this.#file = null;
    const temporary = `${this.#path}.new`;
    const file = await open(temporary, 'w', 0o600);
    try {
      await file.writeFile([...this.#kept.values()].map(lineOf).join(''));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, this.#path);
    await syncDirectory(this.#directory);
    this.#lines = this.#kept.size;
  }

  async close(): Promise<void> {
    while (this.#writing !== null) await this.#writing;
    await this.#file?.close();
    this.#file = null;
  }
}

function checkOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

function lineOf(purge: KeptPurge): string {
  const text = JSON.stringify([purge.kind, purge.soft, purge.bound, purge.text]);
  return `${checkOf(text)} ${text}\n`;
}

function parseLine(line: string): KeptPurge | null {
  const text = line.slice(17);
  if (line.length < 18 || `${checkOf(text)} ` !== line.slice(0, 17)) return null;
  try {
    const [kind, soft, bound, target] = JSON.parse(text) as unknown[];
    const isKnown = typeof kind === 'string' && kinds.has(kind) && typeof soft === 'boolean';
    if (!isKnown || !Number.isSafeInteger(bound) || typeof target !== 'string') return null;
    return { kind: kind as KeptPurge['kind'], text: target, soft, bound: bound as number };
  } catch {
    return null;
  }
}

/** So that a name that was given or taken away is so after a power failure as well. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
