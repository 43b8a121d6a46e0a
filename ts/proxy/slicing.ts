// How the bytes that a body lacks are divided into requests to the origin: what the route says, or the
// configuration for all routes.

import type { SlicesConfig } from '../config/schema.js';
import { type Head, headFlags } from '../store/entry.js';
import type { Exchange } from './exchange.js';

export const chunkSize = 1024 * 1024;
/** Of a parallel download without a slice_size: long enough that a far origin's latency hardly counts. */
const downloadSlice = 4 * chunkSize;

export interface Slicing {
  /** Longest request for a part, whole chunks; null: as long as the run of chunks that lack. */
  readonly sliceBytes: number | null;
  /** Requests that run at a time for one answer. */
  readonly concurrent: number;
  /** Whole bodies that nothing is stored of are fetched in slices as well. */
  readonly downloads: boolean;
  /** How far ahead of its client an answer may have parts fetched. */
  readonly aheadBytes: number;
}

export function slicingOf({ rule, services, host, target }: Exchange): Slicing {
  const { slices } = rule!.cache;
  return slicesOf(slices, slices.downloads ?? services.routes.isSliced(host, target));
}

export function slicesOf({ sizeBytes, concurrent }: SlicesConfig, downloads: boolean): Slicing {
  const isParallel = concurrent > 1 && downloads;
  const sliceBytes = isParallel ? (sizeBytes ?? downloadSlice) : sizeBytes;
  return {
    sliceBytes,
    concurrent,
    downloads: isParallel,
    aheadBytes: concurrent * (sliceBytes ?? downloadSlice),
  };
}

export function chunkBegin(offset: number): number {
  return offset - (offset % chunkSize);
}

/** The end of the chunk that the byte before `end` lies in. */
export function chunkEnd(end: number): number {
  return Math.ceil(end / chunkSize) * chunkSize;
}

/** Where a request for the byte at `offset` has to end. */
export function sliceEnd(offset: number, sliceBytes: number | null): number {
  if (sliceBytes === null) return Number.MAX_SAFE_INTEGER;
  return (Math.floor(offset / sliceBytes) + 1) * sliceBytes;
}

/** A parallel download: found as an incomplete object from its head on, so that its parts may be fetched. */
export function mayFetchInParts(exchange: Exchange, head: Head): boolean {
  const needed = headFlags.strongValidator | headFlags.acceptsRanges;
  if (head.status !== 200 || head.bodyLength === null || (head.flags & needed) !== needed)
    return false;
  // What is stored and stale stays until the whole is there: it may have to stand in.
  if (exchange.stored !== null || exchange.directives.has('no-store')) return false;
  const { downloads, sliceBytes } = slicingOf(exchange);
  return downloads && head.bodyLength >= 2 * sliceBytes!;
}
