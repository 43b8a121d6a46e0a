// What is of this machine or of a private network, in every way of writing it.

import test from 'ava';
import { isInsideAddress } from '../../../ts/upstream/inside-address.js';

test('inside address: loopback, private, link-local and what embeds them', (t) => {
  const inside = [
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '127.0.0.1',
    '127.255.255.254',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '::7f00:1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    'fc00::1',
    'fdff::1',
    'fe80::1',
    'ff02::1',
    'localhost',
    '',
  ];
  for (const address of inside) t.true(isInsideAddress(address), address);
});

test('inside address: the public internet is outside', (t) => {
  const outside = [
    '1.1.1.1',
    '8.8.8.8',
    '172.15.0.1',
    '172.32.0.1',
    '100.128.0.1',
    '192.167.1.1',
    '223.255.255.255',
    '2606:4700::1111',
    '2a00:1450:4001::1',
  ];
  for (const address of outside) t.false(isInsideAddress(address), address);
});
