// docs/reference/nginx-transcript.md: curl, millrace and a real nginx as origin, step by step; each step says
// what must come of it and throws where it does not. Time is the machine's plus what the sequence lets
// pass, because nginx writes dates of its own. As a program with the argument `write` it writes the file.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../ts/clock.js';
import { loadConfig } from '../../ts/config/load.js';
import { startProxy } from '../../ts/proxy/proxy.js';
import { openStore } from '../../ts/store/store.js';
import { type Sequence, type Step, sequences } from './nginx-sequences.js';
import { repositoryRoot } from './root.js';
import { until } from './until.js';

export const transcriptPath = 'docs/reference/nginx-transcript.md';

const searchPath = `${process.env.PATH ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`;
const env = { ...process.env, PATH: searchPath };
const mib = 1024 * 1024;

/** What is missing; empty: the transcript can be played. */
export function missingPrograms(): string[] {
  return ['nginx', 'curl'].filter(
    (name) => spawnSync(name, [name === 'nginx' ? '-v' : '--version'], { env }).error !== undefined,
  );
}

interface Origin {
  readonly port: number;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Lines of its access log so far. */
  log(): string[];
}

function originIn(directory: string, port: number): Origin {
  const root = join(directory, 'root');
  mkdirSync(join(directory, 'temp'));
  mkdirSync(root);
  const logPath = join(directory, 'access.log');
  writeFileSync(logPath, '');
  for (const [name, text] of [
    ['page.txt', 'The first page.\n'],
    ['digits.txt', '0123456789'],
  ] as const) {
    writeFileSync(join(root, name), text);
    // 2024-01-01T00:00:00Z: nginx makes ETag and Last-Modified of time and size.
    utimesSync(join(root, name), 1_704_067_200, 1_704_067_200);
  }
  writeFileSync(join(directory, 'nginx.conf'), configText(directory, port));
  let child: ReturnType<typeof spawn> | null = null;
  const conf = ['-p', directory, '-c', join(directory, 'nginx.conf')];
  return {
    port,
    log: () => readFileSync(logPath, 'utf8').split('\n').filter(Boolean),
    async start() {
      child = spawn('nginx', conf, { env, stdio: 'ignore' });
      const program = child;
      await untilListening(port, () => program.exitCode !== null);
    },
    async stop() {
      if (child === null || child.exitCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}

function configText(directory: string, port: number): string {
  const long = 'add_header Cache-Control "max-age=60";';
  return [
    ...(process.getuid?.() === 0 ? ['user root;'] : []),
    'daemon off; worker_processes 1;',
    `pid ${directory}/nginx.pid; error_log ${directory}/error.log;`,
    'events { worker_connections 64; }',
    'http {',
    'server_tokens off; default_type text/plain;',
    ...['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (kind) => `${kind}_temp_path ${directory}/temp;`,
    ),
    'log_format asked "$request_method $request_uri -> $status"',
    '  " inm=$http_if_none_match ims=$http_if_modified_since range=$http_range";',
    `access_log ${directory}/access.log asked;`,
    `server { listen 127.0.0.1:${port}; root ${directory}/root;`,
    `location / { ${long} }`,
    `location = /post.txt { if ($request_method = POST) { return 204; } ${long}`,
    '  return 200 "posted $request_id\\n"; }',
    `location = /vary.txt { ${long} add_header Vary X-Kind; return 200 "kind $http_x_kind\\n"; }`,
    'location = /behind.txt { rewrite ^ /page.txt break;',
    '  add_header Cache-Control "max-age=60, stale-while-revalidate=60"; }',
    'location = /strict.txt { rewrite ^ /page.txt break;',
    '  add_header Cache-Control "max-age=60, must-revalidate"; }',
    'location = /private.txt { add_header Cache-Control "private, max-age=60";',
    '  return 200 "yours $request_id\\n"; }',
    '} }',
  ].join('\n');
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function untilListening(port: number, hasEnded: () => boolean): Promise<void> {
  let isThere = false;
  const look = () => {
    const probe = connect(port, '127.0.0.1');
    probe.once('connect', () => {
      isThere = true;
      probe.destroy();
    });
    probe.once('error', () => setImmediate(look));
  };
  look();
  await until('nginx', () => isThere || hasEnded());
  if (!isThere) throw new Error(`nginx did not start on port ${port}`);
}

async function curl(address: string, step: Step & { kind: 'curl' }): Promise<string> {
  const { host } = new URL(address);
  const words = ['-sS', '-i', '--max-time', '20', '--connect-to', `site.test:80:${host}`];
  const child = spawn('curl', [...words, ...step.options, `http://site.test${step.target}`], {
    env,
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('latin1');
    stream.on('data', (part: string) => {
      text += part;
    });
  }
  await once(child, 'close');
  return text;
}

/** What differs from run to run: dates, the process's name, and seconds to the nearest ten. */
function steady(text: string): string {
  const tens = (seconds: string) => `${Math.round(Number(seconds) / 10) * 10}`;
  return text
    .replaceAll('\r', '')
    .replace(/^Date: .*$/gm, 'Date: (now)')
    .replace(/^Age: (\d+)$/gm, (_, seconds: string) => `Age: ${tens(seconds)}`)
    .replace(/\bttl=(-?\d+)/g, (_, seconds: string) => `ttl=${tens(seconds)}`)
    .replace(/millrace-[0-9a-f]+/g, 'millrace-(id)')
    .replace(/\b[0-9a-f]{32}\b/g, '(id)')
    .replace(/127\.0\.0\.1:\d+/g, '(origin)')
    .replace(/^Server: nginx.*$/gm, 'Server: nginx');
}

function judge(step: Step & { kind: 'curl' }, answer: string): void {
  const status = Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);
  const cache = /^X-Cache: (\w+)\r?$/m.exec(answer)?.[1];
  const { gives } = step;
  if (status !== gives.status || cache !== gives.cache) {
    throw new Error(`${step.target}: ${status} ${cache}, not ${gives.status} ${gives.cache}`);
  }
  const body = answer.slice(answer.indexOf('\r\n\r\n') + 4);
  if (gives.body !== undefined && body !== gives.body) {
    throw new Error(`${step.target}: the body was ${JSON.stringify(body)}`);
  }
}

/** The whole document. Rejects at the first step that comes out otherwise. */
export async function playTranscript(): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-nginx-'));
  const origin = originIn(directory, await freePort());
  // nginx has a clock of its own, which does not go on when ours does. So ours begins behind it: a Date ahead
  // of the clock makes no response older or younger.
  let passedMs = -3600_000;
  const clock = {
    now: () => systemClock.now() + passedMs,
    monotonic: () => systemClock.monotonic() + passedMs,
  };
  const input = { listen: '127.0.0.1:0', upstream_address: `127.0.0.1:${origin.port}` };
  const { config } = loadConfig({ input: { ...input, enable_l2_cache: false }, env: {} });
  const store = await openStore({
    memoryLimit: 96 * mib,
    l1Budget: 24 * mib,
    indexMemoryLimit: mib,
    disk: { kind: 'none' },
    followerGraceMs: 10_000,
  });
  const proxy = await startProxy({ config, store, clock });
  const isIdle = () => {
    const { exchangesOpen, fillsOpen } = proxy.stats();
    return exchangesOpen === 0 && fillsOpen === 0;
  };
  const take = async (step: Step): Promise<string[]> => {
    if (step.kind === 'wait') {
      passedMs += step.seconds * 1000;
      return [`(${step.seconds} seconds pass)`, ''];
    }
    if (step.kind === 'nginx') {
      await origin[step.does]();
      return [`(nginx ${step.does === 'stop' ? 'is stopped' : 'is started again'})`, ''];
    }
    const before = origin.log().length;
    const answer = await curl(proxy.addresses[0]!, step);
    judge(step, answer);
    const { asked = [] } = step;
    // nginx writes its line when the response is through, which the client may see first.
    await until('the log of nginx', () => isIdle() && origin.log().length >= before + asked.length);
    const lines = origin.log().slice(before);
    if (lines.length !== asked.length || lines.some((line, at) => !line.startsWith(asked[at]!))) {
      throw new Error(`${step.target}: nginx was asked ${JSON.stringify(lines)}`);
    }
    return [commandOf(step), ...steady(answer).trimEnd().split('\n'), ...lines.map(originLine), ''];
  };
  try {
    await origin.start();
    const parts: string[] = [...opening];
    for (const sequence of sequences) parts.push(...(await played(sequence, take)));
    return `${parts.join('\n').trimEnd()}\n`;
  } finally {
    await proxy.close(0);
    await store.close();
    await origin.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

const opening = [
  '# nginx as origin, seen with curl',
  '',
  'A real nginx behind millrace, a real curl before it. Made by',
  '`npm run build:test && node build/test/support/nginx-transcript.js write`; a test plays it again',
  'and compares. Lines that begin with `nginx:` are what the origin was asked, from its log; where',
  'there is none, it was not asked. What differs from run to run is replaced: dates, ids, and seconds',
  'by the nearest ten.',
  '',
];

async function played(
  { title, what, steps }: Sequence,
  take: (step: Step) => Promise<string[]>,
): Promise<string[]> {
  const lines: string[] = [];
  for (const step of steps) lines.push(...(await take(step)));
  return [`## ${title}`, '', what, '', '```', ...lines.slice(0, -1), '```', ''];
}

function commandOf({ target, options }: Step & { kind: 'curl' }): string {
  const words = options.map((word) => (/^[\w:/.-]+$/.test(word) ? word : `'${word}'`));
  return ['$ curl -i', ...words, `http://site.test${target}`].join(' ');
}

function originLine(line: string): string {
  return `nginx: ${line.replace(/ \w+=-(?= |$)/g, '')}`;
}

if (process.argv[1]?.endsWith('nginx-transcript.js') && process.argv[2] === 'write') {
  void playTranscript().then((text) => writeFileSync(join(repositoryRoot(), transcriptPath), text));
}
