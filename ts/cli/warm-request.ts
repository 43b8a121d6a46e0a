// One URL of `millrace warm`: asked for at the running instance as a client would, read to its end and thrown
// away. What became of it is read from the answer's own words: X-Cache and Cache-Status.

import { type Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import type { ServedAddress } from '../config/schema.js';

export type Warmed =
  /** Was there already, perhaps confirmed by the origin. */
  | { readonly kind: 'stored' }
  | { readonly kind: 'fetched'; readonly bytes: number }
  | { readonly kind: 'failed'; readonly reason: string }
  /** Nobody listens: no other URL will fare better. */
  | { readonly kind: 'unreachable'; readonly reason: string };

export interface WarmTarget {
  readonly address: ServedAddress;
  readonly agent: Agent;
  /** Name, value, ... that every request has. */
  readonly fields: readonly string[];
  /** The instance believes us when we say that a URL is https. */
  readonly isTrusting: boolean;
}

const silenceMs = 60_000;
const nobodyThere: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ENOENT', 'EACCES', 'ENOTFOUND']);

export async function warmUrl(url: string, target: WarmTarget): Promise<Warmed> {
  if (!URL.canParse(url)) return { kind: 'failed', reason: 'not a URL, such as http://host/path' };
  const { protocol, host, pathname, search } = new URL(url);
  if (protocol !== 'http:' && protocol !== 'https:') {
    return { kind: 'failed', reason: 'neither http nor https' };
  }
  if (protocol === 'https:' && !target.isTrusting) {
    const reason =
      'the listener speaks http; list this machine in trusted_proxies, or give its http URL';
    return { kind: 'failed', reason };
  }
  const scheme = protocol === 'https:' ? ['X-Forwarded-Proto', 'https'] : [];
  try {
    const headers = ['Host', host, ...scheme, ...target.fields];
    const response = await ask(target, `${pathname}${search}`, headers);
    let bytes = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) bytes += chunk.length;
    if (!response.complete) return { kind: 'failed', reason: `broke off after ${bytes} bytes` };
    return judge(response, bytes);
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    return { kind: nobodyThere.has(code) ? 'unreachable' : 'failed', reason: message };
  }
}

function ask(target: WarmTarget, path: string, headers: string[]): Promise<IncomingMessage> {
  const { address, agent } = target;
  const place =
    address.kind === 'unix'
      ? { socketPath: address.path }
      : { host: address.host, port: address.port };
  return new Promise((resolve, reject) => {
    const asked = httpRequest(
      { ...place, agent, method: 'GET', path, headers, timeout: silenceMs },
      resolve,
    );
    asked.on('timeout', () => asked.destroy(new Error(`silent for ${silenceMs / 1000} s`)));
    asked.on('error', reject);
    asked.end();
  });
}

function judge({ statusCode = 0, headers }: IncomingMessage, bytes: number): Warmed {
  const word = String(headers['x-cache'] ?? '');
  const status = String(headers['cache-status'] ?? '');
  if (statusCode >= 400) return { kind: 'failed', reason: `answered ${statusCode}` };
  if (word === '') return { kind: 'failed', reason: 'no X-Cache in the answer: is it millrace?' };
  if (['HIT', 'STALE', 'REVALIDATED'].includes(word)) return { kind: 'stored' };
  if (/(^|,)\s*millrace\b[^,]*;\s*stored\b/.test(status)) return { kind: 'fetched', bytes };
  const detail = /;\s*detail=([^;,]+)/.exec(status)?.[1];
  const why = detail === undefined ? '' : `: ${detail}`;
  return { kind: 'failed', reason: `answered ${statusCode} and is not stored${why}` };
}
