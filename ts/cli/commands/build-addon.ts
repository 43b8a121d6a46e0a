// `millrace build-addon`: compiles the native part on this machine, for platforms without a prebuilt binary.
// The package has no install script; this is the explicit way.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from '../../native/binding.js';
import type { CommandOutput } from './check.js';

/** Exit status 0 or 1. */
export function buildAddonCommand(io: CommandOutput): number {
  const root = packageRoot();
  io.stdout(`building the native part in ${root}; this takes about a minute`);
  const script = join(root, 'native', 'build.cjs');
  const { status } = spawnSync(process.execPath, [script], { stdio: 'inherit' });
  if (status !== 0) return 1;
  io.stdout(`built ${join(root, 'build', 'Release', 'millrace.node')}`);
  return 0;
}
