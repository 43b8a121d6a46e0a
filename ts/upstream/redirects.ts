// Redirects that are followed on behalf of the client, so that what is stored under its URL is the object
// and not the way to it: artefact hosts redirect to URLs with a signature that differs each time. Where a
// redirect leads is the word of whoever answered, and not to be trusted: other hosts must be listed or
// public, and they get nothing that the client meant for the origin alone.

import { lookup as systemLookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import type { Clock } from '../clock.js';
import type { RouteConfig, UpstreamConfig } from '../config/schema.js';
import { UpstreamError } from '../errors.js';
import { fieldLines, fieldValue, type RawFields } from '../http/fields.js';
import { drain } from './drain.js';
import { isInsideAddress } from './inside-address.js';
import { Origin } from './pool.js';
import { type HeadReader, sendRequest, type UpstreamResponse } from './request.js';
import { readTls } from './tls.js';
import type { KeyedRequest } from './upstream.js';

export type RedirectPolicy = RouteConfig['redirects'];

const followed: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** What other hosts are told. Everything else may be meant for the origin alone: tokens go by any name. */
const toldToOthers: ReadonlySet<string> = new Set([
  'accept',
  'accept-encoding',
  'accept-language',
  'user-agent',
  'origin',
  'range',
  'if-range',
  'if-none-match',
  'if-modified-since',
  'cache-control',
  'pragma',
  'via',
  'cdn-loop',
]);
/** Hosts with connections that are kept; the one that was not used for longest makes place. */
const hostsMax = 64;
/** Whether an origin's name is of an inside address is asked again after this. */
const insideKeptMs = 60_000;

export interface RedirectContext {
  readonly name: string;
  readonly config: UpstreamConfig;
  readonly clock: Clock;
  readonly lookup?: LookupFunction;
  /** For tests, which have no public address. */
  readonly isInside?: (address: string) => boolean;
  /** Asks one of the upstream's origins. */
  readonly send: (request: KeyedRequest, onHead: HeadReader) => Promise<UpstreamResponse>;
}

export class Redirects {
  readonly #context: RedirectContext;
  readonly #lookup: LookupFunction;
  readonly #isInside: (address: string) => boolean;
  /** By origin and by whether inside addresses are allowed; the last used last. */
  readonly #hosts = new Map<string, Origin>();
  #insideUntilMs = 0;
  #isOriginInside = false;
  #count = 0;

  constructor(context: RedirectContext) {
    this.#context = context;
    this.#lookup = context.lookup ?? (systemLookup as LookupFunction);
    this.#isInside = context.isInside ?? isInsideAddress;
  }

  /** Hops that were followed. */
  get count(): number {
    return this.#count;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#hosts.values()].map((origin) => origin.close()));
  }

  /** `request` is a GET or HEAD without a body. */
  async send(
    request: KeyedRequest,
    policy: RedirectPolicy,
    onHead: HeadReader,
  ): Promise<UpstreamResponse> {
    const { origins } = this.#context.config;
    const own = new Set(origins.map(({ url }) => url.origin));
    // Relative to whichever origin answers.
    const base = origins[0]!.url;
    let url = new URL(request.target, base);
    let target = request.target;
    let hasLeft = false;
    const restrictions = new Restrictions(policy);
    const seen = new Set([url.href]);
    for (let hop = 0; ; hop += 1) {
      let next: URL | null = null;
      const read: HeadReader = (response) => {
        next = targetOf(response, url);
        if (next === null) return onHead(restrictions.on(response));
        restrictions.note(response.fields);
        drain(response);
      };
      const response = hasLeft
        ? await this.#askOther(url, request, policy, read)
        : await this.#context.send({ ...request, target }, read);
      if (next === null) return restrictions.on(response);
      const from = url;
      url = ownUrlOf(next, request, base);
      this.#mayFollow(from, url, hop + 1, seen, policy, own);
      seen.add(url.href);
      this.#count += 1;
      // Once away from the origin nothing meant for it alone comes back there by a stranger's word.
      hasLeft ||= !own.has(url.origin);
      target = `${url.pathname}${url.search}`;
    }
  }

  #mayFollow(
    from: URL,
    url: URL,
    hop: number,
    seen: ReadonlySet<string>,
    policy: RedirectPolicy,
    own: ReadonlySet<string>,
  ): void {
    const refuse = (why: string): UpstreamError =>
      new UpstreamError('UPSTREAM_REDIRECT', `${from.origin} redirects to ${url.origin}, ${why}`);
    if (hop > policy.hops) throw refuse(`and ${policy.hops} redirects were followed already`);
    if (seen.has(url.href)) throw refuse('to a URL that led here');
    if (url.protocol !== 'http:' && url.protocol !== 'https:') throw refuse('which is not http');
    if (url.username !== '' || url.password !== '') throw refuse('with credentials in the URL');
    if (own.has(url.origin) || isListed(url, policy)) return;
    if (policy.hosts.length > 0) throw refuse('which redirect_hosts does not list');
    if (from.protocol === 'https:' && url.protocol === 'http:') {
      throw refuse('from https to http; list the host in redirect_hosts to allow that');
    }
  }

  async #askOther(
    url: URL,
    request: KeyedRequest,
    policy: RedirectPolicy,
    read: HeadReader,
  ): Promise<UpstreamResponse> {
    const { clock, config } = this.#context;
    const mayBeInside = isListed(url, policy) || (await this.#isFromInside());
    const address = url.hostname.replace(/^\[|\]$/g, '');
    if (!mayBeInside && isIP(address) !== 0 && this.#isInside(address)) {
      throw insideError(url.origin);
    }
    const told: string[] = ['Host', url.host];
    for (let at = 0; at + 1 < request.fields.length; at += 2) {
      const name = request.fields[at]!;
      if (toldToOthers.has(name.toLowerCase())) told.push(name, request.fields[at + 1]!);
    }
    const host = this.#hostOf(url, mayBeInside);
    const target = `${url.pathname}${url.search}`;
    const ask = () =>
      sendRequest(host, { method: request.method, target, fields: told, body: null }, clock, read, {
        totalMs: config.timeouts.totalMs,
      });
    try {
      return await ask();
    } catch (error) {
      // An idle connection that the host was just closing looks like this; it is worth one more.
      if (!(error instanceof UpstreamError && error.retryable)) throw error;
      return ask();
    }
  }

  /** An origin that is itself inside may redirect to its neighbours. */
  async #isFromInside(): Promise<boolean> {
    const { config, clock } = this.#context;
    if (clock.monotonic() < this.#insideUntilMs) return this.#isOriginInside;
    const hosts = config.origins.map(({ url }) => url.hostname.replace(/^\[|\]$/g, ''));
    const found = await Promise.all(hosts.map((host) => this.#addressesOf(host)));
    const addresses = found.flat();
    this.#isOriginInside = addresses.length > 0 && addresses.every(this.#isInside);
    this.#insideUntilMs = clock.monotonic() + insideKeptMs;
    return this.#isOriginInside;
  }

  #addressesOf(host: string): Promise<string[]> {
    if (isIP(host) !== 0) return Promise.resolve([host]);
    return new Promise((resolve) => {
      this.#lookup(host, { all: true }, (error, found) => {
        const list = typeof found === 'string' ? [] : (found ?? []);
        // Of a name that does not resolve nothing is known, which allows nothing.
        resolve(error === null ? list.map(({ address }) => address) : []);
      });
    });
  }

  #hostOf(url: URL, mayBeInside: boolean): Origin {
    const { config, clock, name } = this.#context;
    const key = `${url.origin} ${mayBeInside}`;
    const known = this.#hosts.get(key);
    if (known !== undefined) {
      this.#hosts.delete(key);
      this.#hosts.set(key, known);
      return known;
    }
    if (this.#hosts.size >= hostsMax) this.#forgetOldest();
    const { connectMs, headMs, idleMs } = config.timeouts;
    // The authorities that the origin needs count beside the well-known ones; our own certificate and the
    // origin's server name are for the origin alone, and so is taking any certificate.
    const tls = { ...config.tls, certFile: null, keyFile: null, serverName: null, verify: true };
    const origin = new Origin(url, {
      connectTimeoutMs: connectMs,
      headTimeoutMs: headMs,
      idleTimeoutMs: idleMs,
      connections: config.maxConnections,
      connectionAgeMs: config.maxConnectionAgeMs,
      clock,
      lookup: mayBeInside ? this.#lookup : this.#publicLookup(url.origin),
      ...(url.protocol === 'https:' ? { tls: readTls(name, tls, 'beside the well-known') } : {}),
    });
    this.#hosts.set(key, origin);
    return origin;
  }

  #forgetOldest(): void {
    for (const [key, origin] of this.#hosts) {
      this.#hosts.delete(key);
      origin.retire();
      return;
    }
  }

  /** At the very connection: a name that was public a moment ago may not be any more. */
  #publicLookup(origin: string): LookupFunction {
    return (host, options, callback) => {
      this.#lookup(host, { ...options, all: true }, (error, found) => {
        const list = typeof found === 'string' ? [] : (found ?? []);
        const outside = list.filter(({ address }) => !this.#isInside(address));
        if (error !== null) callback(error, '', 0);
        else if (outside.length === 0) callback(insideError(origin), '', 0);
        else if (options.all === true) callback(null, outside);
        else callback(null, outside[0]!.address, outside[0]!.family);
      });
    };
  }
}

function insideError(origin: string): UpstreamError {
  return new UpstreamError(
    'UPSTREAM_REDIRECT',
    `a redirect leads to ${origin}, which is not in the public internet; ` +
      'list the host in redirect_hosts to allow that',
    { proxyError: 'destination_ip_prohibited' },
  );
}

function isListed({ hostname }: URL, { hosts }: RedirectPolicy): boolean {
  return hosts.some((pattern) =>
    pattern.startsWith('*.') ? hostname.endsWith(pattern.slice(1)) : hostname === pattern,
  );
}

/** An origin may name its public host, as X-Forwarded-Host told it: that leads to us, and so back to it. */
function ownUrlOf(url: URL, { publicHost }: KeyedRequest, base: URL): URL {
  const isOurs = publicHost !== undefined && url.host === publicHost.toLowerCase();
  return isOurs ? new URL(`${url.pathname}${url.search}`, base) : url;
}

/** Where the response leads; null where it does not, or to nothing that can be read. */
function targetOf({ status, fields }: UpstreamResponse, from: URL): URL | null {
  if (!followed.has(status)) return null;
  const lines = fieldLines(fields, 'location');
  if (lines.length !== 1 || !URL.canParse(lines[0]!, from.href)) return null;
  const url = new URL(lines[0]!, from);
  url.hash = '';
  return url;
}

/** What the responses on the way say about storing and choosing, and the fields to keep of them. */
class Restrictions {
  readonly #targeted: ReadonlySet<string>;
  readonly #keptNames: readonly string[];
  /** By name: the line of the last redirect that had it. */
  readonly #kept = new Map<string, string>();
  readonly #vary: string[] = [];
  #control = '';

  constructor({ targetedFields, fields }: RedirectPolicy) {
    this.#targeted = new Set(targetedFields);
    this.#keptNames = fields;
  }

  note(fields: RawFields): void {
    for (const name of ['cache-control', ...this.#targeted]) {
      for (const line of fieldLines(fields, name)) {
        if (/(^|,)\s*no-store\b/i.test(line)) this.#control = 'no-store';
        else if (/(^|,)\s*private\b/i.test(line)) this.#control ||= 'private';
      }
    }
    for (const line of fieldLines(fields, 'vary')) this.#vary.push('Vary', line);
    for (const name of this.#keptNames) {
      const line = fieldValue(fields, name);
      if (line !== undefined) this.#kept.set(name, line);
    }
  }

  on(response: UpstreamResponse): UpstreamResponse {
    if (this.#control === '' && this.#vary.length === 0 && this.#kept.size === 0) return response;
    const fields: string[] = [];
    for (let at = 0; at + 1 < response.fields.length; at += 2) {
      const name = response.fields[at]!;
      // They would overrule Cache-Control.
      const isOverruling = this.#control !== '' && this.#targeted.has(name.toLowerCase());
      if (!isOverruling) fields.push(name, response.fields[at + 1]!);
    }
    if (this.#control !== '') fields.push('Cache-Control', this.#control);
    for (const [name, line] of this.#kept) {
      if (fieldValue(fields, name) === undefined) fields.push(name, line);
    }
    return { ...response, fields: [...fields, ...this.#vary] };
  }
}
