// What the file tier adds to the statistics, under the names that the store has for such things.

import type { FileTier } from './file-tier.js';
import type { FileWriter } from './file-writer.js';

export function fileStats(
  tier: FileTier,
  writer: FileWriter | null,
): Record<string, number | string> {
  const { files, bytes, evicted, purgesKept, writeErrors } = tier.stats();
  return {
    device: tier.directory,
    files,
    fileBytes: bytes,
    filesEvicted: evicted,
    filePurges: purgesKept,
    writeErrors,
    recordsFlushed: writer?.recordsWritten ?? 0,
  };
}
