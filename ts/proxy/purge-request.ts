// What people ask to be purged, by URL, prefix, tag or altogether, as the store understands it. Used by the
// operator's listener, by the PURGE method and by the programmatic API.

import { ClientError } from '../errors.js';
import type { CacheStore, PurgeTarget } from '../store/contract.js';
import { purgeText } from '../store/purge-target.js';
import { keyOf } from './invalidate.js';
import type { Services } from './services.js';

export type PurgeRequest = (
  | { readonly url: string }
  | { readonly key: string }
  | { readonly prefix: string }
  | { readonly tag: string }
  | { readonly all: true }
) & { readonly soft?: boolean };

export interface PurgeReport {
  readonly kind: PurgeTarget['kind'];
  /** The key, prefix or tag as the store has it; empty for everything. */
  readonly target: string;
  readonly soft: boolean;
}

const names = ['url', 'key', 'prefix', 'tag', 'all'] as const;
const prefixBytesMax = 2048;
const tagBytesMax = 1024;
/** Of what was given, so much is repeated to who gave it. */
const shownMax = 200;

/** Anything from outside as a request. Throws ClientError `CLIENT_BAD_REQUEST`. */
export function readPurgeRequest(value: unknown): PurgeRequest {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) refuse();
  const { soft = false, ...rest } = value as Record<string, unknown>;
  const [name, ...others] = Object.keys(rest);
  const known = names.find((candidate) => candidate === name);
  if (known === undefined || others.length > 0 || typeof soft !== 'boolean') refuse();
  const given = rest[known];
  if (known === 'all') return given === true ? { all: true, soft } : refuse();
  if (typeof given !== 'string' || given === '') refuse();
  return { [known]: given, soft } as PurgeRequest;
}

function refuse(): never {
  throw new ClientError(
    'CLIENT_BAD_REQUEST',
    'a purge is an object with one of "url", "key", "prefix", "tag" (texts) or "all" (true), ' +
      'and optionally "soft" (true or false)',
  );
}

/** Resolves when the purge is durable; rejects with StoreError where it cannot be made so. */
export async function purge(services: Services, request: PurgeRequest): Promise<PurgeReport> {
  return carryOut(services, targetOf(services, request), request.soft ?? false);
}

/** The same for the URL of a request, byte by byte as it came. */
export async function purgeUrl(
  services: Services,
  url: string,
  soft: boolean,
): Promise<PurgeReport> {
  return carryOut(services, targetOfUrl(services, url), soft);
}

async function carryOut(
  services: Services,
  target: PurgeTarget,
  soft: boolean,
): Promise<PurgeReport> {
  const { store } = services;
  if (store === null) {
    throw new ClientError('CLIENT_BAD_REQUEST', 'enable_cache is false: there is nothing to purge');
  }
  services.counters.purges += 1;
  try {
    await purgeIn(store, services, target, soft);
  } catch (error) {
    services.counters.purgesFailed += 1;
    throw error;
  }
  const text = purgeText(target);
  return { kind: target.kind, target: target.kind === 'tag' ? fromBytes(text) : text, soft };
}

async function purgeIn(
  store: CacheStore,
  services: Services,
  target: PurgeTarget,
  soft: boolean,
): Promise<void> {
  const durable = store.purge(target, soft);
  if (target.kind === 'key' && !soft) services.fills.forget(target.key);
  await durable;
}

function targetOf(services: Services, request: PurgeRequest): PurgeTarget {
  if ('all' in request) return { kind: 'all' };
  if ('key' in request) return { kind: 'key', key: checkedKey(request.key) };
  if ('tag' in request) return { kind: 'tag', tag: checkedTag(request.tag) };
  if ('prefix' in request) return { kind: 'prefix', prefix: checkedPrefix(request.prefix) };
  return targetOfUrl(services, escaped(request.url));
}

function targetOfUrl(services: Services, given: string): PurgeTarget {
  const url = /^(https?):\/\/([^/?#@]+)(\/[^#]*)?$/i.exec(given);
  // Without a trusted proxy in front every client speaks plain HTTP to us, whatever people call their site.
  const isSecure = services.trusted !== null && url?.[1]?.toLowerCase() === 'https';
  const scheme = isSecure ? 'https' : 'http';
  const key = url === null ? null : keyOf(services.routes, scheme, url[2]!, url[3] ?? '/');
  if (key === null) {
    throw new ClientError(
      'CLIENT_BAD_REQUEST',
      `${shown(given)} is not an absolute http URL that a route takes; ` +
        'millrace check --url URL shows its route and key',
    );
  }
  return { kind: 'key', key };
}

/** Letters outside ASCII as clients send them in a request line. */
function escaped(text: string): string {
  return text.replace(/[^\0-\x7f]+/g, (letters) =>
    Array.from(Buffer.from(letters, 'utf8'), (byte) => `%${byte.toString(16).toUpperCase()}`).join(
      '',
    ),
  );
}

/** Texts of the wire have a character for each byte; people write tags in UTF-8. */
const toBytes = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');
const fromBytes = (text: string): string => Buffer.from(text, 'latin1').toString('utf8');

const shown = (text: string): string =>
  text.length > shownMax ? `${text.slice(0, shownMax)}...` : text;

/** A character for each byte, as `inspect` and `Cache-Status` show it. */
function checkedKey(key: string): string {
  if (/^https?:\/\/[\x21-\x7e\x80-\xff]+$/.test(key)) return key;
  throw new ClientError(
    'CLIENT_BAD_REQUEST',
    `${shown(key)} is no key; a key looks like "http://example.com/a?b=c", ` +
      'and millrace check --url URL prints that of a URL',
  );
}

function checkedTag(tag: string): string {
  const bytes = toBytes(tag);
  if (bytes.length <= tagBytesMax && /^[^\s,]+$/.test(tag)) return bytes;
  throw new ClientError(
    'CLIENT_BAD_REQUEST',
    `a tag has no spaces and commas and at most ${tagBytesMax} bytes`,
  );
}

/** Scheme and host in lower case, as in a key; the path as it is. */
function checkedPrefix(given: string): string {
  const prefix = escaped(given);
  const match = /^(https?:\/\/[^/]+)(\/[^#\s]*)?$/i.exec(prefix);
  const text = match === null ? '' : `${match[1]!.toLowerCase()}${match[2] ?? ''}`;
  const isPlain = /^[\x21-\x7e\x80-\xff]+$/.test(text);
  if (isPlain && text.length <= prefixBytesMax) return text;
  throw new ClientError(
    'CLIENT_BAD_REQUEST',
    'a prefix is the beginning of a URL with its scheme and host, such as ' +
      `"http://example.com/models/", at most ${prefixBytesMax} bytes`,
  );
}
