// wrk as the client where requests per second are counted: it costs a few microseconds per request, so
// that the proxy and not the client is what is measured. One thread, kept connections, optionally a
// script that chooses what to ask for. It is not ours, and where it is missing the case is skipped.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { InternalError } from '../../ts/errors.js';
import { pinWords } from './cores.js';
import { versionOf } from './programs.js';
import { type Scope, watch } from './scope.js';

export interface Load {
  readonly port: number;
  /** Path, or Lua that sets what each request is; see the scripts below. */
  readonly path?: string;
  readonly script?: string;
  readonly connections: number;
  readonly seconds: number;
}

export interface LoadReport {
  readonly requests: number;
  readonly bytes: number;
  readonly elapsedMs: number;
  readonly latencyP50Us: number;
  readonly latencyP99Us: number;
}

export function missingWrk(): string | null {
  // Its version option ends with a status of 1, and that it could be started is all that counts.
  return versionOf('wrk', '-v', /wrk (\S+)/) === null
    ? 'wrk is not installed: apt-get install wrk'
    : null;
}

/** Prints what the report needs in one line; the figures of the summary are rounded. */
const reportLua = `
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("REPORT %d %d %d %d %d %d\\n", summary.requests, summary.bytes,
    summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
`;

let scripts = 0;

export async function runWrk(load: Load, directory: string, scope: Scope): Promise<LoadReport> {
  scope.signal.throwIfAborted();
  scripts += 1;
  const script = join(directory, `wrk-${scripts}.lua`);
  writeFileSync(script, `${load.script ?? ''}\n${reportLua}`);
  const words = [
    ...[
      ...(scope.isPinned ? pinWords('others') : []),
      'wrk',
      '-t1',
      `-c${load.connections}`,
      '--timeout',
      '30s',
    ],
    ...[`-d${load.seconds}s`, '-s', script, `http://127.0.0.1:${load.port}${load.path ?? '/'}`],
  ];
  const child = spawn(words[0]!, words.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
  watch(child);
  const close = scope.defer(() => void child.kill('SIGKILL'));
  const onAbort = (): void => void child.kill('SIGKILL');
  scope.signal.addEventListener('abort', onAbort, { once: true });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  await once(child, 'close');
  scope.signal.removeEventListener('abort', onAbort);
  await close();
  scope.signal.throwIfAborted();
  return parseReport(text);
}

/** Throws where there were errors: a rate of failures is no rate. */
function parseReport(text: string): LoadReport {
  const figures = /^REPORT (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)$/m.exec(text)?.slice(1).map(Number);
  if (figures === undefined) throw new InternalError('INTERNAL', `wrk failed: ${text.trim()}`);
  const [requests = 0, bytes = 0, durationUs = 0, p50 = 0, p99 = 0, errors = 0] = figures;
  if (errors > 0) throw new InternalError('INTERNAL', `wrk saw ${errors} failed requests`);
  if (requests === 0) throw new InternalError('INTERNAL', 'wrk finished no request');
  return { requests, bytes, elapsedMs: durationUs / 1000, latencyP50Us: p50, latencyP99Us: p99 };
}

/** Paths of `count` objects, asked for with the frequencies of Zipf's law (exponent 1). */
export function zipfScript(prefix: string, count: number): string {
  return `
local sums, total = {}, 0
for i = 1, ${count} do total = total + 1 / i; sums[i] = total end
math.randomseed(1)
local texts = {}
init = function(args)
  for i = 1, ${count} do texts[i] = wrk.format("GET", "${prefix}" .. i) end
end
request = function()
  local wanted = math.random() * total
  local low, high = 1, ${count}
  while low < high do
    local middle = math.floor((low + high) / 2)
    if sums[middle] < wanted then low = middle + 1 else high = middle end
  end
  return texts[low]
end`;
}

/** Ranges of `length` bytes at random multiples of it, of one object of `size` bytes. */
export function rangeScript(path: string, size: number, length: number): string {
  return `
math.randomseed(1)
local count = ${Math.floor(size / length)}
request = function()
  local first = math.random(0, count - 1) * ${length}
  wrk.headers["Range"] = "bytes=" .. first .. "-" .. (first + ${length} - 1)
  return wrk.format("GET", "${path}")
end`;
}
