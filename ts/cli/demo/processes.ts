// The demo's two processes, origin and proxy: started, spoken to, and stopped by their own handles,
// also where they do not want to. And how much memory one has had at most.

import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { InternalError } from '../../errors.js';
import type { OriginArguments, OriginMessage } from './origin-process.js';

export interface OriginProcess {
  readonly port: number;
  counts(): Promise<Readonly<Record<string, number>>>;
  stop(): Promise<void>;
}

export interface ProxyProcess {
  /** "http://127.0.0.1:40123" */
  readonly address: string;
  readonly admin: string;
  /** Highest resident memory until now, in bytes. */
  peakMemory(): number;
  /** Exit status; null where it had to be killed. */
  stop(): Promise<number | null>;
}

// Its own grace for running exchanges is 10 s; then it has the store to close.
const stopLimitMs = 30_000;
const startLimitMs = 30_000;
const keptLines = 20;

function hasEnded(child: ChildProcess): boolean {
  // Without a pid it has never begun.
  return child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
}

async function stopChild(child: ChildProcess): Promise<number | null> {
  if (hasEnded(child)) return child.exitCode;
  const ended = once(child, 'exit', { signal: AbortSignal.timeout(stopLimitMs) });
  child.kill('SIGTERM');
  try {
    await ended;
  } catch {
    const killed = once(child, 'exit');
    child.kill('SIGKILL');
    if (!hasEnded(child)) await killed;
  }
  return child.exitCode;
}

export async function startOriginProcess(options: OriginArguments): Promise<OriginProcess> {
  const script = fileURLToPath(new URL('./origin-process.js', import.meta.url));
  const child = fork(script, [JSON.stringify(options)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  // A message to one that has just ended is an event of its own; that it has ended is heard below.
  child.on('error', () => {});
  const hear = async (): Promise<OriginMessage> => {
    // Whatever is not needed any more stops listening.
    const settled = new AbortController();
    const signal = AbortSignal.any([AbortSignal.timeout(startLimitMs), settled.signal]);
    const gone = once(child, 'exit', { signal }).then(() => {
      throw new InternalError('INTERNAL', 'the origin of the demo has ended by itself');
    });
    gone.catch(() => {});
    try {
      const answer = once(child, 'message', { signal });
      return ((await Promise.race([answer, gone])) as [OriginMessage])[0];
    } finally {
      settled.abort();
    }
  };
  try {
    const ready = await hear();
    return {
      port: ready.kind === 'ready' ? ready.port : 0,
      counts: async () => {
        const answer = hear();
        child.send({ kind: 'counts' });
        const message = await answer;
        return message.kind === 'counts' ? message.counts : {};
      },
      stop: async () => void (await stopChild(child)),
    };
  } catch (error) {
    await stopChild(child);
    throw error;
  }
}

interface ReadyLine {
  readonly msg?: unknown;
  readonly listen?: readonly string[];
  readonly admin?: string;
}

function parseLine(line: string): ReadyLine {
  try {
    return JSON.parse(line) as ReadyLine;
  } catch {
    return {};
  }
}

/** `address`: of an earlier life, to be taken again; the URL is part of what the cache knows it by. */
export async function startProxyProcess(
  configPath: string,
  address: string | null,
): Promise<ProxyProcess> {
  const again = address === null ? [] : ['--set', `listen=${address.replace('http://', '')}`];
  const main = fileURLToPath(new URL('../main.js', import.meta.url));
  const child = spawn(process.execPath, [main, 'serve', '-c', configPath, ...again], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said: string[] = [];
  const keep = (line: string): void => {
    said.push(line);
    if (said.length > keptLines) said.shift();
  };
  createInterface({ input: child.stderr }).on('line', keep);
  // Read to the end of its life: a full pipe would stop its log.
  const ready = new Promise<ReadyLine>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const parsed = parseLine(line);
      if (parsed.msg === 'ready') resolve(parsed);
      else keep(line);
    });
    const fail = (): void =>
      reject(new InternalError('INTERNAL', `the proxy did not start:\n${said.join('\n')}`));
    child.once('error', fail);
    child.once('close', fail);
    AbortSignal.timeout(startLimitMs).addEventListener('abort', fail, { once: true });
  });
  try {
    const { listen, admin } = await ready;
    return {
      address: listen?.[0] ?? '',
      admin: admin ?? '',
      peakMemory: () => peakMemoryOf(child.pid ?? 0),
      stop: () => stopChild(child),
    };
  } catch (error) {
    await stopChild(child);
    throw error;
  }
}

/** The kernel's own high-water mark: no sample between two looks can be missed. */
function peakMemoryOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024;
}
