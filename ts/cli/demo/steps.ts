// The demo's script, top to bottom: cold, from memory, from disk after a restart, ranges, ten clients at
// once. Each step makes a row of the table and whatever sentences judge.ts has about it.

import type { Clock } from '../../clock.js';
import { type Download, type DownloadOptions, download } from './download.js';
import { type DemoFile, sha256OfRange } from './files.js';
import { type Expectation, judge, judgeMemory } from './judge.js';
import type { OriginProcess, ProxyProcess } from './processes.js';
import type { Row } from './table.js';

export interface Stage {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly origin: OriginProcess;
  /** Called for the first start with null, for the restart with the address to take again. */
  readonly startProxy: (address: string | null) => Promise<ProxyProcess>;
  readonly memoryLimit: number;
  readonly large: DemoFile;
  /** The same bytes under another name: an object that nobody has asked for yet. */
  readonly second: DemoFile;
  readonly small: readonly DemoFile[];
  readonly onStep: (what: string) => void;
}

export interface Result {
  readonly rows: readonly Row[];
  readonly problems: readonly string[];
  /** Still running. */
  readonly proxy: ProxyProcess;
}

const clientsAtOnce = 10;
const kib = 1024;

type Fetch = (proxy: ProxyProcess) => Promise<Download[]>;

interface Act {
  readonly expected: Expectation;
  readonly fetch: Fetch;
}

const miss = { status: 200, words: ['MISS'], detail: null } as const;
const hit = { status: 200, words: ['HIT'], originRequests: 0 } as const;

/** One after the other, so that the times of one are not those of another. */
function inTurn(stage: Stage, files: readonly DemoFile[]): Fetch {
  return async ({ address }) => {
    const downloads: Download[] = [];
    for (const { name } of files) downloads.push(await download(address + name, stage));
    return downloads;
  };
}

function ranges(stage: Stage, spans: readonly NonNullable<DownloadOptions['range']>[]): Fetch {
  return async ({ address }) => {
    const downloads: Download[] = [];
    for (const range of spans) {
      downloads.push(await download(address + stage.large.name, { ...stage, range }));
    }
    return downloads;
  };
}

function beforeRestart(stage: Stage): Act[] {
  const { large, small } = stage;
  const some = `${small.length} smaller files`;
  const fetchLarge = inTurn(stage, [large]);
  const fetchSmall = inTurn(stage, small);
  return [
    { expected: { what: 'cold', ...miss, bodies: [large], originRequests: 1 }, fetch: fetchLarge },
    {
      expected: { what: `cold, ${some}`, ...miss, bodies: small, originRequests: small.length },
      fetch: fetchSmall,
    },
    { expected: { what: 'again', ...hit, detail: 'memory', bodies: [large] }, fetch: fetchLarge },
    {
      expected: { what: `again, ${some}`, ...hit, detail: 'memory', bodies: small },
      fetch: fetchSmall,
    },
  ];
}

async function afterRestart(stage: Stage): Promise<Act[]> {
  const { large, second, small } = stage;
  const middle = Math.floor(large.size / 2);
  const spans = [
    { first: 0, last: 0 },
    { first: 100, last: 100 + 64 * kib },
    { first: middle, last: middle + 1024 * kib },
    { first: large.size - 10 * kib, last: large.size - 1 },
  ];
  const parts = await Promise.all(
    spans.map(async ({ first, last }) => ({
      size: last - first + 1,
      sha256: await sha256OfRange(large.path, first, last),
    })),
  );
  return [
    {
      expected: { what: 'after a restart', ...hit, detail: 'disk', bodies: [large] },
      fetch: inTurn(stage, [large]),
    },
    {
      expected: {
        what: `after a restart, ${small.length} smaller files`,
        ...hit,
        detail: 'disk',
        bodies: small,
      },
      fetch: inTurn(stage, small),
    },
    {
      expected: {
        what: `${spans.length} ranges`,
        ...hit,
        status: 206,
        detail: null,
        bodies: parts,
      },
      fetch: ranges(stage, spans),
    },
    {
      expected: {
        what: `${clientsAtOnce} clients at once, cold`,
        status: 200,
        // One starts the fetch, the others join it; who comes late finds it stored.
        words: ['MISS', 'HIT'],
        detail: null,
        bodies: Array.from({ length: clientsAtOnce }, () => second),
        originRequests: 1,
      },
      fetch: ({ address }) =>
        Promise.all(
          Array.from({ length: clientsAtOnce }, () => download(address + second.name, stage)),
        ),
    },
  ];
}

const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((total, count) => total + count, 0);

function outcomeOf(downloads: readonly Download[]): string {
  const words = downloads.map(({ word, detail }) => (word === 'HIT' ? `${word} ${detail}` : word));
  return [...new Set(words.map((word) => word.trim()))].join(', ');
}

async function perform(
  stage: Stage,
  proxy: ProxyProcess,
  { expected, fetch }: Act,
): Promise<{ row: Row; problems: string[] }> {
  stage.onStep(expected.what);
  const before = sum(await stage.origin.counts());
  const start = stage.clock.monotonic();
  const downloads = await fetch(proxy);
  const totalMs = stage.clock.monotonic() - start;
  const originRequests = sum(await stage.origin.counts()) - before;
  const row: Row = {
    what: expected.what,
    outcome: outcomeOf(downloads),
    ttfbMs: Math.max(...downloads.map(({ ttfbMs }) => ttfbMs)),
    totalMs,
    bytes: downloads.reduce((total, { bytes }) => total + bytes, 0),
    originRequests,
    memoryBytes: proxy.peakMemory(),
  };
  return { row, problems: judge(expected, downloads, originRequests) };
}

/** Bytes of the index of the store, by the proxy's own account. */
async function indexMemoryOf(proxy: ProxyProcess, signal: AbortSignal): Promise<number> {
  const answer = await fetch(`${proxy.admin}/stats`, { signal });
  const { store } = (await answer.json()) as { store: { indexMemory?: number } | null };
  return store?.indexMemory ?? 0;
}

/** The proxy of the result runs on; where this rejects, none does. */
export async function runSteps(stage: Stage): Promise<Result> {
  const rows: Row[] = [];
  const problems: string[] = [];
  let proxy = await stage.startProxy(null);
  const play = async (acts: readonly Act[]): Promise<void> => {
    for (const act of acts) {
      const { row, problems: found } = await perform(stage, proxy, act);
      rows.push(row);
      problems.push(...found);
    }
    const indexMemory = await indexMemoryOf(proxy, stage.signal);
    problems.push(...judgeMemory(proxy.peakMemory(), stage.memoryLimit, indexMemory));
  };
  try {
    await play(beforeRestart(stage));
    const status = await proxy.stop();
    if (status !== 0) problems.push(`restart: the proxy ended with status ${status}, expected 0`);
    proxy = await stage.startProxy(proxy.address);
    await play(await afterRestart(stage));
    return { rows, problems, proxy };
  } catch (error) {
    await proxy.stop();
    throw error;
  }
}
