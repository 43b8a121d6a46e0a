// The targets that the design sets, held against the newest committed figures: what is aimed at, what
// millrace does, what the best program beside it does in the same run, and the gap. A target that is a
// share of a peer counts only where that peer was measured in the same run; a line whose suite has no
// figures says so, and one that no suite can measure says why.

import { formatNumber, formatValue } from './format.js';
import type { Metric, Row } from './harness.js';
import { latestWith, type NamedResult, suiteOf } from './results.js';
import { summarize } from './statistics.js';
import type { Table } from './tables.js';

export interface Target {
  readonly what: string;
  /** As the design words it. */
  readonly wording: string;
  /** 'millrace' without it. */
  readonly subject?: string;
  readonly suite: string;
  readonly case: RegExp;
  readonly metric: RegExp;
  readonly better: 'lower' | 'higher';
  /** The peer that a factor counts from, and the peers that are shown beside it. */
  readonly peers: RegExp | null;
  /** At most (lower) or at least (higher) this, in the metric's unit. */
  readonly value?: number;
  /** Or this share of the best peer. */
  readonly factor?: number;
  /** Or this beyond the best peer. */
  readonly beyond?: number;
}

/** A line of the design that no suite here can measure. */
export interface OutOfReach {
  readonly what: string;
  readonly wording: string;
  readonly why: string;
}

const mib = 2 ** 20;

const lower = 'lower';
const higher = 'higher';
/** Programs that do the same job; a disk or a bare origin is none. */
const servers = /^(nginx|varnish|traffic|haproxy)/i;

const crowd = /^100 clients, .* 100 MiB$/;
const ranges = /^100 clients, 100 ranges .* 1 GiB$/;
const small = { suite: 'hit', case: /^hot, 1 KiB$/, metric: /^CPU$/, better: lower } as const;

export const targets: readonly (Target | OutOfReach)[] = [
  {
    what: 'hit of 1 KiB, CPU',
    wording: 'at most 0.75 x HAProxy',
    ...small,
    peers: /^haproxy/,
    factor: 0.75,
  },
  {
    what: 'the same',
    wording: 'at most 0.5 x nginx',
    ...small,
    peers: /^nginx/,
    factor: 0.5,
  },
  {
    what: 'hit of 16 KiB, CPU',
    wording: 'at most 0.6 x the better of HAProxy and nginx',
    ...{ suite: 'hit', case: /^hot, 16 KiB$/, metric: /^CPU$/, better: lower },
    peers: /^(nginx|haproxy)/,
    factor: 0.6,
  },
  {
    what: 'Zipf over 10,000 URLs, hot',
    wording: 'at least 1.4 x HAProxy',
    ...{ suite: 'hit', case: /Zipf/, metric: /^requests$/, better: higher },
    peers: /^haproxy/,
    factor: 1.4,
  },
  {
    what: 'hit of 1 MiB, hot, CPU',
    wording: 'at most 0.18 s/GB',
    ...{ suite: 'hit', case: /^hot, 1 MiB$/, metric: /^CPU$/, better: lower },
    peers: servers,
    value: 0.18,
  },
  {
    what: 'hit of 100 MiB, hot, CPU',
    wording: 'at most 0.138 s/GB',
    ...{ suite: 'hit', case: /^hot, 100 MiB$/, metric: /^CPU$/, better: lower },
    peers: servers,
    value: 0.138,
  },
  {
    what: 'hits of 1 MiB from the disk',
    wording: 'at least 0.9 x fio',
    ...{ suite: 'hit', case: /^from disk/, metric: /^throughput$/, better: higher },
    peers: /^fio/,
    factor: 0.9,
  },
  {
    what: 'random ranges of 64 KiB, hot',
    wording: 'at least 40,000 req/s',
    ...{ suite: 'ranges', case: /from memory$/, metric: /^requests$/, better: higher },
    peers: servers,
    value: 40_000,
  },
  {
    what: 'random ranges of 64 KiB, from the disk',
    wording: 'at least 0.9 x fio',
    ...{ suite: 'ranges', case: /from disk$/, metric: /^requests$/, better: higher },
    peers: /^fio/,
    factor: 0.9,
  },
  {
    what: 'miss of 1 MiB, first byte',
    wording: 'at most 0.5 ms beyond the origin',
    ...{ suite: 'miss', case: /^1 MiB, one/, metric: /^TTFB p50$/, better: lower },
    peers: /^no proxy/,
    beyond: 0.5,
  },
  {
    what: 'miss of 100 MiB, first byte',
    wording: 'at most 0.5 ms beyond the origin',
    ...{ suite: 'miss', case: /^100 MiB, one/, metric: /^TTFB p50$/, better: lower },
    peers: /^no proxy/,
    beyond: 0.5,
  },
  {
    what: 'miss of 1 GiB, first byte',
    wording: 'at most 0.5 ms beyond the origin',
    ...{ suite: 'miss', case: /^1 GiB, one/, metric: /^TTFB p50$/, better: lower },
    peers: /^no proxy/,
    beyond: 0.5,
  },
  {
    what: 'misses of distinct 1 MiB objects, stored',
    wording: 'at least 600 MB/s',
    ...{ suite: 'miss', case: /^1 MiB, \d+ at/, metric: /^throughput$/, better: higher },
    peers: servers,
    value: 600,
  },
  {
    what: 'the same, CPU',
    wording: 'at most 0.72 s/GB',
    ...{ suite: 'miss', case: /^1 MiB, \d+ at/, metric: /^CPU$/, better: lower },
    peers: servers,
    value: 0.72,
  },
  {
    what: '100 clients, one cold object of 100 MiB: bodies from the origin',
    wording: '1',
    ...{ suite: 'coalesce', case: crowd, metric: /^origin bodies$/, better: lower },
    peers: servers,
    value: 1,
  },
  {
    what: 'the same, first byte, median',
    wording: 'at most 12 ms',
    ...{ suite: 'coalesce', case: crowd, metric: /^TTFB p50$/, better: lower },
    peers: servers,
    value: 12,
  },
  {
    what: 'the same, first byte, slowest in a hundred',
    wording: 'at most 50 ms',
    ...{ suite: 'coalesce', case: crowd, metric: /^TTFB p99$/, better: lower },
    peers: servers,
    value: 50,
  },
  {
    what: 'the same, all served',
    wording: 'at most 2,300 ms',
    ...{ suite: 'coalesce', case: crowd, metric: /^total$/, better: lower },
    peers: servers,
    value: 2300,
  },
  {
    what: '100 clients, 100 ranges of one cold object of 1 GiB: bytes from the origin',
    wording: 'at most 105 MB',
    ...{ suite: 'range-crowd', case: ranges, metric: /^from the origin$/, better: lower },
    peers: servers,
    value: 105e6,
  },
  {
    what: 'the same, all served',
    wording: 'at most 40 ms',
    ...{ suite: 'range-crowd', case: ranges, metric: /^total$/, better: lower },
    peers: servers,
    value: 40,
  },
  {
    what: 'resident memory, 10 cold downloads of 100 MB',
    wording: 'at most 90 MiB beside 16 MiB of L1',
    ...{ suite: 'memory', case: /^10 x 100 MB$/, metric: /^resident peak$/, better: lower },
    peers: servers,
    value: (90 + 16) * mib,
  },
  {
    what: 'resident memory, one slow reader of 1 GiB',
    wording: 'at most 90 MiB beside 16 MiB of L1',
    ...{ suite: 'memory', case: /^1 GiB, slow reader$/, metric: /^resident peak$/, better: lower },
    peers: servers,
    value: (90 + 16) * mib,
  },
  {
    what: 'index memory per record',
    wording: 'at most 9.5 B',
    suite: 'micro-index',
    // The older names are those of results from before the index took any number of buckets.
    case: /^(bytes per record|filled to 90 %)/,
    metric: /^(at 0\.1 %|memory per record)/,
    better: lower,
    peers: null,
    value: 9.5,
  },
  {
    what: 'bytes written to the device per admitted byte, objects of 16 MiB',
    wording: 'at most 1.1, and what is reinserted',
    subject: 'millrace, raw disk',
    ...{ suite: 'write', case: /^cache write, 16 MiB/, metric: /per admitted byte/, better: lower },
    peers: null,
    value: 1.1,
  },
  {
    what: 'the same, objects of 16 KiB',
    wording: 'at most 1.1, and what is reinserted',
    subject: 'millrace, raw disk',
    ...{ suite: 'write', case: /^cache write, 16 KiB/, metric: /per admitted byte/, better: lower },
    peers: null,
    value: 1.1,
  },
  {
    what: 'ready after kill -9, 2,000 objects',
    wording: 'at most 300 ms',
    ...{ suite: 'restart', case: /2000 objects/, metric: /^ready$/, better: lower },
    peers: servers,
    value: 300,
  },
  {
    what: 'every record found again after a crash, 100 million',
    wording: 'at most 12 s',
    suite: 'micro-recovery',
    // What it costs to make a procedural disk's bytes is in the time, as reading them from a disk would be.
    ...{ case: /^100 M records.*found again$/, metric: /^time$/, better: lower },
    peers: null,
    value: 12000,
  },
  {
    what: 'the same, 1 TB of 1 MiB chunks',
    wording: 'at most 1 s',
    suite: 'micro-recovery',
    ...{ case: /^1 TB of 1 MiB.*found again$/, metric: /^time$/, better: lower },
    peers: null,
    value: 1000,
  },
  {
    what: 'objects kept after kill -9, written before',
    wording: 'all but the last 8 MiB or 100 ms',
    ...{ suite: 'restart', case: /2000 objects/, metric: /^kept$/, better: higher },
    peers: servers,
    value: 1,
  },
  {
    what: 'miss ratio, synthetic CDN trace at a cache of 2 %',
    wording: 'at most .54 (LRU: .621)',
    suite: 'policy',
    ...{ case: /^cache of 2 %: ours$/, metric: /^objects missed$/, better: lower },
    peers: null,
    value: 0.54,
  },
  {
    what: 'bytes written for it, of what LRU writes',
    wording: 'at most 0.2',
    suite: 'policy',
    ...{ case: /^cache of 2 %: ours$/, metric: /^written, of what/, better: lower },
    peers: null,
    value: 0.2,
  },
];

interface Figure {
  readonly row: Row;
  readonly metric: Metric;
  readonly value: number;
}

export interface Judged {
  readonly target: Target;
  readonly ours: Figure;
  readonly peer: Figure | null;
  readonly from: string;
  /** Null: the target is a share of a peer that was not measured. Else how often it is exceeded. */
  readonly gap: number | null;
}

/** Null where nothing was measured that the target speaks of. */
export function judge(target: Target, results: readonly NamedResult[]): Judged | null {
  const found = latestWith(results, target.suite);
  const rows = (found === null ? null : suiteOf(found.result, target.suite))?.rows ?? [];
  const figures = rows.flatMap((row) => {
    const metric = row.metrics.find(({ name }) => target.metric.test(name));
    if (metric === undefined || !target.case.test(row.case)) return [];
    return [{ row, metric, value: summarize(metric.values).median }];
  });
  const ours = figures.find(({ row }) => row.subject === (target.subject ?? 'millrace'));
  if (found === null || ours === undefined) return null;
  const sign = target.better === 'lower' ? 1 : -1;
  const peer = figures
    .filter(({ row }) => row.case === ours.row.case && target.peers?.test(row.subject))
    .sort((a, b) => sign * (a.value - b.value))[0];
  const share = peer === undefined ? null : peer.value * (target.factor ?? 1);
  const limit = target.value ?? (share === null ? null : share + (target.beyond ?? 0));
  return { target, ours, peer: peer ?? null, from: found.name, gap: gapOf(target, ours, limit) };
}

function gapOf({ better }: Target, { value }: Figure, limit: number | null): number | null {
  if (limit === null || limit === 0 || value === 0) return limit === null ? null : 1;
  return better === 'lower' ? value / limit : limit / value;
}

export function gapText(gap: number | null): string {
  if (gap === null) return 'its peer was not measured';
  return gap <= 1 ? 'met' : `${formatNumber(gap)} x off`;
}

export function targetsTable(results: readonly NamedResult[], list = targets): Table {
  const rows = list.map((target) => {
    if ('why' in target) {
      return [target.what, target.wording, `not measured: ${target.why}`, '', '', ''];
    }
    const judged = judge(target, results);
    if (judged === null) return [target.what, target.wording, 'not measured yet', '', '', ''];
    const { ours, peer, from, gap } = judged;
    return [
      target.what,
      target.wording,
      formatValue(ours.value, ours.metric.unit),
      peer === null ? '' : `${peer.row.subject}: ${formatValue(peer.value, peer.metric.unit)}`,
      gapText(gap),
      from,
    ];
  });
  const heads = ['what', 'target', 'millrace', 'best peer in the same run', 'gap', 'result'];
  return { heads, rows, notes: [] };
}
