// On what was measured: processor, memory, kernel, the disk of the temp directory, the commit, and the
// versions of whatever may be measured beside millrace. Facts that explain a figure, and nothing that
// names the machine or a directory on it: result files are committed.

import { execFile } from 'node:child_process';
import { readFile, statfs } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { arch, cpus, loadavg, release, totalmem, version } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Disk {
  readonly filesystem: string;
  /** 'vda', 'nvme0n1p2'; of an overlay or tmpfs its own word. */
  readonly device: string;
  readonly model: string | null;
  readonly isRotational: boolean | null;
  readonly sizeBytes: number;
  readonly freeBytes: number;
}

export interface Machine {
  readonly cpu: string;
  readonly cpuCount: number;
  readonly architecture: string;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly system: string;
  readonly disk: Disk;
  /** Of the minute before the run: above nothing, somebody else worked here too. */
  readonly loadBefore: number;
}

export interface Commit {
  readonly hash: string;
  /** Something of the checkout is not in the commit. */
  readonly isDirty: boolean;
}

export async function describeMachine(directory: string): Promise<Machine> {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? 'unknown',
    cpuCount: processors.length,
    architecture: arch(),
    memoryBytes: totalmem(),
    kernel: release(),
    system: (await systemName()) ?? version(),
    disk: await describeDisk(directory),
    loadBefore: loadavg()[0] ?? 0,
  };
}

async function textOf(path: string): Promise<string | null> {
  return readFile(path, 'utf8').catch(() => null);
}

async function systemName(): Promise<string | null> {
  const text = await textOf('/etc/os-release');
  return /^PRETTY_NAME="?([^"\n]+)/m.exec(text ?? '')?.[1] ?? null;
}

interface Mount {
  readonly point: string;
  readonly number: string;
  readonly filesystem: string;
  readonly source: string;
}

/** The lines of /proc/self/mountinfo, as proc(5) has them: optional fields end at a lone hyphen. */
export function parseMounts(text: string): Mount[] {
  return text
    .split('\n')
    .filter((line) => line.includes(' - '))
    .map((line) => {
      const [before = '', after = ''] = line.split(' - ');
      const [, , number = '', , point = ''] = before.split(' ');
      const [filesystem = '', source = ''] = after.split(' ');
      return { point: point.replaceAll('\\040', ' '), number, filesystem, source };
    });
}

/** The mount that holds a path: of the matching ones the deepest, of equals the last. */
export function mountOf(mounts: readonly Mount[], path: string): Mount | null {
  let best: Mount | null = null;
  for (const mount of mounts) {
    const prefix = mount.point.endsWith('/') ? mount.point : `${mount.point}/`;
    if (!`${path}/`.startsWith(prefix)) continue;
    if (best === null || mount.point.length >= best.point.length) best = mount;
  }
  return best;
}

async function describeDisk(directory: string): Promise<Disk> {
  const mount = mountOf(parseMounts((await textOf('/proc/self/mountinfo')) ?? ''), directory);
  const facts = await statfs(directory);
  const block = `/sys/dev/block/${mount?.number ?? ''}`;
  // A partition has no queue of its own; its disk, one directory up, has.
  const rotational =
    (await textOf(`${block}/queue/rotational`)) ?? (await textOf(`${block}/../queue/rotational`));
  const model =
    (await textOf(`${block}/device/model`)) ?? (await textOf(`${block}/../device/model`));
  return {
    filesystem: mount?.filesystem ?? 'unknown',
    device: mount?.source.replace(/^\/dev\//, '') ?? 'unknown',
    model: model?.trim() ?? null,
    isRotational: rotational === null ? null : rotational.trim() === '1',
    sizeBytes: facts.blocks * facts.bsize,
    freeBytes: facts.bavail * facts.bsize,
  };
}

/** Null outside a git checkout, or without git. */
export async function describeCommit(root: string): Promise<Commit | null> {
  try {
    const { stdout: hash } = await run('git', ['rev-parse', 'HEAD'], { cwd: root });
    // A result written a moment ago does not make the code that was measured another one.
    const changed = ['status', '--porcelain', '--', '.', ':(exclude)bench/results'];
    const { stdout: status } = await run('git', changed, { cwd: root });
    return { hash: hash.trim(), isDirty: status.trim() !== '' };
  } catch {
    return null;
  }
}

/** Command, its argument for the version, and where in the answer that stands. */
const rivalCommands: Readonly<Record<string, readonly [string, string, RegExp]>> = {
  nginx: ['nginx', '-v', /nginx\/([\d.]+)/],
  varnish: ['varnishd', '-V', /varnish-([\d.]+)/],
  trafficserver: ['traffic_server', '--version', /Traffic Server ([\d.]+)/],
  squid: ['squid', '-v', /Version ([\d.]+)/],
  haproxy: ['haproxy', '-v', /version ([\d.]+)/],
  fio: ['fio', '--version', /fio-([\d.]+)/],
  wrk: ['wrk', '-v', /wrk \D*([\d.]+)/],
};
const rivalPackages = ['http-proxy-middleware', 'undici'] as const;

/** Debian keeps daemons where an ordinary user's PATH does not look. */
export function searchPath(path: string | undefined): string {
  return [path ?? '', '/usr/local/sbin', '/usr/sbin', '/sbin'].filter(Boolean).join(delimiter);
}

/** Name to version: Node, millrace, and every rival that is installed. */
export async function describeVersions(root: string): Promise<Record<string, string>> {
  const own = await versionIn(join(root, 'package.json'));
  const versions: Record<string, string> = { node: process.versions.node };
  if (own !== null) versions.millrace = own;
  const env = { ...process.env, PATH: searchPath(process.env.PATH) };
  for (const [name, [command, argument, pattern]] of Object.entries(rivalCommands)) {
    const found = pattern.exec(await answerOf(command, argument, env))?.[1];
    if (found !== undefined) versions[name] = found;
  }
  for (const name of rivalPackages) {
    const found = await packageVersion(root, name);
    if (found !== null) versions[name] = found;
  }
  return versions;
}

/** What a program says of itself; some of them end with a status of their own after that. */
async function answerOf(
  command: string,
  argument: string,
  env: NodeJS.ProcessEnv,
): Promise<string> {
  const said = await run(command, [argument], { env }).catch(
    (error: { stdout?: string; stderr?: string }) => error,
  );
  return `${said.stdout ?? ''}${said.stderr ?? ''}`;
}

async function versionIn(path: string): Promise<string | null> {
  const text = await textOf(path);
  return text === null ? null : ((JSON.parse(text) as { version?: string }).version ?? null);
}

/** By its main file and up from there: a package's `exports` may hide its package.json. */
async function packageVersion(root: string, name: string): Promise<string | null> {
  let directory: string;
  try {
    directory = dirname(createRequire(join(root, 'package.json')).resolve(name));
  } catch {
    return null;
  }
  for (; !directory.endsWith('node_modules'); directory = dirname(directory)) {
    const found = await versionIn(join(directory, 'package.json'));
    if (found !== null) return found;
    if (directory === dirname(directory)) return null;
  }
  return null;
}
