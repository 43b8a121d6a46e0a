// What a process costs, read from the kernel by another process: CPU time and the peak of its resident
// memory, of the process and all its children. Nothing of this runs inside what is measured.

import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleepMs } from 'node:timers/promises';

export interface Usage {
  /** User and system time of all threads, of those that ended too. */
  readonly cpuMs: number;
  readonly residentBytes: number;
  /** Of each process since its start, added up. */
  readonly peakBytes: number;
}

// USER_HZ, what /proc counts in; Linux has had it at 100 on every platform for decades.
const msPerTick = 10;

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    // A process that has just ended has cost what it has cost until the last look.
    return '';
  }
}

/** The process and everything below it. */
export function treeOf(pid: number): number[] {
  const found = [pid];
  for (const parent of found) {
    for (const task of tasksOf(parent)) {
      const children = textOf(`/proc/${parent}/task/${task}/children`).trim();
      if (children !== '') found.push(...children.split(' ').map(Number));
    }
  }
  return found;
}

function tasksOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

export function usageOf(pid: number): Usage {
  const usage = { cpuMs: 0, residentBytes: 0, peakBytes: 0 };
  for (const one of treeOf(pid)) {
    // The name in parentheses may contain anything, spaces included.
    const fields = textOf(`/proc/${one}/stat`).split(') ').at(-1)?.split(' ') ?? [];
    usage.cpuMs += (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * msPerTick;
    const status = textOf(`/proc/${one}/status`);
    const kibOf = (field: string): number =>
      Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) * 1024;
    usage.residentBytes += kibOf('VmRSS');
    usage.peakBytes += kibOf('VmHWM');
  }
  return usage;
}

const lookEveryMs = 50;
const quietLooks = 3;
const settleLimitMs = 20_000;

/**
 * Waits until the process uses no CPU any more: what it still writes after its clients have gone is part
 * of what they cost. A limit ends the wait for programs that never rest.
 */
export async function settled(pid: number, signal: AbortSignal): Promise<void> {
  let last = usageOf(pid).cpuMs;
  let quiet = 0;
  for (let waitedMs = 0; quiet < quietLooks && waitedMs < settleLimitMs; waitedMs += lookEveryMs) {
    await sleepMs(lookEveryMs, undefined, { signal });
    const { cpuMs } = usageOf(pid);
    // One tick in a look is a timer at work, not a transfer.
    quiet = cpuMs - last <= msPerTick ? quiet + 1 : 0;
    last = cpuMs;
  }
}
