// The kill loop as a program: `npm run kill-loop -- --rounds 1000 [--seed S] [--device PATH]`. Runs `millrace
// serve` over a raw file, or over a device that holds nothing or a store of ours (which is emptied), kills it
// with SIGKILL again and again, and judges every answer. Prints how it goes and a line with the counts;
// the status is 1 where anything was wrong. The seed repeats the operations, not their timing.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { configFile, startCommand } from '../support/command.js';
import { type KillCounts, summaryOf } from '../support/kill-counts.js';
import { KillRounds, makeObjects } from '../support/kill-rounds.js';
import { randomOf, startVersionedOrigin } from '../support/versioned-objects.js';

const size = 256 * 1024 * 1024;
/** A new store now and then: one that the ring has not gone round yet loses nothing to reclaim. */
const roundsPerStore = 25;
const mistakesMax = 20;

export interface KillLoopOptions {
  readonly rounds: number;
  readonly seed: number;
  /** Null: a raw file in a folder of its own. */
  readonly device: string | null;
  readonly say: (line: string) => void;
}

export interface KillLoopResult extends KillCounts {
  readonly mistakes: readonly string[];
}

type Undo = (error?: unknown) => unknown;

/** What ava's teardown is for a test: the last thing first. */
async function withCleanup<T>(
  run: (cleanup: { teardown(undo: Undo): void }) => Promise<T>,
): Promise<T> {
  const undos: Undo[] = [];
  try {
    return await run({ teardown: (undo) => void undos.push(undo) });
  } finally {
    for (const undo of undos.reverse()) await undo();
  }
}

function configText(origin: string, device: string): string {
  return [
    `upstream_address: "${origin}"`,
    'listen: "127.0.0.1:0"',
    'admin: { listen: "127.0.0.1:0" }',
    'memory_limit: 96MiB',
    'index_memory_limit: 4MiB',
    'l1_cache_size_bytes: 8MiB',
    `raw_disk_cache: { device_path: ${JSON.stringify(device)} }`,
  ].join('\n');
}

async function format(device: string, isOurs: boolean): Promise<void> {
  await withCleanup(async (cleanup) => {
    const made = isOurs ? ['--size', String(size)] : [];
    if (isOurs) rmSync(device, { force: true });
    const args = ['format', device, '--yes', '--no-zero-fill', ...made];
    const { status, stderr } = await startCommand(cleanup, args).ended;
    if (status !== 0) throw new Error(stderr.join('\n'));
  });
}

export function killLoop({ rounds, seed, device, say }: KillLoopOptions): Promise<KillLoopResult> {
  return withCleanup(async ({ teardown }) => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-kill-'));
    teardown(() => rmSync(directory, { recursive: true, force: true }));
    const path = device ?? join(directory, 'store.disk');
    const objects = makeObjects();
    const origin = await startVersionedOrigin(objects);
    teardown(() => origin.close());
    const mistakes: string[] = [];
    const tell = (text: string) => say(`round ${lives.counts.rounds}, seed ${seed}: ${text}`);
    const lives = new KillRounds({
      random: randomOf(seed),
      origin,
      objects,
      config: configFile(directory, configText(origin.address, path)),
      onWrong: (text) => {
        mistakes.push(text);
        tell(text);
      },
      onLost: tell,
    });
    while (lives.counts.rounds < rounds && mistakes.length < mistakesMax) {
      if (lives.counts.rounds % roundsPerStore === 0) {
        await format(path, device === null);
        lives.forget();
      }
      await withCleanup((cleanup) => lives.round(cleanup));
      if (lives.counts.rounds % roundsPerStore === 0) say(summaryOf(lives.counts));
    }
    return { ...lives.counts, mistakes };
  });
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { rounds: { type: 'string' }, seed: { type: 'string' }, device: { type: 'string' } },
  });
  const rounds = Number(values.rounds ?? 100);
  const seed = Number(values.seed ?? process.pid);
  if (!Number.isInteger(rounds) || rounds < 1 || !Number.isInteger(seed)) {
    throw new Error('usage: npm run kill-loop -- [--rounds N] [--seed N] [--device PATH]');
  }
  const device = values.device ?? null;
  const say = (line: string): void => console.log(line);
  say(`seed ${seed}, ${rounds} rounds on ${device ?? 'a raw file'}`);
  const result = await killLoop({ rounds, seed, device, say });
  const isWrong = result.bytesWrong > 0 || result.purgesUndone > 0;
  const isLost =
    result.flushedFound < result.flushedAsked || result.recordsRecovered < result.recordsFlushed;
  say(`${isWrong || isLost ? 'FAILED' : 'passed'}: ${summaryOf(result)}`);
  if (isWrong || isLost) say(`to repeat: npm run kill-loop -- --rounds ${rounds} --seed ${seed}`);
  process.exitCode = isWrong || isLost ? 1 : 0;
}

if (process.argv[1] === import.meta.filename) void main();
