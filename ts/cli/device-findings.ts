// What `doctor` finds at the devices of a configuration: whether they are there, may be used, are free, hold
// a store of ours, and what the kernel allows on them. Opens them for reading alone, and changes nothing.

import { accessSync, constants, type Stats, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Config, RawDiskConfig, ServedAddress } from '../config/schema.js';
import { MillraceError } from '../errors.js';
import { type ProbeReport, probeDevice } from '../store/inspect.js';
import { formatSize } from '../units.js';
import { type Finding, fail, ok, warn } from './findings.js';
import { liveUseOf } from './live-use.js';

const storeSizeMin = 256 * 2 ** 20;

/** File systems that a store should not lie on, by magic number; on others it cannot be opened. */
const unfitFileSystems: ReadonlyMap<number, string> = new Map([
  [0x01021994, 'tmpfs, which is memory and empty after a restart of the machine'],
  [0x65735546, 'FUSE, where direct I/O and locks may not be what they say'],
]);

/** In the order of the configuration. */
export async function deviceFindings(config: Config): Promise<Finding[]> {
  const disks = config.rawDiskCache;
  const found = await Promise.all(disks.map((disk) => findingsOf(disk, config.admin.listen)));
  const isSome = disks.some((disk) => isThere(disk.devicePath!));
  return found.flatMap((findings, index) => {
    const { devicePath, create } = disks[index]!;
    const isLeftOut = isSome && !create && !isThere(devicePath!);
    return isLeftOut ? findings.map(asLeftOut) : findings;
  });
}

/** One of several: the others start without it. */
const asLeftOut = ({ what, found, advice }: Finding): Finding =>
  warn(what, `${found}; it is left out, and its share of the keys goes to the others`, advice);

/** Undefined where nothing is; throws where that cannot be told. */
function look(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

function isThere(path: string): boolean {
  try {
    return look(path) !== undefined;
  } catch {
    return true;
  }
}

async function findingsOf(disk: RawDiskConfig, admin: ServedAddress | null): Promise<Finding[]> {
  const path = disk.devicePath!;
  const what = `device ${path}`;
  const barrier = accessFinding(disk, what);
  if (barrier !== null) return [barrier];
  let probe: ProbeReport;
  try {
    probe = await probeDevice(path, disk.useDirectIo, disk.ioBackend);
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    // Without the addon there is a finding of its own.
    if (error.source === 'config') return [warn(what, 'cannot be looked at without the addon', '')];
    return [fail(what, withoutPath(path, error.message), '')];
  }
  return [
    contentFinding(disk, what, probe),
    ...(await ownerFinding(path, what, probe, admin)),
    ...sizeFinding(disk, what, probe),
    ...wayFindings(disk, what, probe),
  ];
}

const withoutPath = (path: string, text: string): string =>
  text.startsWith(path) ? text.slice(path.length).replace(/^:? /, '') : text;

/** Null: it is there and may be used. */
function accessFinding(disk: RawDiskConfig, what: string): Finding | null {
  const path = disk.devicePath!;
  let found: Stats | undefined;
  try {
    found = look(path);
  } catch (error) {
    const seen = `user ${process.geteuid?.() ?? '?'} cannot look at it: ${(error as Error).message}`;
    return fail(what, seen, 'give that user the right to, or run as another');
  }
  if (found === undefined) return missingFinding(disk, what);
  if (!found.isFile() && !found.isBlockDevice()) {
    return fail(what, 'neither a regular file nor a block device', 'name another path');
  }
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return null;
  } catch {
    const seen = `user ${process.geteuid?.() ?? '?'} may not read and write it`;
    return fail(what, seen, 'give that user the right to, or run as another');
  }
}

function missingFinding(disk: RawDiskConfig, what: string): Finding {
  const path = disk.devicePath!;
  if (!disk.create) {
    const size = disk.totalSizeBytes === null ? '100GiB' : formatSize(disk.totalSizeBytes);
    const isDevice = path.startsWith('/dev/');
    return fail(
      what,
      'does not exist',
      isDevice ? 'check the path' : `run: npx millrace format ${path} --size ${size}`,
    );
  }
  const folder = dirname(path);
  if (look(folder)?.isDirectory() !== true) {
    return fail(what, `the directory ${folder} does not exist`, 'make it');
  }
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch {
    const seen = `user ${process.geteuid?.() ?? '?'} may not make a file in ${folder}`;
    return fail(what, seen, 'give that user the right to, or run as another');
  }
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  const wanted = disk.totalSizeBytes!;
  const seen = `is made at start: ${formatSize(wanted)} wanted, ${formatSize(free)} free`;
  return wanted > free ? fail(what, seen, 'lower total_size or free some space') : ok(what, seen);
}

function contentFinding(disk: RawDiskConfig, what: string, probe: ProbeReport): Finding {
  const path = disk.devicePath!;
  const { content, found, clean, owner, size } = probe;
  const kind = probe.isBlockDevice ? 'a block device' : 'a file';
  switch (content) {
    case 'store': {
      const state = clean || owner !== '' ? '' : ', which was not closed cleanly';
      return ok(what, `${kind} of ${formatSize(size)} with a millrace store${state}`);
    }
    case 'nothing':
      return fail(what, 'is empty and no store yet', `run: npx millrace format ${path}`);
    case 'foreign':
      return fail(
        what,
        `holds ${found}, which millrace did not write and never overwrites`,
        'check the path; if that may go, wipe it yourself and format it',
      );
    case 'damaged':
      if (size < storeSizeMin) {
        const seen = `has ${formatSize(size)}, and a store needs ${formatSize(storeSizeMin)}`;
        return fail(what, seen, 'name a larger one');
      }
      return fail(
        what,
        found,
        `to start with an empty store, run: npx millrace format ${path} --yes`,
      );
  }
}

async function ownerFinding(
  path: string,
  what: string,
  { owner, isBlockDevice }: ProbeReport,
  admin: ServedAddress | null,
): Promise<Finding[]> {
  if (owner === '') return [];
  const isProcess = owner.startsWith('process ');
  if (isBlockDevice && !isProcess) {
    return [fail(what, owner, 'free it there, or choose another device')];
  }
  const isOurs = typeof (await liveUseOf(path, admin)) !== 'string';
  return isOurs
    ? [ok(what, `in use by ${owner}, the instance of this configuration`)]
    : [warn(what, `in use by ${owner}`, 'stop that one, or give this instance another device')];
}

function sizeFinding(
  { totalSizeBytes }: RawDiskConfig,
  what: string,
  { size }: ProbeReport,
): Finding[] {
  if (totalSizeBytes === null || totalSizeBytes === size) return [];
  const found = `total_size is ${totalSizeBytes} bytes, and it has ${size}`;
  return [warn(what, found, 'what exists is used whole; correct total_size, or format it anew')];
}

function wayFindings(disk: RawDiskConfig, what: string, probe: ProbeReport): Finding[] {
  const findings: Finding[] = [];
  const unfit = unfitFileSystems.get(statfsSync(disk.devicePath!).type);
  if (!probe.isBlockDevice && unfit !== undefined) {
    findings.push(warn(what, `lies on ${unfit}`, 'use a local disk'));
  }
  if (disk.useDirectIo && !probe.directIo) {
    const advice = 'it goes through the page cache; a block device, ext4 or XFS allow it';
    findings.push(warn(what, `no direct I/O: ${probe.directIoRefusal}`, advice));
  }
  if (disk.ioBackend === 'io_uring' && !probe.ioUring) {
    const advice = 'allow it, or set io_backend to auto or threads';
    findings.push(fail(what, `no io_uring: ${probe.ioUringRefusal}`, advice));
  } else if (disk.ioBackend === 'auto' && probe.directIo && !probe.ioUring) {
    const advice = 'threads are used instead';
    findings.push(warn(what, `no io_uring: ${probe.ioUringRefusal}`, advice));
  }
  return findings;
}
