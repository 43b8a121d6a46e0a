// What a request would meet, in words: for `millrace check --url`. Uses the very table and rules that serve.

import type { Config } from '../config/schema.js';
import { ConfigError } from '../errors.js';
import { compileRoutes } from './routes.js';

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
  const origin = config.upstreams.get(rule.upstream)?.origin.origin ?? '(none)';
  const lifetimes = [...cache.ttlMs].map(([status, ms]) => `${status}: ${ms / 1000}s`).join(', ');
  return [
    `route:    ${number + 1} of ${routes.rules.length}`,
    `upstream: ${rule.upstream} (${origin})`,
    `key:      ${key}`,
    `cache:    ${cacheWord(config, method, cache.pass)}`,
    `ttl:      ${lifetimes === '' ? "the origin's" : lifetimes}${
      cache.overrideOrigin ? ', overriding the origin' : ''
    }`,
  ];
}

function cacheWord(config: Config, method: string, isPassed: boolean): string {
  if (!config.enableCache) return 'off (enable_cache: false)';
  if (isPassed) return 'pass (cache.pass: true)';
  if (method !== 'GET' && method !== 'HEAD') return `pass (${method} is not stored)`;
  return 'on';
}
