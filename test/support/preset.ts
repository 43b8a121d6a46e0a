// What the tests of presets share: `serve --preset` as a process of its own, an origin that knows who may
// have what and counts the bodies that it sends, and the ecosystem's own client as a program. A client that
// is not on this machine skips its tests, and their titles say so.

import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import test, { type ExecutionContext, type Implementation } from 'ava';
import { startCommand } from './command.js';
import { type OriginRequest, type Script, startOrigin } from './scripted-origin.js';

const systemFolders = ['/usr/sbin', '/sbin'];

function isInstalled(program: string): boolean {
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...systemFolders];
  return folders.some((folder) => existsSync(join(folder, program)));
}

/** Whether a module of Python can be imported. */
export function hasPythonModule(name: string): boolean {
  const args = ['-c', `import ${name}`];
  return spawnSync('python3', args, { stdio: 'ignore' }).status === 0;
}

/** A test that needs these programs. */
export function clientTest(
  programs: readonly string[],
  title: string,
  run: Implementation<[]>,
): void {
  const missing = programs.filter((program) => !isInstalled(program));
  if (missing.length === 0) test(title, run);
  else test.skip(`${title} (not installed here: ${missing.join(', ')})`, run);
}

/** "http://127.0.0.1:port" of a proxy with this preset over this origin, and nothing else configured. */
export async function servePreset(
  t: ExecutionContext,
  preset: string,
  origin: string,
  set: readonly string[] = [],
): Promise<string> {
  const keys = [
    'listen=127.0.0.1:0',
    'enable_l2_cache=false',
    `upstream_address=${origin}`,
    ...set,
  ];
  const args = ['serve', '--preset', preset, '--set', ...keys];
  const { listen } = await startCommand(t, args).logged('ready');
  return (listen as string[])[0]!;
}

export interface Artefact {
  readonly body: Uint8Array | ((request: OriginRequest) => Uint8Array);
  readonly fields?: readonly string[];
  /** Whoever shows one of these tokens may have it; absent: everybody. */
  readonly tokens?: readonly string[];
}

export interface ArtefactOrigin {
  /** "127.0.0.1:port" */
  readonly address: string;
  readonly requests: readonly OriginRequest[];
  /** Targets whose bodies were sent, in order; those of a part as well. */
  readonly bodies: string[];
  /** By path; may be added to. */
  readonly files: Map<string, Artefact>;
  /** Asked first; true: it has answered. */
  before: ((...args: Parameters<Script>) => Promise<boolean>) | null;
}

/** An origin of files with strong ETags, which judges conditions, ranges and tokens. */
export async function startArtefacts(t: ExecutionContext): Promise<ArtefactOrigin> {
  const files = new Map<string, Artefact>();
  const bodies: string[] = [];
  const origin = await startOrigin(t, async (request, reply) => {
    if ((await state.before?.(request, reply)) === true) return;
    const file = files.get(request.target.split('?')[0] ?? '');
    if (file === undefined) return reply.send({ status: 404, body: 'not here' });
    if (!isAllowed(file, request)) {
      const fields = ['WWW-Authenticate', 'Bearer realm="test"'];
      return reply.send({ status: 401, fields, body: '{"error":"unauthorized"}' });
    }
    const body = typeof file.body === 'function' ? file.body(request) : file.body;
    const etag = `"${createHash('sha256').update(body).digest('hex').slice(0, 32)}"`;
    const fields = ['ETag', etag, 'Accept-Ranges', 'bytes', ...(file.fields ?? [])];
    if (request.field('if-none-match') === etag) return reply.head(304, fields, 'Not Modified');
    if (request.method === 'HEAD') {
      return reply.head(200, [...fields, 'Content-Length', `${body.length}`]);
    }
    bodies.push(request.target);
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.field('range') ?? '');
    const ifRange = request.field('if-range');
    if (range === null || (ifRange !== undefined && ifRange !== etag)) {
      return reply.send({ fields, body });
    }
    const start = Number(range[1]);
    const end = Math.min(body.length, range[2] === '' ? body.length : Number(range[2]) + 1);
    const contentRange = `bytes ${start}-${end - 1}/${body.length}`;
    return reply.send({
      status: 206,
      fields: [...fields, 'Content-Range', contentRange],
      body: body.subarray(start, end),
    });
  });
  const state: ArtefactOrigin = {
    address: origin.address,
    requests: origin.requests,
    bodies,
    files,
    before: null,
  };
  return state;
}

function isAllowed({ tokens }: Artefact, request: OriginRequest): boolean {
  if (tokens === undefined) return true;
  const token = /^Bearer (.+)$/i.exec(request.field('authorization') ?? '')?.[1];
  return token !== undefined && tokens.includes(token);
}

export interface ClientRun {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program to its end, in an environment without settings of whoever runs the tests. Killed at the
 * end of the test, should it still run.
 */
export async function runClient(
  t: ExecutionContext,
  program: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<ClientRun> {
  const foreign = /^(npm_|apt_|hf_|node_options$|.*_proxy$)/i;
  const own = Object.entries(process.env).filter(([name]) => !foreign.test(name));
  const path = [process.env.PATH, ...systemFolders].join(delimiter);
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...Object.fromEntries(own), PATH: path, LC_ALL: 'C', ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  t.teardown(() => child.kill('SIGKILL'));
  const read = async (stream: NodeJS.ReadableStream): Promise<string> => {
    let text = '';
    for await (const piece of stream) text += String(piece);
    return text;
  };
  const [stdout, stderr, [status]] = await Promise.all([
    read(child.stdout),
    read(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ]);
  return { status, stdout, stderr };
}

/** Bytes that no coding shrinks, the same for the same seed. */
export function artefactBytes(length: number, seed: string): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0, block = 0; at < length; at += 32, block += 1) {
    createHash('sha256').update(`${seed} ${block}`).digest().copy(bytes, at);
  }
  return bytes;
}
