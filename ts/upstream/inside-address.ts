// Which addresses are not of the public internet: this machine, private networks, link-local (where clouds
// keep their metadata), multicast, and what embeds an IPv4 address in an IPv6 one.

import { BlockList, isIP } from 'node:net';

// Two lists: one would compare IPv4 addresses with ::/64 as well, by their mapped form.
const inside4 = new BlockList();
const inside6 = new BlockList();

for (const block of [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/3',
]) {
  const [address, prefix] = block.split('/');
  inside4.addSubnet(address!, Number(prefix), 'ipv4');
}

for (const block of [
  // Unspecified, loopback, IPv4-compatible and IPv4-mapped.
  '::/64',
  // Translated to IPv4, locally and not, and two ways of tunnelling it.
  '64:ff9b::/32',
  '2001::/32',
  '2002::/16',
  '100::/64',
  '2001:db8::/32',
  'fc00::/7',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
]) {
  const [address, prefix] = block.split('/');
  inside6.addSubnet(address!, Number(prefix), 'ipv6');
}

/** True for what is no address at all. */
export function isInsideAddress(address: string): boolean {
  const version = isIP(address);
  if (version === 0) return true;
  return version === 6 ? inside6.check(address, 'ipv6') : inside4.check(address, 'ipv4');
}
