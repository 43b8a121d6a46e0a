// What each step of the demo expects, held against what came: status, where the bytes came from, how
// many, their SHA-256, and how often the origin was asked. Pure, so that a test can show it failing.

import { formatSize } from '../../units.js';
import type { Download } from './download.js';

export interface Expectation {
  readonly what: string;
  readonly status: number;
  /** What X-Cache may say. */
  readonly words: readonly string[];
  /** Where hits must come from; null: anywhere. */
  readonly detail: string | null;
  /** SHA-256 and bytes of each download, in order. */
  readonly bodies: readonly { readonly sha256: string; readonly size: number }[];
  readonly originRequests: number;
}

/** One sentence for everything that is wrong. */
export function judge(
  expected: Expectation,
  downloads: readonly Download[],
  originRequests: number,
): string[] {
  const { what } = expected;
  const problems = expected.bodies.flatMap((body, index) => {
    const place = expected.bodies.length === 1 ? what : `${what}, number ${index + 1}`;
    const found = downloads[index];
    return found === undefined
      ? [`${place}: was not downloaded`]
      : judgeOne(expected, body, found).map((problem) => `${place}: ${problem}`);
  });
  if (originRequests !== expected.originRequests) {
    problems.push(
      `${what}: the origin had ${originRequests} requests, expected ${expected.originRequests}`,
    );
  }
  return problems;
}

function judgeOne(
  { status, words, detail }: Expectation,
  body: { readonly sha256: string; readonly size: number },
  found: Download,
): string[] {
  const problems: string[] = [];
  if (found.status !== status) problems.push(`status ${found.status}, expected ${status}`);
  if (!words.includes(found.word)) {
    problems.push(`X-Cache "${found.word}", expected ${words.join(' or ')}`);
  }
  if (detail !== null && found.detail !== detail) {
    problems.push(`it came from "${found.detail}", expected ${detail}`);
  }
  if (found.bytes !== body.size) problems.push(`${found.bytes} bytes, expected ${body.size}`);
  if (found.sha256 !== body.sha256) {
    problems.push(`SHA-256 ${found.sha256}, expected ${body.sha256}`);
  }
  return problems;
}

/** The bound that docs promise: what is configured, the index, and 100 MiB for Node itself. */
export function judgeMemory(peak: number, memoryLimit: number, indexMemory: number): string[] {
  const bound = memoryLimit + indexMemory + 100 * 2 ** 20;
  // A peak of 0 is a process that could not be looked at.
  if (peak > 0 && peak <= bound) return [];
  return [
    `memory: the proxy had ${formatSize(peak)} at its peak, expected at most ${formatSize(bound)} ` +
      `(memory_limit ${formatSize(memoryLimit)}, index ${formatSize(indexMemory)}, 100MiB beside)`,
  ];
}
