// Varnish, with its storage in memory as its documentation recommends, or in a file where a suite stores
// more than memory should hold. Streaming and coalescing are what it does without being told. Nothing of
// either storage survives a restart.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, startProgram, versionOf } from '../support/programs.js';
import type { Setup, Subject } from '../support/subject.js';

const version = (): string | null => versionOf('varnishd', '-V', /varnish-(\d+\.\d+)/);

/** Varnish reserves this for objects that live for a moment. */
const transientBytes = 64 * 2 ** 20;

function vclText(originPort: number): string {
  return [
    'vcl 4.1;',
    `backend origin { .host = "127.0.0.1"; .port = "${originPort}"; }`,
    'sub vcl_deliver {',
    '  if (obj.hits > 0) { set resp.http.X-Cache = "HIT"; }',
    '  else { set resp.http.X-Cache = "MISS"; }',
    '}',
    '',
  ].join('\n');
}

function storageOf(storage: 'memory' | 'file', setup: Setup): string {
  if (storage === 'memory') return `objects=malloc,${setup.memoryBytes}b`;
  return `objects=file,${join(setup.directory, 'varnish.bin')},${setup.diskBytes}b`;
}

export function varnish(storage: 'memory' | 'file'): Subject {
  return {
    rival: 'varnish',
    name: 'varnish',
    missing: () =>
      version() === null ? 'varnish is not installed: apt-get install varnish' : null,
    start: async (setup) => {
      const port = await freePort();
      const { directory, originPort } = setup;
      const vcl = join(directory, 'varnish.vcl');
      writeFileSync(vcl, vclText(originPort));
      const name = `varnish ${version()}`;
      const program = await startProgram({
        name,
        command: 'varnishd',
        arguments: [
          ...['-F', '-j', 'none', '-n', join(directory, 'varnish')],
          ...['-a', `127.0.0.1:${port}`, '-f', vcl],
          ...['-s', storageOf(storage, setup), '-s', `Transient=malloc,${transientBytes}b`],
          ...['-p', 'thread_pools=1', '-p', 'thread_pool_min=64', '-p', 'thread_pool_max=1000'],
        ],
        output: join(directory, 'varnish.out'),
        port,
        scope: setup.scope,
      });
      const note =
        storage === 'memory'
          ? 'storage in memory (malloc)'
          : 'storage in a file, mapped into its memory';
      return { name, port, pid: program.pid, note, stop: () => program.stop() };
    },
  };
}
