// One block of 64 KiB through lz4-napi, beside the library that the addon holds (native/bench/lz4-bench.cc)
// and on the same bytes. Both store four bytes of length and the block.

import { compressSync, uncompressSync } from 'lz4-napi';
import { InternalError } from '../../ts/errors.js';
import { type BodyKind, sampleOf } from '../support/pattern.js';
import type { MicroCase } from './benny.js';

const blockBytes = 64 * 1024;

export function lz4Cases(): MicroCase[] {
  return (['text', 'noise'] satisfies BodyKind[]).flatMap((kind) => {
    const raw = sampleOf(kind, blockBytes);
    const stored = compressSync(raw);
    if (!uncompressSync(stored).equals(raw)) {
      throw new InternalError('INTERNAL', `lz4-napi gave other bytes of ${kind} back`);
    }
    const note = `${stored.length} bytes of ${raw.length}`;
    const name = `LZ4, 64 KiB of ${kind}`;
    const told = { subject: 'lz4-napi', unit: 'us', note } as const;
    return [
      { name: `${name}, compress`, ...told, run: () => compressSync(raw) },
      { name: `${name}, decompress`, ...told, run: () => uncompressSync(stored) },
    ];
  });
}
