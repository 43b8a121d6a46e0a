// Cold reads need a kernel that has forgotten the files: the page cache is dropped where this user may,
// and a result says so where not. Direct I/O never had anything in it.

import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';

/** False: not allowed; what is read next may come from memory. */
export function dropPageCache(): boolean {
  // Only what was written out can be dropped.
  spawnSync('sync');
  try {
    writeFileSync('/proc/sys/vm/drop_caches', '1');
    return true;
  } catch {
    return false;
  }
}

export function coldNote(isDropped: boolean): string {
  return isDropped
    ? 'page cache dropped before'
    : 'the page cache could not be dropped (needs root): what goes through it may be read from memory';
}
