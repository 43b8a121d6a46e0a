// What the outside verifier of the kill loop knows: objects whose origin gives each version a body of its
// own, which version may be served since when, and whether bytes are those of the version that the head
// names. Nothing here asks the proxy anything.

import { Buffer } from 'node:buffer';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const kib = 1024;
const mib = 1024 * kib;

/** Around every border of the format: grains, blocks, pages, chunks. */
const lengths = [
  ...[0, 1, 511, 512, 513, 4095, 4096, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, 70_000],
  ...[0, 100, 3000, 20_000, 30_000, 100_000, 250_000, 400_000],
  ...[mib - 1, mib, mib + 1, 2 * mib, 2 * mib + 17, 3_500_001],
];

export const host = 'cache.test';
export const groups = 8;

/** The same numbers for one seed; between 0 and 1. */
export type Random = () => number;

export function randomOf(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function below(random: Random, limit: number): number {
  return Math.floor(random() * limit);
}

function mix(value: number): number {
  const mixed = Math.imul(value ^ (value >>> 16), 0x45d9f3b);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}

function lengthOf(id: number, version: number): number {
  return lengths[mix(id * 4099 + version) % lengths.length]!;
}

/**
 * Every 16 bytes name the version that they are of and their place in it. Those of even objects cannot be
 * compressed, those of odd ones can.
 */
function makeBody(id: number, version: number): Buffer {
  const length = lengthOf(id, version);
  const words = new Uint32Array(Math.ceil(length / 16) * 4);
  const seed = mix(id * 65_537 + version + 1);
  const isPlain = id % 2 === 1;
  for (let at = 0; at < words.length; at += 1) {
    const named = at % 4 === 0 ? at / 4 : seed;
    words[at] = isPlain ? named : Math.imul(at + 1, 0x9e3779b1) ^ Math.imul(seed, 0x85ebca6b);
  }
  return Buffer.from(words.buffer, 0, length);
}

interface Known {
  /** What the origin answers with now. */
  version: number;
  /** The lowest that an answer to a request from now on may have: purges that were acknowledged. */
  floor: number;
  /** The same with unsafe methods, which are promised to this life of the process alone. */
  lifeFloor: number;
}

export class VersionedObjects {
  readonly #known: Known[];
  readonly #bodies = new Map<string, Buffer>();
  #bodyBytes = 0;

  constructor(readonly count: number) {
    this.#known = Array.from({ length: count }, () => ({ version: 1, floor: 1, lifeFloor: 1 }));
  }

  known(id: number): Readonly<Known> {
    return this.#known[id]!;
  }

  pathOf(id: number): string {
    return `/g${id % groups}/o${id}`;
  }

  /** The origin has something new under these objects, from now on. */
  change(ids: readonly number[]): void {
    for (const id of ids) this.#known[id]!.version += 1;
  }

  /** What was current when `versions` were taken is gone for good. */
  purged(ids: readonly number[], versions: readonly number[]): void {
    for (const [at, id] of ids.entries()) {
      const known = this.#known[id]!;
      known.floor = Math.max(known.floor, versions[at]!);
      known.lifeFloor = Math.max(known.lifeFloor, known.floor);
    }
  }

  invalidated(id: number, version: number): void {
    const known = this.#known[id]!;
    known.lifeFloor = Math.max(known.lifeFloor, version);
  }

  newLife(): void {
    for (const known of this.#known) known.lifeFloor = known.floor;
  }

  body(id: number, version: number): Buffer {
    const name = `${id}-${version}`;
    let body = this.#bodies.get(name);
    if (body === undefined) {
      body = makeBody(id, version);
      this.#bodies.set(name, body);
      this.#bodyBytes += body.length;
      for (const [oldest, { length }] of this.#bodies) {
        if (this.#bodyBytes <= 128 * mib) break;
        this.#bodies.delete(oldest);
        this.#bodyBytes -= length;
      }
    }
    return body;
  }
}

export interface VersionedOrigin {
  readonly address: string;
  readonly requests: number;
  /** Bodies stop in the middle and stay there, and each is reported. Null: those that wait go on. */
  hold(onHeld: (() => void) | null): void;
  close(): void;
}

export async function startVersionedOrigin(objects: VersionedObjects): Promise<VersionedOrigin> {
  let requests = 0;
  let onHeld: (() => void) | null = null;
  const waiting: (() => void)[] = [];
  const give = (response: ServerResponse, body: Buffer) => {
    if (onHeld === null || body.length < 4096) return response.end(body);
    response.write(body.subarray(0, body.length >> 1));
    onHeld();
    waiting.push(() => response.end(body.subarray(body.length >> 1)));
  };
  const server: Server = createServer((request, response) => {
    requests += 1;
    const id = Number(/o(\d+)$/.exec(request.url ?? '')?.[1]);
    request.resume();
    if (request.method !== 'GET') {
      objects.change([id]);
      response.writeHead(204, { 'X-Version': objects.known(id).version }).end();
      return;
    }
    const { version } = objects.known(id);
    const body = objects.body(id, version);
    response.writeHead(200, {
      'Content-Length': body.length,
      'Content-Type': id % 2 === 1 ? 'text/plain' : 'application/octet-stream',
      'Cache-Control': 'max-age=86400',
      'Surrogate-Key': `g${id % groups} o${id}`,
      ETag: `"${id}-${version}"`,
    });
    give(response, body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    get requests() {
      return requests;
    },
    hold(report) {
      onHeld = report;
      if (report === null) for (const goOn of waiting.splice(0)) goOn();
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
