// l2_backend "file": the disk tier on ordinary files, for machines where a raw disk is not to be had. One
// file per record, named by its keyed hash, in 256 folders; the bytes of a file are those of a record on
// a raw disk, so the addon checks both the same way. Bounded by `totalSize`: the oldest file goes first,
// unless it was read since it was written or last spared (CLOCK). What the folders hold is the only
// index; a start reads names and sizes, never contents.

import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import {
  type FileHandle,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { StoreError } from '../errors.js';
import { FilePurges, type KeptPurge, syncDirectory } from './file-purges.js';

const identityFile = 'millrace-cache.json';
const recordSuffix = '.record';
const temporarySuffix = '.part';
/** What a file occupies is rounded up to this: the usual block of a file system. */
const fileGrain = 4096;
/** Births of one life begin at its number times this (native/engine/store.cc). */
const birthsPerLife = 2 ** 32;
const namePattern = /^[0-9a-f]{32}$/;

interface Entry {
  readonly size: number;
  wasRead: boolean;
}

interface Identity {
  readonly format: 1;
  readonly hashKey: string;
  readonly life: number;
}

export interface FileTierStats {
  readonly files: number;
  readonly bytes: number;
  readonly evicted: number;
  readonly writeErrors: number;
  readonly purgesKept: number;
}

export class FileTier {
  readonly directory: string;
  /** Key of the hash that names the files; 16 bytes. */
  readonly hashKey: Buffer;
  /** Starts of this directory so far, this one included. */
  readonly life: number;
  readonly #totalSize: number;
  /** In the order of writing; the first is the next to go. */
  readonly #entries = new Map<string, Entry>();
  /** Writes under way; a removal meanwhile cancels them. One per name at a time. */
  readonly #writes = new Map<string, { isCancelled: boolean; readonly ended: Promise<void> }>();
  readonly #purges: FilePurges;
  #isOff = false;
  #bytes = 0;
  #evicted = 0;
  #writeErrors = 0;
  #sequence = 0;

  private constructor(
    directory: string,
    identity: Identity,
    totalSize: number,
    purges: FilePurges,
  ) {
    this.directory = directory;
    this.#purges = purges;
    this.hashKey = Buffer.from(identity.hashKey, 'hex');
    this.life = identity.life;
    this.#totalSize = totalSize;
  }

  /**
   * Opens or makes the directory. Rejects with StoreError `STORE_FOREIGN_DEVICE` when it holds anything
   * that is not ours, `STORE_PERMISSION` or `STORE_IO` when it cannot be used.
   */
  static async open(directory: string, totalSize: number): Promise<FileTier> {
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      const identity = await takeIdentity(directory);
      const purges = await FilePurges.open(directory, identity.life * birthsPerLife);
      const tier = new FileTier(directory, identity, totalSize, purges);
      await tier.#scan();
      return tier;
    } catch (error) {
      throw error instanceof StoreError ? error : failureOf(directory, error);
    }
  }

  async #scan(): Promise<void> {
    const found: { name: string; size: number; writtenMs: number }[] = [];
    for (const folder of await readdir(this.directory, { withFileTypes: true })) {
      if (!folder.isDirectory()) continue;
      for (const file of await readdir(join(this.directory, folder.name))) {
        const path = join(this.directory, folder.name, file);
        const name = file.slice(0, -recordSuffix.length);
        if (file.endsWith(temporarySuffix)) await rm(path, { force: true });
        else if (file.endsWith(recordSuffix) && namePattern.test(name)) {
          const { size, mtimeMs } = await stat(path);
          found.push({ name, size, writtenMs: mtimeMs });
        }
      }
    }
    found.sort((a, b) => a.writtenMs - b.writtenMs);
    for (const { name, size } of found) this.#add(name, size);
    await this.#makeRoom(0);
  }

  #add(name: string, size: number): void {
    const occupied = Math.ceil(size / fileGrain) * fileGrain;
    this.#entries.set(name, { size: occupied, wasRead: false });
    this.#bytes += occupied;
  }

  #drop(name: string): boolean {
    const entry = this.#entries.get(name);
    if (entry === undefined) return false;
    this.#entries.delete(name);
    this.#bytes -= entry.size;
    return true;
  }

  #pathOf(name: string): string {
    return join(this.directory, name.slice(0, 2), name + recordSuffix);
  }

  /** Removes files from the old end until `bytes` more fit. */
  async #makeRoom(bytes: number): Promise<void> {
    while (this.#bytes + bytes > this.#totalSize) {
      const first = this.#entries.entries().next();
      if (first.done) return;
      const [name, entry] = first.value;
      this.#entries.delete(name);
      if (entry.wasRead) {
        // Spared once: it goes to the young end and has to be read again to be spared again.
        entry.wasRead = false;
        this.#entries.set(name, entry);
        continue;
      }
      this.#bytes -= entry.size;
      this.#evicted += 1;
      await rm(this.#pathOf(name), { force: true });
    }
  }

  has(name: string): boolean {
    return !this.#isOff && this.#entries.has(name);
  }

  /**
   * The bytes of a record's file, or null where there is none (any more). A file that was replaced or
   * removed while it was read counts as gone: a purge in between must win.
   */
  async read(name: string): Promise<Buffer | null> {
    const entry = this.#entries.get(name);
    if (entry === undefined || this.#isOff) return null;
    try {
      const bytes = await readFile(this.#pathOf(name));
      if (this.#entries.get(name) !== entry) return null;
      entry.wasRead = true;
      return bytes;
    } catch {
      // Unreadable is as good as absent; the name must not be tried again.
      if (this.#entries.get(name) === entry) await this.remove(name);
      return null;
    }
  }

  /**
   * Writes a record under a temporary name. `isWanted` is asked at the last moment: only then the file
   * gets its name. Resolves to whether it was kept; disk errors are counted, not thrown.
   */
  async write(
    name: string,
    parts: readonly Uint8Array[],
    isWanted: () => boolean,
  ): Promise<boolean> {
    const size = parts.reduce((sum, part) => sum + part.length, 0);
    if (size > this.#totalSize || this.#isOff) return false;
    const path = this.#pathOf(name);
    let end = () => {};
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    const write = { isCancelled: false, ended };
    this.#writes.set(name, write);
    const temporary = `${path}.${this.life}-${this.#sequence++}${temporarySuffix}`;
    try {
      await this.#makeRoom(Math.ceil(size / fileGrain) * fileGrain);
      await mkdir(join(this.directory, name.slice(0, 2)), { recursive: true, mode: 0o700 });
      await writeParts(temporary, parts);
      if (!isWanted()) {
        await rm(temporary, { force: true });
        return false;
      }
      await rename(temporary, path);
      this.#drop(name);
      if (write.isCancelled) await rm(path, { force: true });
      else this.#add(name, size);
      return !write.isCancelled;
    } catch {
      this.#writeErrors += 1;
      this.#drop(name);
      await rm(temporary, { force: true }).catch(() => {});
      return false;
    } finally {
      this.#writes.delete(name);
      end();
    }
  }

  /** The purges that earlier lives have left, and this one has made. */
  get kept(): Iterable<KeptPurge> {
    return this.#purges.kept;
  }

  /** Makes a purge durable that the addon's tables know already. `name` is that of a purged key. */
  async purge(purge: KeptPurge, name: string | null): Promise<void> {
    try {
      if (name === null || purge.soft) await this.#purges.add(purge);
      else await this.#removeForGood(name);
    } catch (error) {
      // What could not be written down must not be served after the next start either: nothing is read.
      this.#isOff = true;
      throw new StoreError(
        'STORE_IO',
        `${this.directory}: the purge holds in this process and is not durable: ` +
          `${(error as Error).message}; the directory is off, nothing is read from it any more; ` +
          'free space or repair the file system, delete the directory if in doubt, and restart',
        { cause: error },
      );
    }
  }

  /** Variants need no more: they are found through the record of their primary key alone. */
  async #removeForGood(name: string): Promise<void> {
    const write = this.#writes.get(name);
    if (write !== undefined) write.isCancelled = true;
    const isThere = this.#drop(name) || write !== undefined;
    // A file that is just getting its name would come back after this removal.
    await write?.ended;
    if (!isThere) return;
    const path = this.#pathOf(name);
    await rm(path, { force: true });
    await syncDirectory(dirname(path));
  }

  /** Forgets the record at once; its file follows. */
  async remove(name: string): Promise<void> {
    const write = this.#writes.get(name);
    if (write !== undefined) write.isCancelled = true;
    this.#drop(name);
    await rm(this.#pathOf(name), { force: true }).catch(() => {
      this.#writeErrors += 1;
    });
  }

  close(): Promise<void> {
    return this.#purges.close();
  }

  stats(): FileTierStats {
    return {
      purgesKept: this.#purges.count,
      files: this.#entries.size,
      bytes: this.#bytes,
      evicted: this.#evicted,
      writeErrors: this.#writeErrors,
    };
  }
}

async function writeParts(path: string, parts: readonly Uint8Array[]): Promise<void> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o600);
    let left = parts.reduce((sum, part) => sum + part.length, 0);
    const { bytesWritten } = await file.writev(parts as Uint8Array[]);
    left -= bytesWritten;
    if (left > 0) throw new Error('the file system wrote less than it was given');
  } finally {
    await file?.close();
  }
}

/** Reads the directory's identity and counts the life; writes a new one into an empty directory. */
async function takeIdentity(directory: string): Promise<Identity> {
  const path = join(directory, identityFile);
  const names = await readdir(directory);
  let identity: Identity;
  if (names.includes(identityFile)) {
    const old = parseIdentity(directory, await readFile(path, 'utf8'));
    identity = { ...old, life: old.life + 1 };
  } else {
    if (names.length > 0) {
      throw new StoreError(
        'STORE_FOREIGN_DEVICE',
        `${directory} is not empty and not a millrace cache (it holds "${names[0]}"); ` +
          'choose an empty directory for l2_cache_dir',
      );
    }
    identity = { format: 1, hashKey: randomBytes(16).toString('hex'), life: 1 };
  }
  const temporary = `${path}${temporarySuffix}`;
  await writeFile(temporary, `${JSON.stringify(identity)}\n`, { mode: 0o600, flush: true });
  await rename(temporary, path);
  return identity;
}

function parseIdentity(directory: string, text: string): Identity {
  try {
    const value = JSON.parse(text) as Partial<Identity>;
    const isKey = typeof value.hashKey === 'string' && namePattern.test(value.hashKey);
    if (value.format === 1 && isKey && Number.isInteger(value.life)) return value as Identity;
  } catch {
    // Falls through to the same message: damaged.
  }
  throw new StoreError(
    'STORE_CORRUPT_RECORD',
    `${join(directory, identityFile)} is damaged; delete the directory to start an empty cache`,
  );
}

function failureOf(directory: string, error: unknown): StoreError {
  const { code, message } = error as NodeJS.ErrnoException;
  const denied = code === 'EACCES' || code === 'EPERM' || code === 'EROFS';
  const hint = denied
    ? `; the user with id ${process.geteuid?.() ?? '?'} needs to write there`
    : '';
  return new StoreError(
    denied ? 'STORE_PERMISSION' : 'STORE_IO',
    `${directory} cannot be used as a cache directory: ${message}${hint}`,
    { cause: error },
  );
}
