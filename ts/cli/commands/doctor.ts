// `millrace doctor`: looks at everything around a configuration that keeps an instance from starting or from
// running well, and says for each what was found and what to do. Changes nothing, opens no store.

import { accessSync, constants, existsSync, readFileSync, statfsSync, statSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { release, type, userInfo } from 'node:os';
import { dirname } from 'node:path';
import type { Config, ServedAddress } from '../../config/schema.js';
import { formatListen } from '../../config/values.js';
import { loadAddon } from '../../native/binding.js';
import { formatSize } from '../../units.js';
import { columnLines } from '../columns.js';
import { deviceFindings } from '../device-findings.js';
import { type Finding, fail, ok, warn } from '../findings.js';
import { type ConfigSource, loadSource } from '../named-config.js';
import type { CommandOutput } from './check.js';

export interface DoctorOptions extends ConfigSource {
  readonly json: boolean;
}

const mib = 1024 * 1024;
/** Beside memory_limit and index_memory_limit: what Node and the program themselves take at most. */
const memoryBeside = 100 * mib;
/** A client and its origin are a descriptor each; fewer than this are gone in a burst. */
const descriptorsWanted = 8192;
const reachLimitMs = 3000;

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return null;
  }
}

function checkNode(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const isSupported = (major === 20 && minor >= 19) || (major === 22 && minor >= 12) || major > 22;
  return isSupported
    ? ok('node', process.version)
    : fail('node', process.version, 'install Node 20.19, 22.12 or newer');
}

function checkAddon(): Finding {
  try {
    loadAddon();
    return ok('addon', `loaded for ${process.platform} ${process.arch}`);
  } catch (error) {
    const [first = ''] = (error as Error).message.split('\n');
    return fail('addon', first, 'run: npx millrace build-addon');
  }
}

function checkMemory(config: Config): Finding {
  const wanted = config.memoryLimitBytes + config.indexMemoryLimitBytes + memoryBeside;
  const meminfo = /^MemTotal:\s+(\d+) kB/m.exec(readOrNull('/proc/meminfo') ?? '');
  const machine = meminfo === null ? Number.POSITIVE_INFINITY : Number(meminfo[1]) * 1024;
  const group = Number(readOrNull('/sys/fs/cgroup/memory.max') ?? Number.NaN);
  const limit = Math.min(machine, Number.isFinite(group) ? group : machine);
  const found = `up to ${formatSize(wanted)} wanted, ${formatSize(limit)} allowed`;
  if (wanted > limit) {
    return fail('memory', found, 'lower memory_limit or index_memory_limit, or allow more');
  }
  return wanted > limit * 0.9
    ? warn('memory', found, 'little is left for the kernel and others; lower memory_limit')
    : ok('memory', found);
}

function checkDescriptors(): Finding {
  const limits = readOrNull('/proc/self/limits') ?? '';
  const soft = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY);
  return soft >= descriptorsWanted
    ? ok('open files', `${soft} allowed`)
    : warn(
        'open files',
        `${soft} allowed`,
        `raise it (LimitNOFILE=, ulimit -n) to ${descriptorsWanted} or more`,
      );
}

/** The first with all that is asked of io_uring (native/device/uring-queues.cc). */
const kernelOfIoUring = [5, 12] as const;

function checkKernel(): Finding {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  const [wantedMajor, wantedMinor] = kernelOfIoUring;
  const isOld = major < wantedMajor || (major === wantedMajor && minor < wantedMinor);
  const found = `${type()} ${release()}`;
  if (type() !== 'Linux') {
    return warn('kernel', found, 'the raw disk is for Linux; use l2_backend: file here');
  }
  const advice = `from ${kernelOfIoUring.join('.')} on io_uring serves the disk; before it threads do`;
  return isOld ? warn('kernel', found, advice) : ok('kernel', found);
}

/** What another user may do says little about the one that the instance runs as. */
function checkUser(): Finding {
  const { username, uid } = userInfo();
  return ok('user', `${username} (${uid}); run this as the user that the instance runs as`);
}

function checkIoUring(): Finding {
  const disabled = readOrNull('/proc/sys/kernel/io_uring_disabled');
  if (disabled === null || disabled === '0') return ok('io_uring', 'allowed by the kernel');
  return warn(
    'io_uring',
    `kernel.io_uring_disabled is ${disabled}`,
    'threads are used instead; set it to 0 where the machine may use io_uring',
  );
}

/** The directory of the file tier, or the one that it will be made in. */
function checkDirectory(directory: string, wanted: number): Finding {
  const what = `directory ${directory}`;
  let place = directory;
  while (!existsSync(place) && dirname(place) !== place) place = dirname(place);
  if (!statSync(place).isDirectory()) return fail(what, `${place} is no directory`, 'name another');
  try {
    accessSync(place, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch {
    const seen = `user ${process.geteuid?.() ?? '?'} may not write in ${place}`;
    return fail(what, seen, 'give that user the right to, or run as another');
  }
  const { bavail, bsize } = statfsSync(place);
  const free = bavail * bsize;
  const found = `up to ${formatSize(wanted)} wanted, ${formatSize(free)} free`;
  // What is stored already is a part of what is wanted.
  return free < wanted && place !== directory
    ? warn(what, found, 'lower l2_total_size or free some space')
    : ok(what, found);
}

/** Whether `listen` could be listened on; somebody who listens there may be millrace itself. */
async function checkListen(listen: ServedAddress): Promise<Finding> {
  const what = `listen ${formatListen(listen)}`;
  if (listen.kind === 'unix') {
    const folder = dirname(listen.path);
    if (!existsSync(folder) || !statSync(folder).isDirectory()) {
      return fail(what, `the directory ${folder} does not exist`, 'make it');
    }
    try {
      accessSync(folder, constants.W_OK | constants.X_OK);
      return ok(what, 'its directory exists');
    } catch {
      const seen = `user ${process.geteuid?.() ?? '?'} may not make a socket in ${folder}`;
      return fail(what, seen, 'give that user the right to, or run as another');
    }
  }
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: listen.host, port: listen.port, exclusive: true }, resolve);
    });
    return ok(what, 'free');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE') {
      return warn(what, 'in use', 'right where millrace runs already; else stop that process');
    }
    if (code === 'EACCES') {
      return fail(
        what,
        'permission denied',
        'choose a port above 1023 or grant CAP_NET_BIND_SERVICE',
      );
    }
    return fail(what, message, 'choose an address that this machine has');
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

async function checkOrigin(name: string, origin: URL): Promise<Finding> {
  const what = `upstream ${name}`;
  const port = Number(origin.port || (origin.protocol === 'https:' ? 443 : 80));
  const host = origin.hostname.replace(/^\[|\]$/g, '');
  const socket = connect({ host, port, timeout: reachLimitMs });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('timeout', () => reject(new Error(`no answer in ${reachLimitMs} ms`)));
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return ok(what, `${origin.host} accepts connections`);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const advice =
      code === 'ENOTFOUND' || code === 'EAI_AGAIN'
        ? 'check the name and the resolver of this machine'
        : 'check that the origin runs, its port and the firewall';
    return warn(what, `${origin.host}: ${message || String(code)}`, advice);
  } finally {
    socket.destroy();
  }
}

/** Every finding, in the order of a start. */
export async function findings(config: Config, notInEffect: readonly string[]): Promise<Finding[]> {
  const hasTier = config.enableCache && config.enableL2Cache;
  const needsDisk = hasTier && config.l2Backend === 'raw_disk';
  const needsFiles = hasTier && config.l2Backend === 'file';
  const listeners =
    config.admin.listen === null ? config.listen : [...config.listen, config.admin.listen];
  return [
    checkUser(),
    checkKernel(),
    checkNode(),
    checkAddon(),
    checkMemory(config),
    checkDescriptors(),
    ...(needsDisk ? [checkIoUring(), ...(await deviceFindings(config))] : []),
    ...(needsFiles ? [checkDirectory(config.l2CacheDir!, config.l2TotalSizeBytes)] : []),
    ...(await Promise.all(listeners.map(checkListen))),
    ...(await Promise.all(
      [...config.upstreams].flatMap(([name, { origins }]) =>
        origins.map(({ url }) => checkOrigin(name, url)),
      ),
    )),
    ...notInEffect.map((key) =>
      warn(`key ${key}`, 'not in effect in this version', 'leave it out'),
    ),
  ];
}

/** Exit status: 0, or 1 where something would keep an instance from starting. */
export async function doctorCommand(options: DoctorOptions, io: CommandOutput): Promise<number> {
  const { config, notInEffect } = loadSource(options);
  const all = await findings(config, notInEffect);
  if (options.json) io.stdout(JSON.stringify(all, null, 2));
  else {
    const rows = all.map(({ state, what, found }) => [state, what, found]);
    columnLines(rows).forEach((line, index) => {
      io.stdout(line);
      const { advice } = all[index]!;
      if (advice !== '') io.stdout(`      ${advice}`);
    });
  }
  return all.some(({ state }) => state === 'fail') ? 1 : 0;
}
