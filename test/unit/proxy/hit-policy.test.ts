// What a hit costs beside its body: nothing of what is stored is read as text again. The fields of the stored
// head count every look at them; after the first answers there is none.

import type { IncomingMessage, ServerResponse } from 'node:http';
import test from 'ava';
import type { Clock } from '../../../ts/clock.js';
import { loadConfig } from '../../../ts/config/load.js';
import { BackOff } from '../../../ts/proxy/back-off.js';
import { newExchange, runExchange } from '../../../ts/proxy/exchange.js';
import { FillTable } from '../../../ts/proxy/fill-table.js';
import { Prefetcher } from '../../../ts/proxy/prefetch.js';
import { compileRoutes } from '../../../ts/proxy/routes.js';
import { type Services, zeroCounters } from '../../../ts/proxy/services.js';
import type { CacheStore, StoredObject } from '../../../ts/store/contract.js';
import { type Head, headFlags } from '../../../ts/store/entry.js';
import { systemTimers } from '../../../ts/upstream/timers.js';

const clock: Clock = { now: () => 1_800_000_000_000, monotonic: () => 0 };

const stored = [
  'Date',
  'Fri, 15 Jan 2027 08:00:00 GMT',
  'Cache-Control',
  'public, max-age=600, immutable',
  'Age',
  '5',
  'ETag',
  '"a"',
  'Last-Modified',
  'Tue, 05 Jan 2027 10:11:12 GMT',
  'Cache-Status',
  'inner; hit',
  'Via',
  '1.1 inner',
  'Connection',
  'X-Gone',
  'X-Gone',
  '1',
];

function headOver(fields: readonly string[]): Head {
  const now = clock.now();
  return {
    status: 200,
    flags: headFlags.strongValidator | headFlags.immutable,
    responseMs: now,
    initialAgeMs: 5000,
    freshUntilMs: now + 600_000,
    staleWhileRevalidateUntilMs: 0,
    staleIfErrorUntilMs: 0,
    bodyLength: 1024,
    lastModifiedS: 1_799_143_872,
    dateS: 1_800_000_000,
    etag: '"a"',
    varyNames: [],
    tags: new Uint8Array(0),
    fields,
    reason: 'OK',
  };
}

/** Every request finds this head. */
function servicesOver(head: Head): Services {
  const object = {
    key: 'http://site.test/a',
    head,
    tier: 'memory',
    purgeState: () => 'kept',
    covers: () => true,
    close() {},
  } as unknown as StoredObject;
  const store = { lookup: () => ({ kind: 'object', object, variants: null }) };
  const input = { upstream_address: 'a.example:1', enable_l2_cache: false };
  const { config } = loadConfig({ input, env: {} });
  return {
    config,
    store: store as unknown as CacheStore,
    routes: compileRoutes(config),
    upstreams: new Map(),
    fills: new FillTable(clock, 0),
    backOff: new BackOff(clock),
    clock,
    timers: systemTimers,
    counters: zeroCounters(),
    prefetcher: new Prefetcher(config.routes),
    pseudonym: 'millrace-test',
    trusted: null,
  };
}

interface Sent {
  status: number;
  fields: readonly string[];
}

function ask(services: Services, ...lines: readonly string[]): Sent {
  const request = {
    method: 'HEAD',
    url: '/a',
    httpVersion: '1.1',
    httpVersionMajor: 1,
    httpVersionMinor: 1,
    complete: true,
    socket: { destroyed: false },
    headers: { host: 'site.test' },
    rawHeaders: ['Host', 'site.test', 'Accept-Encoding', 'gzip', ...lines],
  };
  const sent: Sent = { status: 0, fields: [] };
  const response = {
    destroyed: false,
    headersSent: false,
    end() {},
    writeHead(status: number, _reason: string, fields: readonly string[]) {
      Object.assign(sent, { status, fields });
    },
  };
  const [asked, answered] = [request, response] as unknown as [IncomingMessage, ServerResponse];
  runExchange(newExchange(services, asked, answered, false));
  return sent;
}

test('hit: the fields of a stored head are read once, however often it is served', (t) => {
  let reads = 0;
  const fields = new Proxy(stored, {
    get(target, name, receiver) {
      reads += 1;
      return Reflect.get(target, name, receiver);
    },
  });
  const services = servicesOver(headOver(fields));
  const first = ask(services);
  t.is(first.status, 200);
  t.true(first.fields.includes('"a"'));
  t.false(first.fields.includes('X-Gone'));
  const condition = ['If-None-Match', '"a"'];
  t.is(ask(services, ...condition).status, 304);
  t.true(reads > 0);
  reads = 0;
  for (let at = 0; at < 10; at += 1) {
    t.deepEqual(ask(services).fields, first.fields);
    t.is(ask(services, ...condition).status, 304);
    t.is(ask(services, 'Range', 'bytes=0-1').status, 200, 'a range concerns GET alone');
  }
  t.is(reads, 0);
  t.is(services.counters.hits, 32);
});
