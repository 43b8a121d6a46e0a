// Which core does what: the proxy under test has one core to itself, origin and client the others. So
// every subject gets the same, whether it has one thread or ten. Where there is one core, or no
// taskset, everything shares what there is.

import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';

const count = availableParallelism();
const lists = { subject: '0', others: count > 2 ? `1-${count - 1}` : '1' } as const;

let canPin: boolean | undefined;

function mayPin(): boolean {
  canPin ??= count > 1 && spawnSync('taskset', ['-c', '0', 'true']).status === 0;
  return canPin;
}

/** Words to put before a command. */
export function pinWords(cores: 'subject' | 'others'): string[] {
  return mayPin() ? ['taskset', '-c', lists[cores]] : [];
}

/** For a process that has just begun: its threads of later take over what it may use. */
export function pin(pid: number | undefined, cores: 'subject' | 'others'): void {
  if (pid !== undefined && mayPin()) {
    spawnSync('taskset', ['-a', '-c', '-p', lists[cores], String(pid)]);
  }
}
