// test/vectors/serve.json against TypeScript: each head is put into a store as it stands, each request goes
// to a proxy over that store at the given time. What the file's rows mean is said in it. Native code that
// serves from the store has to give the same answers.

import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import type { Clock } from '../../../ts/clock.js';
import { loadConfig } from '../../../ts/config/load.js';
import { startProxy } from '../../../ts/proxy/proxy.js';
import { compileRoutes } from '../../../ts/proxy/routes.js';
import { encodeHead, type Head, headFlags } from '../../../ts/store/entry.js';
import { openStore } from '../../../ts/store/store.js';
import { openRaw } from '../../support/client.js';
import { until } from '../../support/until.js';

interface VectorHead {
  readonly status: number;
  readonly reason: string;
  readonly flags: readonly (keyof typeof headFlags)[];
  readonly initialAge: number;
  readonly freshUntil: number;
  readonly staleWhileRevalidateUntil: number;
  readonly staleIfErrorUntil: number;
  readonly bodyLength: number;
  readonly lastModified: number | null;
  readonly date: number;
  readonly etag: string;
  readonly fields: readonly string[];
}

interface Row {
  readonly title: string;
  readonly head: string;
  readonly now: number;
  readonly request: { readonly method: string; readonly fields: readonly string[] };
  readonly expect: {
    readonly from: 'store' | 'origin' | 'none';
    readonly status?: number;
    readonly fields?: Readonly<Record<string, string | readonly string[] | null>>;
    readonly body?: readonly [number, number] | null;
    readonly parts?: ReadonlyArray<readonly [number, number]>;
    readonly background?: boolean;
  };
}

// ava runs in the root of the package; not from the list of the checkout's files, which the mutator's copy
// does not have.
const vectors = JSON.parse(readFileSync('test/vectors/serve.json', 'utf8')) as {
  readonly base: number;
  readonly heads: Readonly<Record<string, VectorHead>>;
  readonly rows: readonly Row[];
};
const baseMs = vectors.base * 1000;
const mib = 1024 * 1024;

function storedHead(given: VectorHead): Head {
  const until = (ms: number) => (ms === 0 ? 0 : baseMs + ms);
  return {
    status: given.status,
    reason: given.reason,
    flags: given.flags.reduce((bits, name) => bits | headFlags[name], 0),
    responseMs: baseMs,
    initialAgeMs: given.initialAge,
    freshUntilMs: baseMs + given.freshUntil,
    staleWhileRevalidateUntilMs: until(given.staleWhileRevalidateUntil),
    staleIfErrorUntilMs: until(given.staleIfErrorUntil),
    bodyLength: given.bodyLength,
    lastModifiedS: given.lastModified,
    dateS: given.date,
    etag: given.etag,
    varyNames: [],
    tags: new Uint8Array(0),
    fields: given.fields,
  };
}

const bodyOf = (offset: number, length: number): string =>
  Array.from({ length }, (_, at) => (offset + at) % 10).join('');

/** What an origin says in these tests; never stored. */
const askedOrigin = 'asked';

async function startOver(t: ExecutionContext) {
  let asked = 0;
  const origin = createServer((_request, response) => {
    asked += 1;
    response.writeHead(203, { 'Cache-Control': 'no-store', 'X-Origin': askedOrigin });
    response.end(askedOrigin);
  });
  await once(origin.listen(0, '127.0.0.1'), 'listening');
  t.teardown(() => {
    origin.closeAllConnections();
    origin.close();
  });
  const { port } = origin.address() as AddressInfo;
  const input = { listen: '127.0.0.1:0', upstream_address: `127.0.0.1:${port}` };
  const { config } = loadConfig({ input: { ...input, enable_l2_cache: false }, env: {} });
  const store = await openStore({
    memoryLimit: 96 * mib,
    l1Budget: 24 * mib,
    indexMemoryLimit: mib,
    disk: { kind: 'none' },
    followerGraceMs: 10_000,
  });
  t.teardown(() => store.close());
  const time = { nowMs: baseMs };
  const clock: Clock = { now: () => time.nowMs, monotonic: () => performance.now() };
  const proxy = await startProxy({ config, store, clock });
  t.teardown(() => proxy.close(0));
  const { table } = compileRoutes(config);
  return {
    time,
    address: proxy.addresses[0]!,
    asked: () => asked,
    isIdle: () => {
      const { exchangesOpen, fillsOpen } = proxy.stats();
      return exchangesOpen === 0 && fillsOpen === 0;
    },
    put(target: string, head: Head) {
      const fill = store.beginFill(table.key(0, 'http', 'site.test', target));
      const { bodyLength } = head;
      const encoded = encodeHead(head);
      fill.begin({ head: encoded, bodyLength, store: true, varyNames: [], requestFields: [] });
      if (bodyLength! > 0) fill.append(Buffer.from(bodyOf(0, bodyLength!)));
      fill.finish();
      fill.close();
    },
  };
}

/** Head and body of one response that ends with its connection. */
async function ask(address: string, target: string, { method, fields }: Row['request']) {
  let text = `${method} ${target} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n`;
  for (let at = 0; at < fields.length; at += 2) text += `${fields[at]}: ${fields[at + 1]}\r\n`;
  const client = await openRaw(address);
  client.write(`${text}\r\n`);
  const answer = await client.ended();
  const end = answer.indexOf('\r\n\r\n');
  const lines = answer.slice(0, end).split('\r\n');
  return {
    status: Number(lines[0]!.split(' ')[1]),
    body: answer.slice(end + 4),
    lines: (name: string) =>
      lines
        .filter((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`))
        .map((line) => line.slice(name.length + 1).trim()),
  };
}

/** Content-Range and bytes, as a part of a multipart/byteranges has to have them. */
const partText = (bodyLength: number) => (range: readonly [number, number]) =>
  `bytes ${range[0]}-${range[0] + range[1] - 1}/${bodyLength} ${bodyOf(...range)}`;

function partsOf(answer: Awaited<ReturnType<typeof ask>>): string[] {
  const [type = ''] = answer.lines('Content-Type');
  const boundary = /^multipart\/byteranges; boundary=([^\s;"]+)$/.exec(type)?.[1] ?? 'none';
  const [first, ...parts] = `\r\n${answer.body}`.split(`\r\n--${boundary}`);
  if (first !== '' || parts.pop()?.trim() !== '--') return [`${type} does not frame the body`];
  return parts.map((part) => {
    const end = part.indexOf('\r\n\r\n');
    const range = /^content-range: (.*)\r?$/im.exec(part.slice(0, end))?.[1] ?? 'no range';
    return `${range} ${part.slice(end + 4)}`;
  });
}

test('vectors: every row of serve.json', async (t) => {
  t.timeout(60_000);
  const proxy = await startOver(t);
  t.true(vectors.rows.length > 150);
  for (const [number, row] of vectors.rows.entries()) {
    const { expect } = row;
    const say = (what: string) => `row ${number}, ${row.title}, head ${row.head}: ${what}`;
    const head = vectors.heads[row.head];
    if (head === undefined) throw new Error(say('no such head'));
    const target = `/${number}`;
    proxy.put(target, storedHead(head));
    proxy.time.nowMs = baseMs + row.now;
    const before = proxy.asked();
    const answer = await ask(proxy.address, target, row.request);
    await until('the end of the exchange', proxy.isIdle);
    const isAsked = expect.from === 'origin' || expect.background === true;
    t.is(proxy.asked() - before, isAsked ? 1 : 0, say('requests to the origin'));
    const isFromOrigin = answer.lines('X-Origin').length > 0;
    t.is(isFromOrigin, expect.from === 'origin', say('comes from the origin'));
    if (expect.from === 'origin') continue;
    t.is(answer.status, expect.status ?? 200, say('status'));
    for (const [name, wanted] of Object.entries(expect.fields ?? {})) {
      const lines = wanted === null ? [] : typeof wanted === 'string' ? [wanted] : wanted;
      t.deepEqual(answer.lines(name), lines, say(name));
    }
    if (expect.from === 'none') continue;
    const wanted = expect.body == null ? '' : bodyOf(...expect.body);
    const { parts } = expect;
    if (parts === undefined) t.is(answer.body, wanted, say('body'));
    else t.deepEqual(partsOf(answer), parts.map(partText(head.bodyLength)), say('parts'));
  }
});

test('vectors: every head is used, and rows have titles of their own', (t) => {
  const used = new Set(vectors.rows.map(({ head }) => head));
  t.deepEqual([...used].sort(), Object.keys(vectors.heads).sort());
  const titles = vectors.rows.map(({ title }) => title);
  t.is(new Set(titles).size, titles.length);
});
