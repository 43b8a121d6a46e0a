// LZ4 for l2_backend "file", by lz4-napi, block by block in the form of the raw disk (its 4 bytes of raw
// length, then the LZ4 block), off the JavaScript thread. The same rules as native/engine/body-compressor:
// a body that does not shrink by an eighth stays as it is, and so do the later chunks of its object.
// Reading needs nothing of this: the addon decompresses.

type Compress = (data: Uint8Array) => Promise<Uint8Array>;

const blockSize = 64 * 1024;
/** Below, a file occupies no block of the file system less. */
const smallestBody = 4096;
/** From here on the middle is sampled too. */
const sampledBlocks = 8;
const hopelessMax = 256;

export interface FileCompressorStats {
  readonly lz4Blocks: number;
  readonly lz4BlocksKeptRaw: number;
  readonly lz4BytesBefore: number;
  readonly lz4BytesAfter: number;
  readonly lz4SkippedByType: number;
  readonly lz4SkippedBySample: number;
  readonly lz4SkippedSmall: number;
}

export class FileCompressor {
  readonly #compress: Compress;
  /** Objects that did not shrink; the oldest goes first. */
  readonly #hopeless = new Set<number>();
  readonly #stats = {
    lz4Blocks: 0,
    lz4BlocksKeptRaw: 0,
    lz4BytesBefore: 0,
    lz4BytesAfter: 0,
    lz4SkippedByType: 0,
    lz4SkippedBySample: 0,
    lz4SkippedSmall: 0,
  };

  private constructor(compress: Compress) {
    this.#compress = compress;
  }

  /**
   * Loads lz4-napi, whose binary is a package of its own for each platform. Resolves to what is to be
   * said where there is none: the tier then works uncompressed.
   */
  static async load(
    importer: () => Promise<unknown> = () => import('lz4-napi'),
  ): Promise<FileCompressor | string> {
    try {
      const { compress } = (await importer()) as { compress: Compress };
      await compress(new Uint8Array(1));
      return new FileCompressor(compress);
    } catch (error) {
      const reason = (error as Error).message.split('\n', 1)[0];
      return (
        `lz4-napi cannot be loaded, so the file tier stores everything uncompressed (${reason}); ` +
        'reinstall with optional packages, or set raw_disk_cache.enable_compression to false'
      );
    }
  }

  /**
   * The blocks of a body as they are to be stored, or null where it is to be stored as it is. `object`
   * tells versions of objects apart; 0: the body may not be compressed. `parts` are the body's bytes.
   */
  async compress(object: number, parts: readonly Uint8Array[]): Promise<Uint8Array[] | null> {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    const blocks = Math.ceil(length / blockSize);
    if (blocks === 0) return null;
    // Pages are blocks; what an older record brought along in other pieces is not worth joining.
    const isAligned = parts.every(({ length }, at) => length === blockSize || at === blocks - 1);
    if (object === 0 || !isAligned) return this.#skip('lz4SkippedByType', blocks);
    if (length < smallestBody) return this.#skip('lz4SkippedSmall', blocks);
    if (this.#hopeless.has(object)) return this.#skip('lz4SkippedBySample', blocks);
    const first = await this.#block(parts[0]!);
    const middle = blocks < sampledBlocks ? null : await this.#block(parts[blocks >> 1]!);
    const sampled = first.length + (middle?.length ?? 0);
    const isPromising = isEnough(
      sampled,
      Math.min(length, middle === null ? blockSize : 2 * blockSize),
    );
    if (!isPromising) return this.#giveUp(object, blocks);
    const rest = await Promise.all(parts.slice(1).map((part) => this.#block(part)));
    const stored = [first, ...rest];
    const after = stored.reduce((sum, block) => sum + block.length, 0);
    if (!isEnough(after, length)) return this.#giveUp(object, blocks);
    const raw = stored.filter((block, at) => block.length === parts[at]!.length).length;
    this.#stats.lz4Blocks += blocks - raw;
    this.#stats.lz4BlocksKeptRaw += raw;
    this.#stats.lz4BytesBefore += length;
    this.#stats.lz4BytesAfter += after;
    return stored;
  }

  async #block(part: Uint8Array): Promise<Uint8Array> {
    const block = await this.#compress(part);
    return block.length < part.length ? block : part;
  }

  #giveUp(object: number, blocks: number): null {
    if (this.#hopeless.size >= hopelessMax) {
      const [oldest] = this.#hopeless;
      this.#hopeless.delete(oldest!);
    }
    this.#hopeless.add(object);
    return this.#skip('lz4SkippedBySample', blocks);
  }

  #skip(reason: keyof FileCompressorStats, blocks: number): null {
    this.#stats[reason] += blocks;
    return null;
  }

  stats(): FileCompressorStats {
    return { ...this.#stats };
  }
}

function isEnough(stored: number, raw: number): boolean {
  return stored <= raw - raw / 8;
}
