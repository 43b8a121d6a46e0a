// What a request would meet, in words: for `millrace check --url`. Uses the very table and rules that serve.

import type { Config, RouteCacheConfig, RouteConfig } from '../config/schema.js';
import { ConfigError } from '../errors.js';
import { formatDuration, formatSize } from '../units.js';
import { compileRoutes } from './routes.js';
import { slicesOf } from './slicing.js';

/** The canonical key of a GET for this URL. Throws ConfigError where no route takes it. */
export function keyOfUrl(config: Config, url: string): string {
  const refuse = (why: string, cause?: unknown): ConfigError =>
    new ConfigError('CONFIG_INVALID', `--url ${url}: ${why}`, { cause });
  if (!URL.canParse(url)) throw refuse('not a URL; give one like http://host/path?query');
  const { protocol, host, pathname, search } = new URL(url);
  const { table, rules } = compileRoutes(config);
  const target = `${pathname}${search}`;
  const number = table.match('GET', host, target);
  if (rules[number] === undefined) throw refuse('no route of the configuration matches it');
  try {
    return table.key(number, protocol.slice(0, -1), host, target);
  } catch (error) {
    throw refuse((error as Error).message, error);
  }
}

/** One fact per line. Throws nothing: a URL that cannot be routed is explained as such. */
export function explainUrl(config: Config, method: string, url: string): string[] {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    return [`${url} is not a URL; give one like http://host/path?query`];
  }
  const routes = compileRoutes(config);
  const scheme = parsed.protocol.slice(0, -1);
  const target = `${parsed.pathname}${parsed.search}`;
  const number = routes.table.match(method, parsed.host, target);
  const rule = routes.rules[number];
  if (rule === undefined) return [`${method} ${url}: no route matches; the answer would be 404`];
  let key: string;
  try {
    key = routes.table.key(number, scheme, parsed.host, target);
  } catch (error) {
    return [`${method} ${url}: refused with 400: ${(error as Error).message}`];
  }
  const { cache } = rule;
  const origins = config.upstreams.get(rule.upstream)?.origins.map(({ url }) => url.origin) ?? [];
  return [
    `route:    routes[${number}]`,
    `upstream: ${rule.upstream} (${origins.join(', ')})`,
    `key:      ${key}`,
    `redirect: ${redirectText(rule)}`,
    `cache:    ${cacheWord(config, method, cache.pass)}`,
    `variant:  ${['Vary', ...cache.key.fields].join(', ')}`,
    `ttl:      ${lifetimeText(config, cache)}`,
    `stale:    ${staleText(cache)}`,
    `stored:   ${storedText(cache)}`,
    `abort:    ${abortText(cache)}`,
    `parts:    ${partsText(cache, routes.isSliced(parsed.host, target))}`,
    `client:   Cache-Control of requests is ${cache.ignoreRequestDirectives ? 'ignored' : 'honoured'}`,
  ];
}

function redirectText({ redirects: { hops, hosts, fields } }: RouteConfig): string {
  if (hops === 0) return 'goes to the client';
  const kept = fields.length === 0 ? '' : `, keeping ${fields.join(', ')}`;
  const where = hosts.length === 0 ? 'public hosts' : hosts.join(', ');
  return `followed, ${hops} at most, to ${where}${kept}`;
}

function lifetimeText(config: Config, cache: RouteCacheConfig): string {
  const named = [...cache.ttlMs].map(([status, ms]) => `${status}: ${ms / 1000}s`);
  if (cache.overrideOrigin && !cache.ttlMs.has(200))
    named.push(`200: ${config.cacheTtlMs / 1000}s`);
  const { fraction, maxMs } = cache.heuristic;
  const origin =
    `the origin's, by ${[...cache.targetedFields, 'Cache-Control', 'Expires'].join(', ')}, ` +
    `else ${fraction} of the time since Last-Modified, at most ${formatDuration(maxMs)}`;
  if (named.length === 0) return origin;
  if (cache.overrideOrigin) return `${named.join(', ')}, overriding the origin; else ${origin}`;
  return `${origin}; where the origin gives none: ${named.join(', ')}`;
}

function staleText({ stale }: RouteCacheConfig): string {
  const parts = [`${formatDuration(stale.maxMs)} while the origin cannot be reached`];
  if (stale.whileRevalidateMs > 0) {
    parts.push(`${formatDuration(stale.whileRevalidateMs)} while it is validated`);
  }
  if (stale.ifErrorMs > 0) parts.push(`${formatDuration(stale.ifErrorMs)} when the origin fails`);
  if (stale.on429) parts.push('429 counts as a failure and its Retry-After is kept');
  return parts.join(', ');
}

const cookieTexts = {
  store: 'Set-Cookie: with an explicit lifetime or public',
  refuse: 'Set-Cookie: never',
  strip: 'Set-Cookie: without that field',
};
const authorizationTexts = {
  standard: 'Authorization: where the response permits it',
  refuse: 'Authorization: never',
  share: 'Authorization: like anything else',
  confirm: 'Authorization: like anything else, used once the origin has let that client in',
};

function storedText(cache: RouteCacheConfig): string {
  return `${cookieTexts[cache.setCookie]}; ${authorizationTexts[cache.authorization]}`;
}

function abortText({ clientAbort: { policy, bytesLeft, completed } }: RouteCacheConfig): string {
  if (policy === 'continue') return 'what all clients have left is fetched on for the store';
  if (policy === 'stop') return 'what all clients have left is given up';
  const part = `${completed} of it is there`;
  return `what all clients have left is given up, unless ${part} or at most ${formatSize(bytesLeft)} lacks`;
}

function partsText({ slices }: RouteCacheConfig, isSliced: boolean): string {
  const { sliceBytes, concurrent, downloads } = slicesOf(slices, slices.downloads ?? isSliced);
  const length =
    sliceBytes === null ? 'what lacks of it at once' : `${formatSize(sliceBytes)} a request`;
  const whole = downloads ? 'in parallel slices' : 'in one';
  return `a range is fetched in whole chunks, ${length}, ${concurrent} at a time; whole bodies ${whole}`;
}

function cacheWord(config: Config, method: string, isPassed: boolean): string {
  if (!config.enableCache) return 'off (enable_cache: false)';
  if (isPassed) return 'pass (cache.pass: true)';
  if (method !== 'GET' && method !== 'HEAD') return `pass (${method} is not stored)`;
  return 'on';
}
