// HAProxy: its small-object cache, which lives in shared memory, or none at all and only streaming. By its
// management guide and manual: one thread, kept connections on both sides and shared by all clients, a
// buffer that takes head and body of a small object in one piece, kernel splicing for large bodies.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, startProgram, versionOf } from '../support/programs.js';
import type { Setup, Subject } from '../support/subject.js';

const version = (): string | null => versionOf('haproxy', '-v', /version (\d+\.\d+)/);

const mib = 2 ** 20;
/** total-max-size counts in MiB and takes at most this. */
const cacheMibMax = 4095;
/** 16 KiB of body and its head in one buffer; the default holds 16 KiB of both. */
const bufferBytes = 32 * 1024;
const secondsKept = 86_400;
/** Many more than any suite has; each takes descriptors, and it refuses to start where there are too few. */
const connectionsMax = 4096;

function cacheLines(memoryBytes: number): string[] {
  const total = Math.min(cacheMibMax, Math.max(1, Math.floor(memoryBytes / mib)));
  return [
    'cache objects',
    `  total-max-size ${total}`,
    // "must not be greater than an half of total-max-size": the most that it allows.
    `  max-object-size ${(total * mib) / 2}`,
    `  max-age ${secondsKept}`,
    '  process-vary off',
  ];
}

function configText(setup: Setup, port: number, caches: boolean): string {
  return [
    'global',
    '  nbthread 1',
    `  maxconn ${connectionsMax}`,
    `  tune.bufsize ${bufferBytes}`,
    'defaults',
    '  mode http',
    '  timeout connect 10s',
    '  timeout client 300s',
    '  timeout server 300s',
    '  option splice-auto',
    '  http-reuse always',
    ...(caches ? cacheLines(setup.memoryBytes) : []),
    'frontend clients',
    `  bind 127.0.0.1:${port} backlog 1024`,
    ...(caches ? ['  http-request cache-use objects', '  http-response cache-store objects'] : []),
    '  default_backend origin',
    'backend origin',
    `  server origin 127.0.0.1:${setup.originPort}`,
    '',
  ].join('\n');
}

/** `cache`: what fits is kept in memory. `stream`: nothing is kept, bodies only pass. */
export function haproxy(how: 'cache' | 'stream'): Subject {
  return {
    rival: 'haproxy',
    name: 'haproxy',
    missing: () =>
      version() === null ? 'haproxy is not installed: apt-get install haproxy' : null,
    start: async (setup) => {
      const port = await freePort();
      const file = join(setup.directory, 'haproxy.cfg');
      writeFileSync(file, configText(setup, port, how === 'cache'));
      const name = `haproxy ${version()}`;
      const program = await startProgram({
        name,
        command: 'haproxy',
        // In the foreground and without a master: the pid is the one that works.
        arguments: ['-db', '-f', file],
        output: join(setup.directory, 'haproxy.out'),
        port,
        scope: setup.scope,
      });
      const note = how === 'cache' ? 'cache in memory, for small objects' : 'keeps nothing';
      return { name, port, pid: program.pid, note, stop: program.stop };
    },
  };
}
