// Whether this process has a file or device open for direct I/O, by the kernel's account.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

const directIoFlag = 0o40000;

export function isDirect(path: string): boolean {
  for (const file of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${file}`) !== path) continue;
      const info = readFileSync(`/proc/self/fdinfo/${file}`, 'utf8');
      return (Number.parseInt(/flags:\s*(\d+)/.exec(info)?.[1] ?? '0', 8) & directIoFlag) !== 0;
    } catch {
      // The descriptor was closed meanwhile.
    }
  }
  throw new Error(`${path} is not open`);
}
