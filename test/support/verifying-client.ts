// The client of the kill loop: each answer is compared with what its head says that it is, byte by byte as
// it comes, so that a connection that breaks under a kill is judged up to where it broke.

import { Buffer } from 'node:buffer';
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http';
import { host, type VersionedObjects } from './versioned-objects.js';

export interface Seen {
  /** 0 where no head came. */
  readonly status: number;
  /** 0 where there is none. */
  readonly version: number;
  /** Fetched now, and kept. */
  readonly isStored: boolean;
  /** The body came to its end. */
  readonly isWhole: boolean;
  /** Null: everything that came is right. */
  readonly wrong: string | null;
}

const nothing: Seen = { status: 0, version: 0, isStored: false, isWhole: false, wrong: null };

export class VerifyingClient {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 16 });
  readonly #objects: VersionedObjects;
  readonly #address: string;
  readonly #admin: string;
  /** Called for everything that arrives; what kills counts these. */
  readonly #onEvent: () => void;

  constructor(objects: VersionedObjects, address: string, admin: string, onEvent: () => void) {
    this.#objects = objects;
    this.#address = address;
    this.#admin = admin;
    this.#onEvent = onEvent;
  }

  /** Never rejects: a process that is killed answers nobody. */
  async get(id: number, onlyCached = false): Promise<Seen> {
    const { lifeFloor } = this.#objects.known(id);
    const fields = onlyCached ? { 'Cache-Control': 'only-if-cached' } : {};
    const response = await this.#open('GET', this.#address, this.#objects.pathOf(id), fields);
    if (response === null) return nothing;
    const status = response.statusCode ?? 0;
    if (status !== 200) return { ...nothing, status, isWhole: await drained(response) };
    const [, object, text] = /^"(\d+)-(\d+)"$/.exec(String(response.headers.etag)) ?? [];
    const version = Number(text);
    const isStored = /; stored\b/.test(String(response.headers['cache-status']));
    const wrongHead = this.#wrongHead(id, Number(object), version, lifeFloor);
    if (wrongHead !== null) {
      response.destroy();
      return { status, version, isStored, isWhole: false, wrong: wrongHead };
    }
    return { status, version, isStored, ...(await this.#compare(response, id, version)) };
  }

  #wrongHead(id: number, object: number, version: number, lifeFloor: number): string | null {
    const path = this.#objects.pathOf(id);
    const { version: newest } = this.#objects.known(id);
    if (object !== id) return `${path} has the ETag of object ${object}`;
    if (!(version >= 1 && version <= newest)) return `${path} has version ${version} of ${newest}`;
    if (version >= lifeFloor) return null;
    return `${path} has version ${version}, and everything below ${lifeFloor} was purged`;
  }

  async #compare(
    response: IncomingMessage,
    id: number,
    version: number,
  ): Promise<Pick<Seen, 'isWhole' | 'wrong'>> {
    const path = this.#objects.pathOf(id);
    const expected = this.#objects.body(id, version);
    let at = 0;
    try {
      for await (const part of response) {
        const bytes = part as Buffer;
        this.#onEvent();
        if (!bytes.equals(expected.subarray(at, at + bytes.length))) {
          return { isWhole: false, wrong: `${path} version ${version}: wrong bytes from ${at} on` };
        }
        at += bytes.length;
      }
    } catch {
      return { isWhole: false, wrong: null };
    }
    const isWhole = at === expected.length;
    const isFalseEnd = !isWhole && response.complete;
    return { isWhole, wrong: isFalseEnd ? `${path}: ends after ${at} bytes` : null };
  }

  /** The version from which on the object was changed; null where nothing was acknowledged. */
  async remove(id: number): Promise<number | null> {
    const response = await this.#open('DELETE', this.#address, this.#objects.pathOf(id), {});
    if (response === null) return null;
    const isWhole = await drained(response);
    return isWhole && response.statusCode === 204 ? Number(response.headers['x-version']) : null;
  }

  /** True where it was acknowledged as durable. */
  async purge(what: object): Promise<boolean> {
    const fields = { 'Content-Type': 'application/json' };
    const response = await this.#open('POST', this.#admin, '/purge', fields, JSON.stringify(what));
    if (response === null) return false;
    const isWhole = await drained(response);
    this.#onEvent();
    return isWhole && response.statusCode === 200;
  }

  async stats(): Promise<Record<string, Record<string, unknown>> | null> {
    const response = await this.#open('GET', this.#admin, '/stats', {});
    if (response === null) return null;
    const parts: Buffer[] = [];
    try {
      for await (const part of response) parts.push(part as Buffer);
      return JSON.parse(Buffer.concat(parts).toString()) as Record<string, Record<string, unknown>>;
    } catch {
      return null;
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  #open(
    method: string,
    address: string,
    path: string,
    fields: Readonly<Record<string, string>>,
    body = '',
  ): Promise<IncomingMessage | null> {
    return new Promise((resolve) => {
      const length = body === '' ? {} : { 'Content-Length': Buffer.byteLength(body) };
      const headers = { Host: host, ...fields, ...length };
      const asked: ClientRequest = request(`${address}${path}`, {
        agent: this.#agent,
        method,
        headers,
      });
      asked.once('response', (response) => {
        this.#onEvent();
        resolve(response);
      });
      asked.on('error', () => resolve(null));
      asked.end(body);
      this.#onEvent();
    });
  }
}

async function drained(response: IncomingMessage): Promise<boolean> {
  try {
    for await (const _part of response);
    return response.complete;
  } catch {
    return false;
  }
}
