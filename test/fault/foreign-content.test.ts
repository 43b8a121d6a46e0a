// Promise 10, with what other programs really write: each format's own tool makes an image, and neither
// `format --yes` nor `serve` with `create: true` changes a byte of it. Each tool that is missing is a skip
// that names its package; RAID is written by hand where the kernel has no md driver. One after the other,
// because each test reads its whole device twice.

import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { open, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { configFile, runCommand, temporaryFolder } from '../support/command.js';
import { attachLoop, runTool } from '../support/loop-device.js';

const mib = 1024 * 1024;
// mkfs.xfs makes nothing smaller than 300 MiB.
const imageSize = 320 * mib;

interface Image {
  readonly what: string;
  readonly debianPackage: string;
  /** Each is run with the path as its last argument. */
  readonly commands: ReadonlyArray<readonly string[]>;
  /** What the refusal calls it. */
  readonly named: RegExp;
  /** The tool takes block devices alone. */
  readonly needsLoop?: boolean;
}

// The lightest key derivation that cryptsetup allows: nobody is to be kept out here.
const quickKey = ['--batch-mode', '--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000'];
const onePartition = ['sgdisk', '--new=1:2048:+10M'];

const images: readonly Image[] = [
  {
    what: 'ext4',
    debianPackage: 'e2fsprogs',
    commands: [['mkfs.ext4', '-q', '-F', '-L', 'precious']],
    named: /ext4 file system labelled \\?"precious/,
  },
  {
    what: 'XFS',
    debianPackage: 'xfsprogs',
    commands: [['mkfs.xfs', '-q', '-f', '-L', 'precious']],
    named: /XFS file system labelled \\?"precious/,
  },
  {
    what: 'Btrfs',
    debianPackage: 'btrfs-progs',
    commands: [['mkfs.btrfs', '-q', '-f', '-L', 'precious']],
    named: /Btrfs file system labelled \\?"precious/,
  },
  {
    what: 'an LVM physical volume',
    debianPackage: 'lvm2',
    commands: [['pvcreate', '-q', '-y']],
    named: /LVM physical volume/,
    needsLoop: true,
  },
  {
    what: 'an LVM physical volume with its label in the last place',
    debianPackage: 'lvm2',
    commands: [['pvcreate', '-q', '-y', '--labelsector', '3']],
    named: /LVM physical volume/,
    needsLoop: true,
  },
  {
    what: 'LUKS1',
    debianPackage: 'cryptsetup-bin',
    commands: [['cryptsetup', 'luksFormat', '--type', 'luks1', ...quickKey, '--key-file', 'KEY']],
    named: /LUKS container/,
  },
  {
    what: 'LUKS2',
    debianPackage: 'cryptsetup-bin',
    commands: [['cryptsetup', 'luksFormat', '--type', 'luks2', ...quickKey, '--key-file', 'KEY']],
    named: /LUKS container/,
  },
  {
    what: 'swap',
    debianPackage: 'util-linux',
    commands: [['mkswap', '-q']],
    named: /swap area/,
  },
  {
    what: 'swap with larger pages',
    debianPackage: 'util-linux',
    commands: [['mkswap', '-q', '--pagesize', '65536']],
    named: /swap area/,
  },
  {
    what: 'a GPT partition table',
    debianPackage: 'gdisk',
    commands: [onePartition],
    named: /GPT partition table/,
  },
  {
    what: 'an MBR partition table',
    debianPackage: 'gdisk',
    commands: [onePartition, ['sgdisk', '--gpttombr=1']],
    named: /MBR partition table/,
  },
];

async function emptyImage(t: ExecutionContext, sizeBytes = imageSize): Promise<string> {
  const path = join(temporaryFolder(t), 'image');
  await writeFile(path, '', { mode: 0o600 });
  await truncate(path, sizeBytes);
  return path;
}

async function write(path: string, bytes: Uint8Array, offset: number): Promise<void> {
  const file = await open(path, 'r+');
  await file.write(bytes, 0, bytes.length, offset);
  await file.close();
}

async function hashOfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const bytes of createReadStream(path, { highWaterMark: 4 * mib })) {
    hash.update(bytes as Buffer);
  }
  return hash.digest('hex');
}

function configOf(t: ExecutionContext, device: string): string {
  return configFile(
    temporaryFolder(t),
    [
      'upstream_address: "127.0.0.1:1"',
      'listen: "127.0.0.1:0"',
      'raw_disk_cache:',
      `  device_path: ${JSON.stringify(device)}`,
      `  total_size: ${imageSize}`,
      '  create: true',
    ].join('\n'),
  );
}

/** Refused by both commands, with the name of what is there, and byte for byte as it was. */
async function isLeftAlone(t: ExecutionContext, path: string, named: RegExp): Promise<void> {
  t.timeout(60_000);
  const before = await hashOfFile(path);
  const formatted = await runCommand(t, ['format', path, '--yes', '--no-zero-fill']);
  t.is(formatted.status, 3);
  t.regex(formatted.stderr.join('\n'), named);
  const served = await runCommand(t, ['serve', '-c', configOf(t, path)]);
  t.is(served.status, 3);
  t.deepEqual(
    served.stdout.filter((line) => line.includes('"ready"')),
    [],
  );
  t.is(await hashOfFile(path), before);
}

for (const { what, debianPackage, commands, named, needsLoop = false } of images) {
  test.serial(`foreign content: ${what} is refused, and left as it is`, async (t) => {
    let path = await emptyImage(t);
    if (needsLoop) {
      const loop = await attachLoop(t, imageSize);
      if (loop === null) return t.pass();
      path = loop.path;
    }
    const key = join(temporaryFolder(t), 'key');
    await writeFile(key, randomBytes(32));
    for (const command of commands) {
      const filled = command.map((word) => (word === 'KEY' ? key : word));
      if ((await runTool(t, debianPackage, [...filled, path])) === null) return t.pass();
    }
    await isLeftAlone(t, path, named);
  });
}

/** As `mdadm --create` leaves them, for kernels without the driver. */
const raidMagic = Buffer.from([0xfc, 0x4e, 0x2b, 0xa9]);
const raids: ReadonlyArray<readonly [string, number, RegExp]> = [
  ['0.90', (imageSize & ~0xffff) - 0x10000, /unknown data at offset/],
  ['1.0', imageSize - 8192, /unknown data at offset/],
  ['1.1', 0, /member of a Linux RAID/],
  ['1.2', 4096, /member of a Linux RAID/],
];

for (const [version, offset, named] of raids) {
  test.serial(
    `foreign content: RAID metadata ${version} is refused, and left as it is`,
    async (t) => {
      const loop = existsSync('/proc/mdstat') ? await attachLoop(t, imageSize) : null;
      const array = `/dev/md/millrace-${process.pid}-${version}`;
      const made =
        loop &&
        (await runTool(t, 'mdadm', [
          ...['mdadm', '--create', array, '--run', '--force', '--level=1', '--raid-devices=1'],
          ...[`--metadata=${version}`, loop.path],
        ]));
      if (loop !== null && made !== null) {
        await runTool(t, 'mdadm', ['mdadm', '--stop', array]);
        return isLeftAlone(t, loop.path, named);
      }
      t.log('no RAID can be made here: the superblock is written by hand');
      const path = await emptyImage(t);
      await write(path, raidMagic, offset);
      await isLeftAlone(t, path, named);
    },
  );
}

for (const [where, offset] of [
  ['at the very start', 0],
  ['in the first megabyte', 700_001],
  ['at the very end', imageSize - 1],
] as const) {
  test.serial(`foreign content: one byte ${where} is enough to be refused`, async (t) => {
    const path = await emptyImage(t);
    await write(path, Buffer.from([1]), offset);
    await isLeftAlone(t, path, RegExp(`unknown data at offset ${offset}\\b`));
  });
}

test.serial('foreign content: random bytes are refused, and left as they are', async (t) => {
  const path = await emptyImage(t);
  for (let at = 0; at < imageSize; at += 16 * mib) await write(path, randomBytes(2 * mib), at);
  await isLeftAlone(t, path, /holds .*\S/);
});

test.serial('foreign content: random bytes between two empty edges are refused', async (t) => {
  const path = await emptyImage(t);
  await write(path, randomBytes(64 * mib), 100 * mib);
  await isLeftAlone(t, path, /unknown data at offset/);
});

test.serial('foreign content: zeros are formatted and served', async (t) => {
  const path = await emptyImage(t);
  const formatted = await runCommand(t, ['format', path, '--no-zero-fill']);
  t.is(formatted.status, 0, formatted.stderr.join('\n'));
  t.regex(formatted.stdout.join('\n'), /is a millrace store now/);
});
