// The process in which a proxy written in JavaScript runs: one of the kinds below, in front of the origin
// whose port it is told. It says its own port over fork()'s channel and ends when that channel does.

import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { simpleProxy } from '../simple-proxy.js';
import { httpProxyMiddleware } from './http-proxy-middleware.js';
import { plainServer } from './plain-server.js';
import { undiciCache } from './undici-cache.js';
import { undiciPipe } from './undici-pipe.js';

export type NodeKind =
  | 'simple'
  | 'undici-pipe'
  | 'undici-cache'
  | 'http-proxy-middleware'
  | 'plain';

export interface NodeArguments {
  readonly kind: NodeKind;
  readonly originPort: number;
  readonly memoryBytes: number;
}

export interface NodeReady {
  readonly port: number;
}

const listeners: Readonly<Record<NodeKind, (given: NodeArguments) => RequestListener>> = {
  simple: ({ originPort }) => simpleProxy(originPort),
  'undici-pipe': ({ originPort }) => undiciPipe(originPort),
  'undici-cache': ({ originPort, memoryBytes }) => undiciCache(originPort, memoryBytes),
  'http-proxy-middleware': ({ originPort }) => httpProxyMiddleware(originPort),
  plain: () => plainServer(),
};

function main(text: string): void {
  const given = JSON.parse(text) as NodeArguments;
  const server = createServer(listeners[given.kind](given));
  process.on('disconnect', () => process.exit(0));
  server.listen({ host: '127.0.0.1', port: 0, backlog: 1024 }, () => {
    const ready: NodeReady = { port: (server.address() as AddressInfo).port };
    process.send?.(ready);
  });
}

main(process.argv[2] ?? '{}');
