// What a client says about the way its request came: believed from the proxies that the configuration
// names, else overwritten. What is believed becomes part of the key, so that it cannot choose a response
// for others (cache poisoning).

import { BlockList, isIP } from 'node:net';
import type { AddressBlock } from '../config/values.js';
import { fieldLines } from '../http/fields.js';
import type { Exchange } from './exchange.js';

/** Null where nobody is trusted. */
export function trustedPeers(blocks: readonly AddressBlock[]): BlockList | null {
  if (blocks.length === 0) return null;
  const list = new BlockList();
  for (const { address, prefix, family } of blocks) list.addSubnet(address, prefix, family);
  return list;
}

export function isListed(list: BlockList, remoteAddress: string | undefined): boolean {
  const address = remoteAddress?.replace(/^::ffff:/i, '') ?? '';
  const family = isIP(address);
  return family !== 0 && list.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

/** Scheme and host that a trusted proxy tells; anything but one plain value is left aside. */
export function takeForwarded(exchange: Exchange): void {
  const { trusted } = exchange.services;
  if (trusted === null || !isListed(trusted, exchange.socket.remoteAddress)) return;
  exchange.isPeerTrusted = true;
  const scheme = onlyValue(exchange, 'x-forwarded-proto')?.toLowerCase();
  if (scheme === 'http' || scheme === 'https') exchange.scheme = scheme;
  const host = onlyValue(exchange, 'x-forwarded-host');
  // The key is made from it next, and refuses what is no host.
  if (host !== undefined && host !== '' && !host.includes(',')) exchange.host = host;
}

function onlyValue({ fields }: Exchange, name: string): string | undefined {
  const lines = fieldLines(fields, name);
  return lines.length === 1 ? lines[0]! : undefined;
}
