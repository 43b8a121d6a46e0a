// `millrace serve`: runs what a configuration says until a signal asks it to stop. The assembly is in
// ts/system.ts; here are the lines that a service manager reads and the signals that it sends.

import { createLog, type ProgramLog } from '../../observe/log.js';
import { type System, startSystem } from '../../system.js';
import { type ConfigSource, loadSource } from '../named-config.js';

const stopSignals = ['SIGTERM', 'SIGINT'] as const;
// What a shell reports for a program that a signal ended: 128 and the number of the signal.
const exitOfSignal: Readonly<Record<string, number>> = { SIGINT: 130, SIGTERM: 143 };

/** Exit status: 0 after an orderly stop. Rejects with the MillraceError that prevented the start. */
export async function serveCommand(source: ConfigSource): Promise<number> {
  const loaded = loadSource(source);
  const log = createLog(loaded.config.logLevel);
  try {
    const system = await startSystem(loaded, log);
    const { addresses, adminAddress } = system;
    const admin = adminAddress === null ? {} : { admin: adminAddress };
    // Asked for before the line that tells others to go ahead: they may ask to stop at once.
    const stopped = untilStopped(system, log);
    log.info({ listen: addresses, ...admin }, 'ready');
    await stopped;
    log.info({}, 'stopped');
    return 0;
  } finally {
    log.close();
  }
}

/** The first signal lets running exchanges finish; another one is from somebody who cannot wait. */
async function untilStopped(system: System, log: ProgramLog): Promise<void> {
  const signal = await new Promise<NodeJS.Signals>((resolve) => {
    for (const name of stopSignals) process.once(name, resolve);
  });
  for (const name of stopSignals) {
    process.removeAllListeners(name);
    process.on(name, () => {
      log.warn({ signal: name }, 'stopped at once');
      log.close();
      process.exit(exitOfSignal[name]);
    });
  }
  log.info({ signal }, 'stopping');
  await system.close();
}
