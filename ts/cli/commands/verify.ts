// `millrace verify`: reads every record of a device and compares it with its checksums. Changes nothing; what
// is damaged is a miss for whoever asks, and stays in place until its segment is written over.

import { verifyDevice } from '../../store/inspect.js';
import { formatSize } from '../../units.js';
import { startProgress } from '../progress.js';
import type { CommandOutput } from './check.js';

export interface VerifyOptions {
  readonly path: string;
  readonly json: boolean;
}

export interface VerifyIo extends CommandOutput {
  readonly progress: NodeJS.WriteStream;
}

/** Exit status: 0 where everything matches, 1 where something is damaged. Rejects with StoreError. */
export async function verifyCommand({ path, json }: VerifyOptions, io: VerifyIo): Promise<number> {
  let bar: ReturnType<typeof startProgress> | undefined;
  try {
    const report = await verifyDevice({
      path,
      onProgress: (done, total) => {
        bar ??= startProgress('segments verified', total, String, io.progress);
        bar.update(done);
      },
    });
    bar?.stop();
    const { segments, records, bytes, damaged, listed, owner } = report;
    if (json) {
      io.stdout(JSON.stringify(report, null, 2));
      return damaged === 0 ? 0 : 1;
    }
    for (const { offset, segment, reason, key } of listed) {
      const whose = key === '' ? '' : `, ${key}`;
      io.stdout(`damaged: byte ${offset}, segment ${segment}: ${reason}${whose}`);
    }
    if (damaged > listed.length) io.stdout(`and ${damaged - listed.length} more`);
    io.stdout(
      `${path}: ${records} records in ${segments} segments, ${formatSize(bytes)} read, ` +
        (damaged === 0 ? 'all as they were written' : `${damaged} damaged`),
    );
    if (owner !== '' && damaged > 0) {
      io.stdout(
        `the device is in use by ${owner}: what it wrote over meanwhile is among these; ` +
          'for certainty stop it first',
      );
    }
    return damaged === 0 ? 0 : 1;
  } finally {
    bar?.stop();
  }
}
