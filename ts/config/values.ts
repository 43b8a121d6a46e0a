// The kinds of values that configuration keys have: each kind says in words what it allows and
// reads an unknown value into what the program uses, or into null. Sentences about what was found
// are made in explain.ts; defaults are in schema.ts.

import { isIP } from 'node:net';
import { z } from 'zod';
import { formatDuration, formatSize, parseDuration, parseSize } from '../units.js';

export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }
  /** Accepted, not in effect: it never becomes part of a Config. */
  | { readonly kind: 'https'; readonly host: string; readonly port: number };

type Reader<Output> = (value: unknown) => Output | null;

/** `allowed` becomes the message; explain.ts puts what was found before it. */
export function checked<Input, Output>(allowed: string, read: Reader<Output>) {
  return z
    .custom<Input>((value) => read(value) !== null, { error: allowed })
    .transform((value) => read(value) as Output);
}

/** A list, or the one value of a list. */
export function oneOrList<Input, Output>(item: z.ZodType<Output, Input>) {
  const list = z.preprocess(
    (value) => (Array.isArray(value) ? value : [value]),
    z.array(item).min(1, { error: 'at least one value' }),
  );
  return list as unknown as z.ZodType<Output[], Input | Input[]>;
}

/** True and false; as text too, which is what interpolation of an environment variable gives. */
export const flag = () =>
  checked<boolean, boolean>('true or false', (value) => {
    if (typeof value === 'boolean') return value;
    return value === 'true' ? true : value === 'false' ? false : null;
  });

export const text = (allowed = 'a text') =>
  checked<string, string>(allowed, (value) =>
    typeof value === 'string' && value !== '' ? value : null,
  );

export const oneOf = <const Word extends string>(...words: readonly Word[]) =>
  checked<Word, Word>(
    words.length === 2 ? words.join(' or ') : `one of ${words.join(', ')}`,
    (value) => words.find((word) => word === value) ?? null,
  );

export const wholeNumber = (minimum: number, maximum: number) =>
  checked<number, number>(`a whole number from ${minimum} to ${maximum}`, (value) => {
    const isDigits = typeof value === 'string' && /^\d{1,15}$/.test(value);
    const number = isDigits ? Number(value) : value;
    if (typeof number !== 'number' || !Number.isInteger(number)) return null;
    return number >= minimum && number <= maximum ? number : null;
  });

/** A part of a whole; as text too. */
export const fraction = () =>
  checked<number, number>('a number from 0 to 1', (value) => {
    const isText = typeof value === 'string' && /^\d?\.?\d{1,9}$/.test(value);
    const number = isText ? Number(value) : value;
    return typeof number === 'number' && number >= 0 && number <= 1 ? number : null;
  });

/** Bytes. The two examples show both ways of writing a size that is allowed. */
export function size(minimum: number, maximum: number, example: number) {
  const range =
    maximum === Number.MAX_SAFE_INTEGER
      ? `a size of at least ${formatSize(minimum)}`
      : `a size from ${formatSize(minimum)} to ${formatSize(maximum)}`;
  return checked<number | string, number>(
    `${range}, for example "${formatSize(example)}" or ${example}`,
    (value) => {
      const bytes = parseSize(value);
      return bytes !== null && bytes >= minimum && bytes <= maximum ? bytes : null;
    },
  );
}

/** Bytes, a power of two. */
export const powerOfTwo = (minimum: number, maximum: number) =>
  checked<number | string, number>(
    `a power of two from ${minimum} to ${maximum} (${formatSize(maximum)})`,
    (value) => {
      const bytes = parseSize(value);
      if (bytes === null || bytes < minimum || bytes > maximum) return null;
      return Number.isInteger(Math.log2(bytes)) ? bytes : null;
    },
  );

/** Milliseconds. */
export const duration = (minimumMs: number, maximumMs: number) =>
  checked<number | string, number>(
    `a duration from ${formatDuration(minimumMs)} to ${formatDuration(maximumMs)}, ` +
      'as seconds (10) or with a unit ("500ms", "10s", "1h")',
    (value) => {
      const durationMs = parseDuration(value);
      if (durationMs === null) return null;
      return durationMs >= minimumMs && durationMs <= maximumMs ? durationMs : null;
    },
  );

const hostName =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/;

/** "host:port" and "[v6]:port", lower case, brackets removed. */
function splitHostPort(value: string): { host: string; port: number } | null {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]/\s]+)):(\d{1,5})$/.exec(value.toLowerCase());
  if (match === null) return null;
  const [, literal, name, digits] = match;
  if (literal !== undefined && isIP(literal) !== 6) return null;
  if (name !== undefined && !hostName.test(name)) return null;
  // Digits and dots only, and yet no address: a slip that a resolver would puzzle over for seconds.
  if (name !== undefined && /^[\d.]+$/.test(name) && isIP(name) !== 4) return null;
  const port = Number(digits);
  return port <= 65535 ? { host: literal ?? name!, port } : null;
}

// The longest path that fits sockaddr_un with its closing zero.
const unixPathLengthMax = 107;

function readListen(value: unknown): ListenAddress | null {
  if (typeof value !== 'string') return null;
  if (value.startsWith('unix:')) {
    const path = value.slice('unix:'.length);
    const fits = path.startsWith('/') && Buffer.byteLength(path) <= unixPathLengthMax;
    return fits && path !== '/' && !path.includes('\0') ? { kind: 'unix', path } : null;
  }
  const secure = value.startsWith('https://');
  const address = splitHostPort(secure ? value.slice('https://'.length) : value);
  return address === null ? null : { kind: secure ? 'https' : 'tcp', ...address };
}

export const listenAddress = () =>
  checked<string, ListenAddress>(
    `"host:port", "[::1]:8080" or "unix:/path" of at most ${unixPathLengthMax} bytes`,
    readListen,
  );

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));

/** Who reaches the admin listener may purge everything: it never listens beyond this machine. */
export const adminAddress = () =>
  checked<string, ListenAddress>(
    '"unix:/path" or a loopback address such as "127.0.0.1:9080"',
    (value) => {
      const address = readListen(value);
      if (address === null || address.kind === 'https') return null;
      return address.kind === 'unix' || isLoopback(address.host) ? address : null;
    },
  );

const originForm = '"host:port" or a http or https URL without path, query or credentials';

/** "host:port" means http. No path: joining one to every target is what rewriting is for. */
function readOrigin(value: unknown): URL | null {
  if (typeof value !== 'string') return null;
  const written = /^https?:\/\//i.test(value) ? value : `http://${value}`;
  if (written !== value && splitHostPort(value) === null) return null;
  if (/\s/.test(written) || !URL.canParse(written)) return null;
  const url = new URL(written);
  const isBare = url.pathname === '/' && url.search === '' && url.hash === '';
  const isOpen = url.username === '' && url.password === '';
  return isBare && isOpen && url.port !== '0' && !/[?#@]/.test(written) ? url : null;
}

export const originUrl = () => checked<string, URL>(originForm, readOrigin);

export interface WeightedOrigin {
  readonly url: URL;
  readonly weight: number;
}

/** One of several: an address, or `{ url: address, weight: 3 }`. */
export const weightedOrigin = () =>
  checked<string | { url: string; weight?: number }, WeightedOrigin>(
    `${originForm}; or { url: ..., weight: 1 to 1000 }`,
    (value) => {
      if (typeof value !== 'object' || value === null) {
        const url = readOrigin(value);
        return url === null ? null : { url, weight: 1 };
      }
      const { url: address, weight = 1, ...others } = value as Record<string, unknown>;
      const url = readOrigin(address);
      const isWeight = Number.isInteger(weight) && Number(weight) >= 1 && Number(weight) <= 1000;
      const isKnown = Object.keys(others).length === 0;
      return url !== null && isWeight && isKnown ? { url, weight: Number(weight) } : null;
    },
  );

/** A YAML 1.2 is a number. */
export const tlsVersion = () =>
  checked<'1.2' | '1.3' | number, 'TLSv1.2' | 'TLSv1.3'>('1.2 or 1.3', (value) => {
    const version = String(value);
    return version === '1.2' || version === '1.3' ? `TLSv${version}` : null;
  });

/** What a certificate is issued for. */
export const serverName = () =>
  checked<string, string>('a host name, no port', (value) =>
    typeof value === 'string' && hostName.test(value.toLowerCase()) ? value.toLowerCase() : null,
  );

/** What a health check asks for. */
export const originPath = () =>
  checked<string, string>('a path that begins with "/", without space or "#"', (value) =>
    typeof value === 'string' && /^\/[\x21\x22\x24-\x7e]*$/.test(value) ? value : null,
  );

/** One or a list of `503` and `"5xx"`. */
export const statusSet = () =>
  checked<number | string | readonly (number | string)[], ReadonlySet<number>>(
    'a status from 200 to 599 or a class such as "5xx", or a list of these',
    (value) => {
      const statuses = new Set<number>();
      for (const item of Array.isArray(value) ? value : [value]) {
        const text = typeof item === 'number' ? `${item}` : item;
        if (typeof text !== 'string' || !/^[2-5](\d\d|xx)$/.test(text)) return null;
        const isClass = text.endsWith('xx');
        const first = isClass ? Number(text[0]) * 100 : Number(text);
        for (let status = first; status < first + (isClass ? 100 : 1); status += 1) {
          statuses.add(status);
        }
      }
      return statuses;
    },
  );

/** What a route matches Host against: the port is not part of it. */
export const hostPattern = () =>
  checked<string, string>(
    'a host name such as "example.com" or "*.example.com", no port',
    (value) => {
      if (typeof value !== 'string') return null;
      const host = value.toLowerCase().replace(/\.$/, '');
      const name = host.startsWith('*.') ? host.slice(2) : host;
      if (hostName.test(name)) return host;
      return name === host && /^\[.*\]$/.test(host) && isIP(host.slice(1, -1)) === 6 ? host : null;
    },
  );

/** Replaces host and port in the cache key, so a port may be part of it. */
export const keyHost = () =>
  checked<string, string>('a host name with or without a port', (value) => {
    if (typeof value !== 'string') return null;
    const host = value.toLowerCase();
    return hostName.test(host) || splitHostPort(host) !== null ? host : null;
  });

export const pathPrefix = () =>
  checked<string, string>('a path prefix that begins with "/", without query or space', (value) =>
    typeof value === 'string' && /^\/[^\s?#]*$/.test(value) ? value : null,
  );

const patternElements = 255;

/** As many as native/engine/path-pattern.h counts; null where it is no pattern. */
function elementsOf(pattern: string): number | null {
  if (!/^\/([^\s?#*[\]{}]|\*{1,2}(?!\*)|\[[^\s\]/]+\](\{[1-9]\d{0,2}\})?)*$/.test(pattern))
    return null;
  let count = 0;
  for (const [, set, times] of pattern.matchAll(/(\[[^\]]+\])(?:\{(\d+)\})?|\*\*?|[^*]/g)) {
    for (const [, first, last] of (set ?? '').slice(1, -1).matchAll(/(\S)-(\S)/g)) {
      if (last! < first! || (first! <= '/' && last! >= '/')) return null;
    }
    count += Number(times ?? 1);
  }
  return count;
}

export const pathPattern = () =>
  checked<string, string>(
    'a pattern of paths such as "/**/pool/*.deb" or "/blobs/[0-9a-f]{64}", of ' +
      `at most ${patternElements} elements`,
    (value) => {
      if (typeof value !== 'string' || !/^[\x21-\x7e]+$/.test(value)) return null;
      const count = elementsOf(value);
      return count !== null && count <= patternElements ? value : null;
    },
  );

export const fieldName = () =>
  checked<string, string>('the name of a header field, such as Accept-Language', (value) =>
    typeof value === 'string' && /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}$/.test(value) ? value : null,
  );

export const methodName = () =>
  checked<string, string>('a method name in capitals, such as GET', (value) =>
    typeof value === 'string' && /^[A-Z][A-Z-]{0,31}$/.test(value) ? value : null,
  );

export interface AddressBlock {
  readonly address: string;
  readonly prefix: number;
  readonly family: 'ipv4' | 'ipv6';
}

export const addressBlock = () =>
  checked<string, AddressBlock>(
    'an IP address or a block such as "10.0.0.0/8" or "fd00::/8"',
    (value) => {
      const match =
        typeof value === 'string' ? /^([0-9a-f.:]+)(?:\/(\d{1,3}))?$/i.exec(value) : null;
      const version = match === null ? 0 : isIP(match[1]!);
      if (match === null || version === 0) return null;
      const longest = version === 6 ? 128 : 32;
      const prefix = match[2] === undefined ? longest : Number(match[2]);
      if (prefix > longest) return null;
      return { address: match[1]!, prefix, family: version === 6 ? 'ipv6' : 'ipv4' };
    },
  );

export function formatListen(address: ListenAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `${address.kind === 'https' ? 'https://' : ''}${host}:${address.port}`;
}
