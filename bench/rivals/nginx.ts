// nginx with proxy_cache, whole objects or slices of 1 MiB. By its documentation: one worker, sendfile,
// threads for the disk, no temporary copies beside the cache, kept connections to the origin, cache lock
// with waits as long as the transfers take.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, startProgram, versionOf } from '../support/programs.js';
import type { RestartableSubject, Setup, Subject } from '../support/subject.js';

const version = (): string | null => versionOf('nginx', '-v', /nginx\/(\d+\.\d+)/);

/** Cache keys are at most about 8,000 in a megabyte. */
const zone = '16m';

function locationLines(slices: boolean): string[] {
  const common = [
    'proxy_pass http://origin;',
    'proxy_http_version 1.1;',
    'proxy_set_header Connection "";',
    'proxy_cache objects;',
    'proxy_cache_lock on;',
    'proxy_cache_lock_age 1h;',
    'proxy_cache_lock_timeout 1h;',
    'proxy_buffers 16 64k;',
    'proxy_buffer_size 64k;',
    'proxy_busy_buffers_size 256k;',
    'add_header X-Cache $upstream_cache_status;',
  ];
  if (!slices) return [...common, 'proxy_cache_key $request_uri;'];
  return [
    ...common,
    'slice 1m;',
    'proxy_cache_key $request_uri$slice_range;',
    'proxy_set_header Range $slice_range;',
    'proxy_cache_valid 200 206 1h;',
  ];
}

function configText(setup: Setup, port: number, slices: boolean): string {
  const { directory, diskBytes, originPort } = setup;
  return [
    // The workers have to reach a directory that belongs to whoever runs this.
    ...(process.getuid?.() === 0 ? ['user root;'] : []),
    'worker_processes 1;',
    'daemon off;',
    `pid ${directory}/nginx.pid;`,
    `error_log ${directory}/error.log warn;`,
    'worker_rlimit_nofile 65536;',
    'events { worker_connections 8192; }',
    'http {',
    'access_log off; sendfile on; tcp_nopush off; aio threads; server_tokens off;',
    'keepalive_requests 1000000000; default_type application/octet-stream;',
    'open_file_cache max=20000 inactive=1h; open_file_cache_valid 1h;',
    ...['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (kind) => `${kind}_temp_path ${directory}/temp;`,
    ),
    `proxy_cache_path ${directory}/cache levels=1:2 keys_zone=objects:${zone}`,
    `  max_size=${diskBytes} inactive=1d use_temp_path=off;`,
    `upstream origin { server 127.0.0.1:${originPort}; keepalive 64; keepalive_requests 1000000000; }`,
    'server {',
    `listen 127.0.0.1:${port} backlog=1024;`,
    'location / {',
    ...locationLines(slices),
    '} } }',
    '',
  ].join('\n');
}

async function running(name: string, setup: Setup, port: number): Promise<RestartableSubject> {
  const program = await startProgram({
    name,
    command: 'nginx',
    arguments: ['-p', setup.directory, '-c', join(setup.directory, 'nginx.conf')],
    output: join(setup.directory, 'nginx.out'),
    port,
    scope: setup.scope,
  });
  return {
    name,
    port,
    pid: program.pid,
    readyMs: program.readyMs,
    stop: (signal = 'SIGQUIT') => program.stop(signal),
    restart: async (how) => {
      await program.stop(how === 'kill' ? 'SIGKILL' : 'SIGQUIT');
      return running(name, setup, port);
    },
  };
}

function nginxSubject(slices: boolean): Subject {
  const words = slices ? ' slice' : '';
  return {
    rival: `nginx${words.replace(' ', '-')}`,
    name: `nginx${words}`,
    missing: () => (version() === null ? 'nginx is not installed: apt-get install nginx' : null),
    start: async (setup) => {
      const port = await freePort();
      mkdirSync(join(setup.directory, 'cache'), { recursive: true });
      writeFileSync(join(setup.directory, 'nginx.conf'), configText(setup, port, slices));
      return running(`nginx ${version()}${words}`, setup, port);
    },
  };
}

export const nginx = nginxSubject(false);
export const nginxSlice = nginxSubject(true);
