// `millrace inspect`: what a device holds, for people: its superblocks, its segments as maps of fill, age and
// hits, and what is stored under a URL. Reads only, also while an instance uses the device.

import type { ServedAddress } from '../../config/schema.js';
import {
  type DeviceReport,
  findOnDevice,
  inspectDevice,
  type StoredRecord,
} from '../../store/inspect.js';
import { variantsIn } from '../../store/variants.js';
import { formatDuration, formatSize } from '../../units.js';
import { columnLines } from '../columns.js';
import {
  type DeviceFailure,
  exitOf,
  failureLine,
  isFailure,
  labelOf,
  onEach,
} from '../each-device.js';
import { type LiveUse, liveUseOf } from '../live-use.js';
import { startProgress } from '../progress.js';
import { ageMap, hitMap, segmentMap } from '../segment-maps.js';
import { headOf, isMarker, recordJson, recordLines } from '../stored-records.js';
import type { CommandOutput } from './check.js';

export interface InspectOptions {
  readonly paths: readonly string[];
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

function deviceLines(path: string, report: DeviceReport, use: LiveUse, now: number): string[] {
  const written = report.segments.filter(({ finding }) => finding !== 'empty');
  const opened = written.map(({ openedMs }) => openedMs).filter((openedMs) => openedMs > 0);
  const used = written.reduce((sum, segment) => sum + segment.used, 0);
  const copies = report.copies.map((copy) => (copy === '' ? 'ok' : copy)).join(', ');
  const pairs: (readonly [string, string])[] = [
    ['device', path],
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

/** Variants that are looked for: a URL that varies by User-Agent has more than anybody reads. */
const variantsShown = 16;

interface Inspected {
  readonly report: DeviceReport;
  readonly use: LiveUse;
}

/** Exit status: 0, or 1 where nothing is stored under the key, or 3 where a device cannot be looked at. */
export async function inspectCommand(options: InspectOptions, io: InspectIo): Promise<number> {
  return options.key === null
    ? inspectDevices(options, io)
    : inspectKey({ ...options, key: options.key }, io);
}

type OnProgress = (done: number, total: number) => void;

async function withBar<Result>(
  io: InspectIo,
  label: string,
  look: (onProgress: OnProgress) => Promise<Result>,
): Promise<Result> {
  let bar: ReturnType<typeof startProgress> | undefined;
  try {
    return await look((done, total) => {
      bar ??= startProgress(label, total, String, io.progress);
      bar.update(done);
    });
  } finally {
    bar?.stop();
  }
}

async function inspectDevices(
  { paths, json, admin, now }: InspectOptions,
  io: InspectIo,
): Promise<number> {
  const seen = await onEach(paths, async (path): Promise<Inspected> => {
    const report = await withBar(io, labelOf('segments read', path, paths), (onProgress) =>
      inspectDevice({ path, onProgress }),
    );
    const use =
      report.owner === ''
        ? 'nobody uses the device, and hits are not written down'
        : await liveUseOf(path, admin);
    return { report, use };
  });
  if (json) {
    const devices = seen.map((item) =>
      isFailure(item) ? item : { device: item.device, ...withUse(item.report, item.use) },
    );
    io.stdout(JSON.stringify({ devices }, null, 2));
  } else {
    seen.forEach((item, index) => {
      if (index > 0) io.stdout('');
      if (isFailure(item)) io.stderr(failureLine(item));
      else for (const line of deviceLines(item.device, item.report, item.use, now)) io.stdout(line);
    });
  }
  return exitOf(seen, () => 0);
}

interface Found {
  readonly device: string;
  readonly records: StoredRecord[];
}

async function inspectKey(
  { paths, json, key, now }: InspectOptions & { readonly key: string },
  io: InspectIo,
): Promise<number> {
  const find = (path: string, wanted: string): Promise<readonly StoredRecord[]> =>
    withBar(
      io,
      labelOf('segments read', path, paths),
      async (onProgress) => (await findOnDevice({ path, onProgress }, wanted)).records,
    );
  const seen: (Found | DeviceFailure)[] = await onEach(paths, async (path) => ({
    records: [...(await find(path, key))],
  }));
  const found = seen.filter((item): item is Found => !isFailure(item));
  // A variant lies where its own key belongs, which may be another device than the list of them.
  for (const place of placesOf(found)) {
    for (const item of found) item.records.push(...(await find(item.device, `${key}${place}`)));
  }
  if (json) {
    const devices = seen.map((item) =>
      isFailure(item) ? item : { device: item.device, records: item.records.map(recordJson) },
    );
    io.stdout(JSON.stringify({ key, devices }, null, 2));
  } else showFound(key, seen, now, io);
  const isThere = found.some(({ records }) => records.length > 0);
  return isThere ? 0 : exitOf(seen, () => 1);
}

function placesOf(found: readonly Found[]): string[] {
  const heads = found.flatMap(({ records }) => records.map(headOf));
  const places = heads.flatMap((head) =>
    head === null || !isMarker(head) ? [] : variantsIn(head).map(({ place }) => place),
  );
  return [...new Set(places)].slice(0, variantsShown);
}

function showFound(
  key: string,
  seen: readonly (Found | DeviceFailure)[],
  now: number,
  io: InspectIo,
): void {
  let isFirst = true;
  for (const item of seen) {
    if (isFailure(item)) {
      io.stderr(failureLine(item));
      continue;
    }
    for (const record of item.records) {
      if (!isFirst) io.stdout('');
      isFirst = false;
      if (seen.length > 1) io.stdout(item.device);
      for (const line of recordLines(key, record, now)) io.stdout(line);
    }
  }
  if (!isFirst) return;
  const devices = seen.filter((item) => !isFailure(item)).map(({ device }) => device);
  if (devices.length > 0) io.stdout(`nothing is stored on ${devices.join(', ')} under ${key}`);
}
