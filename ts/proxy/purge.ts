// Step purge: the PURGE method on the public listener, for the one URL that the request names. Only where
// the configuration allows it, and only with its token or from one of its addresses.

import { createHash, timingSafeEqual } from 'node:crypto';
import { BlockList, isIP } from 'node:net';
import type { PurgeConfig } from '../config/schema.js';
import { ClientError } from '../errors.js';
import { fieldLines, type RawFields } from '../http/fields.js';
import type { Exchange, StepName } from './exchange.js';
import { purgeUrl } from './purge-request.js';

export async function purge(exchange: Exchange): Promise<StepName> {
  const { services, host, target, fields } = exchange;
  const config = services.config.purge;
  exchange.handling = { hit: false, forward: 'method', detail: 'purge' };
  if (!config.enabled) {
    throw new ClientError(
      'CLIENT_METHOD_NOT_ALLOWED',
      'PURGE is not enabled on this listener: set purge.enabled, or use the admin listener',
    );
  }
  if (!isAllowed(exchange, config)) {
    services.counters.purgesDenied += 1;
    const isNamed = config.authToken !== null && tokenOf(fields) === null;
    throw isNamed
      ? new ClientError('CLIENT_UNAUTHORIZED', 'PURGE needs the token of purge.auth_token')
      : new ClientError(
          'CLIENT_FORBIDDEN',
          'PURGE is not allowed with this token or from this address',
        );
  }
  const soft = isSoft(fields);
  const report = await purgeUrl(services, `${exchange.scheme}://${host}${target}`, soft);
  const body = Buffer.from(`${JSON.stringify({ purged: report })}\n`);
  exchange.response.writeHead(200, 'OK', [
    'Content-Type',
    'application/json; charset=utf-8',
    'Content-Length',
    `${body.length}`,
    'Cache-Control',
    'no-store',
  ]);
  exchange.response.end(body);
  exchange.sentStatus = 200;
  exchange.sentBytes = body.length;
  return 'finish';
}

/** `Soft-Purge: 1`, or by the name that one other cache has for it. */
function isSoft(fields: RawFields): boolean {
  return ['soft-purge', 'fastly-soft-purge'].some((name) => fieldLines(fields, name)[0] === '1');
}

/** From Authorization or X-Purge-Token; null where neither is there. */
function tokenOf(fields: RawFields): string | null {
  const bearer = /^bearer +(\S+) *$/i.exec(fieldLines(fields, 'authorization')[0] ?? '')?.[1];
  return bearer ?? fieldLines(fields, 'x-purge-token')[0] ?? null;
}

function isAllowed(exchange: Exchange, config: PurgeConfig): boolean {
  const token = tokenOf(exchange.fields);
  if (config.authToken !== null && token !== null && isSame(token, config.authToken)) return true;
  const address = exchange.socket.remoteAddress?.replace(/^::ffff:/i, '');
  if (address === undefined) return false;
  const allowed = new BlockList();
  for (const block of config.allow) allowed.addSubnet(block.address, block.prefix, block.family);
  return isIP(address) !== 0 && allowed.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

/** In a time that tells neither where they differ nor how long the right one is. */
function isSame(given: string, wanted: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text, 'utf8').digest();
  return timingSafeEqual(digest(given), digest(wanted));
}
