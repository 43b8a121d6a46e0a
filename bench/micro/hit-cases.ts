// Whole exchanges of hits without sockets: all steps of a request from Node's parser to the header list that
// is given back to Node, over a store in memory. What is measured is the policy of a hit and nothing else.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { systemClock } from '../../ts/clock.js';
import { loadConfig } from '../../ts/config/load.js';
import { InternalError } from '../../ts/errors.js';
import { BackOff } from '../../ts/proxy/back-off.js';
import { newExchange, runExchange } from '../../ts/proxy/exchange.js';
import { FillTable } from '../../ts/proxy/fill-table.js';
import { Prefetcher } from '../../ts/proxy/prefetch.js';
import { compileRoutes } from '../../ts/proxy/routes.js';
import { type Services, zeroCounters } from '../../ts/proxy/services.js';
import type { CacheStore } from '../../ts/store/contract.js';
import { systemTimers } from '../../ts/upstream/timers.js';
import type { MicroCase } from './benny.js';
import { requestFields } from './samples.js';

/** `urls` are stored and fresh. Nobody else is asked: there is no upstream. */
export function hitCases(store: CacheStore, urls: readonly string[]): MicroCase[] {
  const input = { upstream_address: '127.0.0.1:1', listen: '127.0.0.1:0', enable_l2_cache: false };
  const { config } = loadConfig({ input, env: {} });
  const services: Services = {
    config,
    store,
    routes: compileRoutes(config),
    upstreams: new Map(),
    fills: new FillTable(systemClock, 0),
    backOff: new BackOff(systemClock),
    clock: systemClock,
    timers: systemTimers,
    counters: zeroCounters(),
    prefetcher: new Prefetcher(config.routes),
    pseudonym: 'millrace-0a1b2c3d',
    trusted: null,
  };
  let call = 0;
  const ask = (fields: readonly string[], wanted: number) => () => {
    const url = new Message(urls[call++ % urls.length]!, fields);
    const response = new Sink();
    const exchange = newExchange(
      services,
      url as unknown as IncomingMessage,
      response as unknown as ServerResponse,
      false,
    );
    runExchange(exchange);
    if (response.status !== wanted) {
      throw new InternalError('INTERNAL', `a hit was answered with ${response.status}`);
    }
    return response.fields;
  };
  const condition = ['If-None-Match', '"5f2b51ca-3c0f1"'];
  return [
    { name: 'lookup to head: HEAD, 200', unit: 'ns', run: ask(requestFields, 200) },
    {
      name: 'lookup to head: HEAD with a tag, 304',
      unit: 'ns',
      run: ask([...requestFields, ...condition], 304),
    },
  ];
}

/** A request as Node's parser gives it. */
class Message {
  readonly method = 'HEAD';
  readonly httpVersion = '1.1';
  readonly httpVersionMajor = 1;
  readonly httpVersionMinor = 1;
  readonly complete = true;
  readonly socket = { destroyed: false };
  readonly headers: { readonly host: string };
  readonly url: string;
  readonly rawHeaders: readonly string[];

  constructor(url: string, rawHeaders: readonly string[]) {
    const { host, pathname, search } = split(url);
    this.headers = { host };
    this.url = pathname + search;
    this.rawHeaders = rawHeaders;
  }
}

const known = new Map<string, URL>();

function split(url: string): URL {
  let parsed = known.get(url);
  if (parsed === undefined) {
    parsed = new URL(url);
    known.set(url, parsed);
  }
  return parsed;
}

/** What would write the head to a socket. */
class Sink {
  readonly destroyed = false;
  readonly headersSent = false;
  shouldKeepAlive = true;
  status = 0;
  fields: readonly string[] = [];

  writeHead(status: number, _reason: string, fields: readonly string[]): void {
    this.status = status;
    this.fields = fields;
  }

  end(): void {}
}
