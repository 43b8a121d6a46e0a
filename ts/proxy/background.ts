// Work that no client waits for. Nothing is fire-and-forget: a failure is published with its name and key.

import { type FaultReport, faultChannel } from '../observe/channels.js';

export function background(task: Promise<unknown>, what: string, url: string): void {
  task.catch((error: unknown) => {
    const report: FaultReport = {
      what,
      url,
      error: error instanceof Error ? error.message : String(error),
    };
    faultChannel.publish(report);
  });
}
