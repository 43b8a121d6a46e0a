// Apache Traffic Server over a file in place of its raw device, one event thread, its access log off.
// Each start has its own configuration directory; nothing of the installed one is read or written.

import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { freePort, startProgram, versionOf } from '../support/programs.js';
import type { RestartableSubject, Setup, Subject } from '../support/subject.js';

const version = (): string | null => versionOf('traffic_server', '-V', /Traffic Server (\d+\.\d+)/);

/** It refuses to serve as root: there it gets the user that its package made, or nobody. */
function userToServe(): string {
  if (process.getuid?.() !== 0) return userInfo().username;
  const users = readFileSync('/etc/passwd', 'utf8');
  return /^trafficserver:/m.test(users) ? 'trafficserver' : 'nobody';
}

const levelsAbove = 4;

/** Another user has to reach its directory: the benchmark's own ones above it let everybody pass through. */
function giveTo(user: string, directory: string): void {
  spawnSync('chown', ['-R', user, directory]);
  let path = dirname(directory);
  for (let level = 0; level < levelsAbove; level += 1, path = dirname(path)) {
    // What mkdtemp made for one user alone; nothing above it is ours to open.
    if (/^millrace-/.test(basename(path))) chmodSync(path, 0o711);
  }
}

function recordsText(setup: Setup, port: number): string {
  const { directory, memoryBytes } = setup;
  const values: readonly (readonly [string, 'INT' | 'STRING', string | number])[] = [
    ['exec_thread.autoconfig', 'INT', 0],
    ['exec_thread.limit', 'INT', 1],
    ['accept_threads', 'INT', 0],
    ['task_threads', 'INT', 1],
    ['cache.threads_per_disk', 'INT', 8],
    ['http.server_ports', 'STRING', `${port}:ip-in=127.0.0.1`],
    ['cache.ram_cache.size', 'INT', memoryBytes],
    // How often its directory is written: what came after the last time is lost by kill -9.
    ['cache.dir.sync_frequency', 'INT', 1],
    ['cache.ram_cache_cutoff', 'INT', 4 * 2 ** 20],
    // Readers may join a fill, and others wait for it, as its documentation says under read while write.
    ['cache.enable_read_while_writer', 'INT', 1],
    ['http.background_fill_active_timeout', 'INT', 0],
    ['http.cache.open_read_retry_time', 'INT', 10],
    ['http.cache.max_open_read_retries', 'INT', 500],
    ['http.cache.required_headers', 'INT', 2],
    ['http.keep_alive_enabled_out', 'INT', 1],
    // Listen only when what is stored can be served.
    ['http.wait_for_cache', 'INT', 1],
    ['log.logging_enabled', 'INT', 0],
    ['url_remap.remap_required', 'INT', 1],
    ['reverse_proxy.enabled', 'INT', 1],
    ['admin.user_id', 'STRING', userToServe()],
    ['log.logfile_dir', 'STRING', join(directory, 'log')],
    ['local_state_dir', 'STRING', join(directory, 'run')],
    ['config_dir', 'STRING', directory],
    ['hostdb.filename', 'STRING', join(directory, 'run', 'host.db')],
    ['diags.show_location', 'INT', 0],
  ];
  const lines = values.map(([name, kind, value]) => `CONFIG proxy.config.${name} ${kind} ${value}`);
  return `${lines.join('\n')}\n`;
}

function prepare(setup: Setup, port: number): void {
  const { directory, originPort, diskBytes } = setup;
  for (const name of ['log', 'run', 'cache']) mkdirSync(join(directory, name), { recursive: true });
  const write = (name: string, text: string): void => writeFileSync(join(directory, name), text);
  write('records.config', recordsText(setup, port));
  write('remap.config', `map http://127.0.0.1:${port}/ http://127.0.0.1:${originPort}/\n`);
  write('storage.config', `${join(directory, 'cache')} ${diskBytes}\n`);
  write(
    'ip_allow.yaml',
    'ip_allow:\n  - {apply: in, ip_addrs: 127.0.0.1, action: allow, methods: ALL}\n',
  );
  for (const name of ['plugin.config', 'cache.config', 'volume.config', 'hosting.config']) {
    write(name, '');
  }
  if (process.getuid?.() === 0) giveTo(userToServe(), directory);
}

async function running(name: string, setup: Setup, port: number): Promise<RestartableSubject> {
  const { directory, scope } = setup;
  const program = await startProgram({
    name,
    command: 'traffic_server',
    arguments: [],
    environment: {
      PROXY_CONFIG_CONFIG_DIR: directory,
      PROXY_CONFIG_LOCAL_STATE_DIR: join(directory, 'run'),
      PROXY_CONFIG_LOG_LOGFILE_DIR: join(directory, 'log'),
    },
    output: join(directory, 'trafficserver.out'),
    port,
    scope,
  });
  return {
    name,
    port,
    pid: program.pid,
    note: 'cache in a file',
    readyMs: program.readyMs,
    stop: program.stop,
    restart: async (how) => {
      await program.stop(how === 'kill' ? 'SIGKILL' : 'SIGTERM');
      return running(name, setup, port);
    },
  };
}

export const trafficServer: Subject = {
  rival: 'trafficserver',
  name: 'trafficserver',
  missing: () =>
    version() === null ? 'trafficserver is not installed: apt-get install trafficserver' : null,
  start: async (setup) => {
    const port = await freePort();
    prepare(setup, port);
    return running(`trafficserver ${version()}`, setup, port);
  },
};
