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
  const { store } = services;
  if (store === null) {
    throw new ClientError('CLIENT_BAD_REQUEST', 'enable_cache is false: there is nothing to purge');
  }
  const target = targetOf(services, request);
  const soft = request.soft ?? false;
  services.counters.purges += 1;
  try {
    await purgeIn(store, services, target, soft);
  } catch (error) {
    services.counters.purgesFailed += 1;
    throw error;
  }
  return { kind: target.kind, target: purgeText(target), soft };
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
  if ('key' in request) return { kind: 'key', key: request.key };
  if ('tag' in request) return { kind: 'tag', tag: checkedTag(request.tag) };
  if ('prefix' in request) return { kind: 'prefix', prefix: checkedPrefix(request.prefix) };
  const url = /^(https?):\/\/([^/?#@]+)(\/[^#]*)?$/i.exec(request.url);
  // Without a trusted proxy in front every client speaks plain HTTP to us, whatever people call their site.
  const isSecure = services.trusted !== null && url?.[1]?.toLowerCase() === 'https';
  const scheme = isSecure ? 'https' : 'http';
  const key = url === null ? null : keyOf(services.routes, scheme, url[2]!, url[3] ?? '/');
  if (key === null) {
    throw new ClientError(
      'CLIENT_BAD_REQUEST',
      `${request.url} is not an absolute http URL that a route takes; ` +
        'millrace check --url URL shows its route and key',
    );
  }
  return { kind: 'key', key };
}

function checkedTag(tag: string): string {
  if (Buffer.byteLength(tag, 'latin1') <= tagBytesMax && /^[^\s,]+$/.test(tag)) return tag;
  throw new ClientError(
    'CLIENT_BAD_REQUEST',
    `a tag has no spaces and commas and at most ${tagBytesMax} bytes`,
  );
}

/** Scheme and host in lower case, as in a key; the path as it is. */
function checkedPrefix(prefix: string): string {
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
