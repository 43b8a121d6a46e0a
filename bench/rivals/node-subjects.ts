// The subjects that are Node programs: the download-first baseline, a bare pipe, undici's cache,
// http-proxy-middleware, and a plain server. All come with npm, so none of them is ever missing.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../../test/support/root.js';
import { startNodeChild } from '../support/node-child.js';
import type { Subject } from '../support/subject.js';
import type { NodeArguments, NodeKind, NodeReady } from './node-process.js';

interface Told {
  readonly kind: NodeKind;
  readonly name: string;
  readonly rival: string | null;
  /** npm package whose version belongs to the name. */
  readonly from?: string;
  readonly note?: string;
}

/** Of the installed package: major and minor. */
function versionOfPackage(name: string): string {
  const path = join(repositoryRoot(), 'node_modules', name, 'package.json');
  const { version } = JSON.parse(readFileSync(path, 'utf8')) as { version: string };
  return version.split('.').slice(0, 2).join('.');
}

function nodeSubject({ kind, name, rival, from, note }: Told): Subject {
  return {
    rival,
    name,
    missing: () => null,
    start: async ({ scope, originPort, memoryBytes }) => {
      const given: NodeArguments = { kind, originPort, memoryBytes };
      const child = await startNodeChild<never, NodeReady>({
        name,
        script: new URL('./node-process.js', import.meta.url),
        arguments: [JSON.stringify(given)],
        cores: 'subject',
        scope,
      });
      return {
        name: from === undefined ? name : `${name} ${versionOfPackage(from)}`,
        port: child.ready.port,
        pid: child.pid,
        ...(note === undefined ? {} : { note }),
        stop: child.stop,
      };
    },
  };
}

export const simple = nodeSubject({
  kind: 'simple',
  name: 'simple proxy',
  rival: null,
  note: 'downloads first, answers then, keeps nothing',
});

export const plain = nodeSubject({
  kind: 'plain',
  name: 'node:http',
  rival: 'node-http',
  note: 'no proxy: a server with the bodies in memory',
});

export const undiciPipe = nodeSubject({
  kind: 'undici-pipe',
  name: 'undici pipe',
  rival: 'undici-pipe',
  from: 'undici',
  note: 'keeps nothing',
});

export const undiciCache = nodeSubject({
  kind: 'undici-cache',
  name: 'undici cache',
  rival: 'undici-cache',
  from: 'undici',
  note: 'storage in memory',
});

export const httpProxyMiddleware = nodeSubject({
  kind: 'http-proxy-middleware',
  name: 'http-proxy-middleware',
  rival: 'http-proxy-middleware',
  from: 'http-proxy-middleware',
  note: 'keeps nothing',
});
