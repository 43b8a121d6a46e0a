// `millrace verify`: reads every record of each device and compares it with its checksums, and what leads to
// the records as well. Changes nothing; what is damaged is a miss for whoever asks, and stays in place until
// its segment is written over.

import { type VerifyReport, verifyDevice } from '../../store/inspect.js';
import { formatSize } from '../../units.js';
import { exitOf, failureLine, isFailure, labelOf, onEach } from '../each-device.js';
import { startProgress } from '../progress.js';
import type { CommandOutput } from './check.js';

export interface VerifyOptions {
  readonly paths: readonly string[];
  readonly json: boolean;
}

export interface VerifyIo extends CommandOutput {
  readonly progress: NodeJS.WriteStream;
}

/** Exit status: 0 where everything matches, 1 where something is damaged, 3 where a device cannot be read. */
export async function verifyCommand({ paths, json }: VerifyOptions, io: VerifyIo): Promise<number> {
  const seen = await onEach(paths, async (path) => {
    const label = labelOf('segments verified', path, paths);
    const report = await verifyShown(path, label, io);
    if (!json) for (const line of verifyLines(path, report)) io.stdout(line);
    return report;
  });
  for (const item of seen) if (isFailure(item) && !json) io.stderr(failureLine(item));
  if (json) io.stdout(JSON.stringify({ devices: seen }, null, 2));
  return exitOf<VerifyReport>(seen, ({ damaged }) => (damaged === 0 ? 0 : 1));
}

async function verifyShown(path: string, label: string, io: VerifyIo): Promise<VerifyReport> {
  let bar: ReturnType<typeof startProgress> | undefined;
  try {
    return await verifyDevice({
      path,
      onProgress: (done, total) => {
        bar ??= startProgress(label, total, String, io.progress);
        bar.update(done);
      },
    });
  } finally {
    bar?.stop();
  }
}

function verifyLines(path: string, report: VerifyReport): string[] {
  const { segments, records, bytes, damaged, listed, owner } = report;
  const lines = listed.map(({ offset, segment, reason, key }) => {
    const place = segment === null ? `byte ${offset}` : `byte ${offset}, segment ${segment}`;
    return `damaged: ${place}: ${reason}${key === '' ? '' : `, ${key}`}`;
  });
  if (damaged > listed.length) lines.push(`and ${damaged - listed.length} more`);
  lines.push(
    `${path}: ${records} records in ${segments} segments, ${formatSize(bytes)} read, ` +
      (damaged === 0 ? 'all as they were written' : `${damaged} damaged`),
  );
  if (owner !== '' && damaged > 0) {
    lines.push(
      `the device is in use by ${owner}: what it wrote over meanwhile is among these; ` +
        'for certainty stop it first',
    );
  }
  return lines;
}
