// `millrace inspect`: what a device holds, for people: its superblocks, its segments as maps of fill, age and
// hits, and what is stored under a URL. Reads only, also while an instance uses the device.

import type { ServedAddress } from '../../config/schema.js';
import { decodeHead } from '../../store/entry.js';
import {
  type DeviceReport,
  findOnDevice,
  inspectDevice,
  type StoredRecord,
} from '../../store/inspect.js';
import { formatDuration, formatSize } from '../../units.js';
import { columnLines } from '../columns.js';
import { type LiveUse, liveUseOf } from '../live-use.js';
import { startProgress } from '../progress.js';
import { ageMap, hitMap, segmentMap } from '../segment-maps.js';
import type { CommandOutput } from './check.js';

export interface InspectOptions {
  readonly path: string;
  /** Canonical key of what to look for; null: the whole device. */
  readonly key: string | null;
  readonly json: boolean;
  /** Where the instance of the configuration is asked; null: beside the device. */
  readonly admin: ServedAddress | null;
  /** Unix time in ms, for ages. */
  readonly now: number;
}

export interface InspectIo extends CommandOutput {
  readonly progress: NodeJS.WriteStream;
}

/** In whole minutes: the day is what matters. */
function ageOf(openedMs: number, now: number): string {
  const minutes = Math.floor((now - openedMs) / 60_000);
  return minutes < 1 ? 'less than a minute ago' : `${formatDuration(minutes * 60_000)} ago`;
}

function deviceLines(report: DeviceReport, use: LiveUse, now: number): string[] {
  const written = report.segments.filter(({ finding }) => finding !== 'empty');
  const opened = written.map(({ openedMs }) => openedMs).filter((openedMs) => openedMs > 0);
  const used = written.reduce((sum, segment) => sum + segment.used, 0);
  const copies = report.copies.map((copy) => (copy === '' ? 'ok' : copy)).join(', ');
  const pairs: (readonly [string, string])[] = [
    ['uuid', report.uuid],
    ['format', report.format],
    ['size', `${report.size} (${formatSize(report.size)})`],
    ['block size', String(report.blockSize)],
    ['closed', report.clean ? 'cleanly' : 'not: in use, or it was killed'],
    ['in use by', report.owner === '' ? 'nobody' : report.owner],
    ['superblocks', copies],
    [
      'segments',
      `${report.segments.length} of ${formatSize(report.segmentSize)}, ${written.length} written`,
    ],
    [
      'fill',
      `${formatSize(used)} of records (${percent(used, report.segments.length * report.segmentSize)})`,
    ],
    ['oldest', opened.length === 0 ? 'none' : ageOf(Math.min(...opened), now)],
    ['newest', opened.length === 0 ? 'none' : ageOf(Math.max(...opened), now)],
    ...Object.entries(report.records).map(
      ([kind, count]) => [`${kind} records`, String(count)] as const,
    ),
  ];
  const maps = ['fill, in tenths:', ...segmentMap(report), '', 'age:', ...ageMap(report, now), ''];
  if (typeof use === 'string') {
    return [...columnLines(pairs), '', ...maps, `hit share: not known; ${use}`];
  }
  const records = use.reduce((sum, segment) => sum + segment.records, 0);
  const hit = use.reduce((sum, segment) => sum + segment.hit, 0);
  pairs.push(['hit', `${hit} of ${records} records (${percent(hit, records)}) since the start`]);
  return [...columnLines(pairs), '', ...maps, 'hit share, in tenths:', ...hitMap(use)];
}

/** `found` and `hit` of each segment: records that the instance would find, and those that were hit. */
function withUse(report: DeviceReport, use: LiveUse): object {
  const segments = report.segments.map((segment, index) => {
    const known = typeof use === 'string' ? undefined : use[index];
    return { ...segment, found: known?.records ?? null, hit: known?.hit ?? null };
  });
  return { ...report, segments, hitsUnknown: typeof use === 'string' ? use : null };
}

function percent(part: number, whole: number): string {
  return whole === 0 ? '0 %' : `${((part / whole) * 100).toFixed(1)} %`;
}

function recordLines(record: StoredRecord, now: number): string[] {
  const head = record.head.length === 0 ? null : decodeHead(record.head);
  const lifetime = head === null ? null : head.freshUntilMs - now;
  const pairs: (readonly [string, string])[] = [
    ['kind', record.kind],
    ['at', `byte ${record.offset} of the device, segment ${record.segment}`],
    ['born', `${record.birth}, version ${record.incarnation}`],
    ['body', `${record.bodyLength} bytes, ${record.storedLength} on the device`],
  ];
  if (record.chunksWanted > 0) {
    pairs.push(['chunks', `${record.chunksFound} of ${record.chunksWanted} are named by footers`]);
  }
  if (head !== null && lifetime !== null) {
    pairs.push(
      ['status', `${head.status} ${head.reason}`.trimEnd()],
      [
        'fresh',
        lifetime > 0 ? `for ${formatDuration(Math.round(lifetime / 1000) * 1000)}` : 'not any more',
      ],
    );
    for (let at = 0; at + 1 < head.fields.length; at += 2) {
      pairs.push([`  ${head.fields[at]}`, head.fields[at + 1]!]);
    }
  }
  return columnLines(pairs);
}

/** Exit status: 0, or 1 where nothing is stored under the key. Rejects with StoreError. */
export async function inspectCommand(options: InspectOptions, io: InspectIo): Promise<number> {
  const { path, key, json, admin, now } = options;
  let bar: ReturnType<typeof startProgress> | undefined;
  const onProgress = (done: number, total: number): void => {
    bar ??= startProgress('segments read', total, String, io.progress);
    bar.update(done);
  };
  try {
    if (key === null) {
      const report = await inspectDevice({ path, onProgress });
      bar?.stop();
      const use =
        report.owner === ''
          ? 'nobody uses the device, and hits are not written down'
          : await liveUseOf(path, admin);
      if (json) io.stdout(JSON.stringify(withUse(report, use), null, 2));
      else for (const line of deviceLines(report, use, now)) io.stdout(line);
      return 0;
    }
    const { records } = await findOnDevice({ path, onProgress }, key);
    bar?.stop();
    if (json) {
      const shown = records.map((record) => ({
        ...record,
        head: record.head.length === 0 ? null : decodeHead(record.head),
      }));
      io.stdout(JSON.stringify(shown, null, 2));
    } else if (records.length === 0) io.stdout(`nothing is stored on ${path} under ${key}`);
    else {
      records.forEach((record, index) => {
        if (index > 0) io.stdout('');
        for (const line of recordLines(record, now)) io.stdout(line);
      });
    }
    return records.length === 0 ? 1 : 0;
  } finally {
    bar?.stop();
  }
}
