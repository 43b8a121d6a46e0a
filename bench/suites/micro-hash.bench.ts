// Suite micro-hash: checksums, key hashes and the codecs of what is stored, native; keys and the codec of
// stored heads as JavaScript calls them.

import { completions } from '../../ts/native/completions.js';
import { decodeHead, encodeHead } from '../../ts/store/entry.js';
import { compileRouteTable, type RouteSpec } from '../../ts/store/route-table.js';
import type { Suite } from '../harness.js';
import { type MicroCase, measureCases } from '../micro/benny.js';
import { lz4Cases } from '../micro/lz4-cases.js';
import { measureNative } from '../micro/native.js';
import { headOfLength, keyOf, requestFields, target } from '../micro/samples.js';

export const microHashSuite: Suite = {
  name: 'micro-hash',
  title: 'Checksums, hashes, LZ4, keys, stored heads',
  about:
    'CRC32C by the CPU instruction and by table, SipHash of keys, LZ4 of one block by the library in the ' +
    'addon and by lz4-napi, record headers and stored heads encoded and decoded in C++; then route match, ' +
    'canonical key, variant key and the codec of stored heads as JavaScript calls them, the crossing ' +
    'into the addon included.',
  async run(context) {
    await measureNative(context, 'hash');
    await measureCases(context, [...javascriptCases(), ...lz4Cases()]);
  },
};

function routeOf(host: string, path: string): RouteSpec {
  return {
    host,
    path,
    patterns: [],
    methods: ['GET', 'HEAD'],
    query: 'keep',
    queryNames: [],
    sortQuery: false,
    keyHost: null,
  };
}

function javascriptCases(): MicroCase[] {
  const host = 'packages.example.com';
  const others = Array.from({ length: 9 }, (_, number) => routeOf(`cdn${number}.example.com`, '/'));
  const table = compileRouteTable([...others, routeOf(host, '/pool/')]);
  const { addon } = completions();
  const head = headOfLength(1024);
  const encoded = encodeHead(head);
  const key = keyOf(1);
  return [
    {
      name: 'route match, last of 10, through the addon',
      unit: 'ns',
      run: () => table.match('GET', host, target),
    },
    {
      name: 'canonical key, through the addon',
      unit: 'ns',
      run: () => table.key(9, 'http', host, target),
    },
    {
      name: 'variant key by Accept-Encoding, through the addon',
      unit: 'ns',
      run: () => addon.variantKey(key, 'accept-encoding\0', requestFields),
    },
    {
      name: 'stored head of 9 fields, encode in JavaScript',
      unit: 'ns',
      run: () => encodeHead(head),
    },
    {
      name: 'stored head of 9 fields, decode in JavaScript',
      unit: 'ns',
      run: () => decodeHead(encoded),
    },
  ];
}
