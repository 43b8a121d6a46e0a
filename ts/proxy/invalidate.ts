// What a successful unsafe method makes of stored responses (RFC 9111 section 4.4): those of its target
// are invalid, and those that its answer names in Location and Content-Location, where they are of the same
// host. Nothing is written for URLs of which nothing is stored.

import { fieldLines, type RawFields } from '../http/fields.js';
import type { Exchange } from './exchange.js';

/** By the registry of methods; one that is not known is unsafe. */
const safeMethods = new Set([
  ...['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PROPFIND', 'REPORT', 'SEARCH', 'QUERY'],
]);

export function isUnsafe(method: string): boolean {
  return !safeMethods.has(method);
}

/** After a 2xx or 3xx to an unsafe method. `fields` are the answer's. */
export function invalidate(exchange: Exchange, fields: RawFields): void {
  const { services, key, host, scheme } = exchange;
  if (services.store === null) return;
  const keys = new Set([key, keyOf(services.routes, scheme, host, exchange.target) ?? key]);
  for (const name of ['location', 'content-location']) {
    for (const line of fieldLines(fields, name)) {
      const target = sameHostTarget(exchange, line);
      const named = target === null ? null : keyOf(services.routes, scheme, host, target);
      if (named !== null) keys.add(named);
    }
  }
  for (const named of keys) {
    services.store.purgeKey(named);
    services.fills.forget(named);
  }
}

/** Another host's URLs are none of this answer's business: it could empty a stranger's cache. */
function sameHostTarget(exchange: Exchange, reference: string): string | null {
  // A path as it stands: resolving it would tidy up what the key holds as it was sent.
  if (/^\/(?!\/)/.test(reference)) return reference.replace(/#.*$/, '');
  const base = `${exchange.scheme}://${exchange.host}${exchange.target}`;
  if (!URL.canParse(base) || !URL.canParse(reference, base)) return null;
  const own = new URL(base);
  const named = new URL(reference, base);
  return named.origin === own.origin ? `${named.pathname}${named.search}` : null;
}

/** The key under which a GET of this URL would be stored; null where no route takes it. */
export function keyOf(
  routes: Exchange['services']['routes'],
  scheme: Exchange['scheme'],
  host: string,
  target: string,
): string | null {
  const number = routes.table.match('GET', host, target);
  if (routes.rules[number] === undefined) return null;
  try {
    return routes.table.key(number, scheme, host, target);
  } catch {
    return null;
  }
}
