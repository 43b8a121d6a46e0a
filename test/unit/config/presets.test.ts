// Presets: each one is a configuration wholly in effect, lies under what its user writes, and stands in the
// document word for word. And patterns of paths, which the schema judges and the addon compiles.

import { readFileSync } from 'node:fs';
import test from 'ava';
import { loadConfig } from '../../../ts/config/load.js';
import { presetNames, presets } from '../../../ts/config/presets.js';
import { compileRoutes } from '../../../ts/proxy/routes.js';

const base = 'upstream_address: "https://origin.example.com"\nenable_l2_cache: false\n';
const page = readFileSync('docs/reference/presets.md', 'utf8');

test('presets: each one is a configuration that is wholly in effect', (t) => {
  for (const name of presetNames) {
    const { config, notInEffect } = loadConfig({ text: `${base}preset: ${name}\n` });
    t.deepEqual(notInEffect, [], name);
    t.true(config.routes.length > 2, name);
    t.notThrows(() => compileRoutes(config), name);
    t.deepEqual(loadConfig({ text: base + presets[name].text }).config, config, name);
  }
});

test('presets: the document has the text of each', (t) => {
  const blocks = [...page.matchAll(/^```yml\n([\s\S]*?)^```$/gm)].map((match) => match[1]);
  t.deepEqual(
    blocks,
    presetNames.map((name) => presets[name].text),
  );
});

test('presets: what is written counts, and its routes come first', (t) => {
  const text = `${base}preset: npm
routes:
  - match: { path: /-/ }
    cache: { ttl: { "200": 5s } }
`;
  const own = loadConfig({ text }).config.routes;
  const plain = loadConfig({ text: `${base}preset: npm\n` }).config.routes;
  t.is(own.length, plain.length + 1);
  t.deepEqual([...own[0]!.cache.ttlMs], [[200, 5000]]);
  t.deepEqual(own.slice(1), plain);
  const input = { preset: 'npm', upstream_address: 'a:1', enable_l2_cache: false } as const;
  t.is(loadConfig({ input }).config.routes.length, plain.length);
  t.is(
    loadConfig({ set: ['preset=npm', 'upstream_address=a:1', 'enable_l2_cache=false'] }).source,
    'command line',
  );
});

test('presets: without an origin the one problem is that', (t) => {
  const error = t.throws(() => loadConfig({ text: 'preset: hf\nenable_l2_cache: false\n' }));
  t.regex(error?.message ?? '', /^[^\n]*upstream_address: missing[^\n]*$/);
  const unknown = t.throws(() => loadConfig({ text: `${base}preset: helm\n` }));
  t.regex(unknown?.message ?? '', /:3: preset: found "helm"; allowed: one of hf, oci/);
});

const good = [
  '/',
  '/a',
  '/**/pool/**',
  '/*.deb',
  '/x/[0-9a-f]{40}/y',
  '/**.m4[av]',
  '/[a-]',
  '/a*b**',
];
const bad = [
  '',
  'a',
  '*',
  '/***',
  '/[',
  '/[]',
  '/[z-a]',
  '/]',
  '/a{2}',
  '/[a]{0}',
  '/[a]{256}',
  '/a?b',
  '/a b',
];

test('patterns: the schema takes what the addon compiles, and nothing else', (t) => {
  const plain = loadConfig({ text: base }).config.routes[0]!;
  const long = [`/${'a'.repeat(254)}`, '/[0-9]{254}', '/[0-9]{200}[a-f]{54}'];
  const tooLong = [`/${'a'.repeat(255)}`, '/[0-9]{255}', '/[0-9]{200}[a-f]{55}'];
  const isTaken = (pattern: string) => {
    try {
      loadConfig({
        input: {
          upstream_address: 'a:1',
          enable_l2_cache: false,
          routes: [{ match: { path_pattern: pattern } }],
        },
      });
      return true;
    } catch {
      return false;
    }
  };
  const isCompiled = (pattern: string) => {
    try {
      compileRoutes({
        ...loadConfig({ text: base }).config,
        routes: [{ ...plain, match: { ...plain.match, patterns: [pattern] } }],
      });
      return true;
    } catch {
      return false;
    }
  };
  for (const pattern of [...good, ...long])
    t.true(isTaken(pattern) && isCompiled(pattern), pattern);
  for (const pattern of [...bad, ...tooLong]) t.false(isTaken(pattern), pattern);
  for (const pattern of tooLong) t.false(isCompiled(pattern), pattern);
});

test('patterns: each preset tells the paths of its ecosystem apart', (t) => {
  const commit = 'a'.repeat(40);
  const digest = 'b'.repeat(64);
  const places: Readonly<Record<string, readonly (readonly [string, number])[]>> = {
    hf: [
      [`/org/model/resolve/${commit}/w/model.safetensors`, 0],
      [`/datasets/org/data/resolve/${commit}/a.parquet`, 0],
      ['/org/model/resolve/main/config.json', 1],
      ['/api/models/org/model/revision/main', 2],
      ['/login', 3],
    ],
    oci: [
      [`/v2/a/b/blobs/sha256:${digest}`, 0],
      [`/v2/a/manifests/sha256:${digest}`, 1],
      ['/v2/a/b/manifests/latest', 2],
      ['/v2/', 3],
      ['/v2/a/tags/list', 3],
      ['/v2/a/blobs/uploads/', 3],
    ],
    npm: [
      ['/-/npm/v1/security/audits', 0],
      ['/left-pad/-/left-pad-1.3.0.tgz', 1],
      ['/@scope/name/-/name-1.0.0.tgz', 1],
      ['/@scope%2fname', 2],
    ],
    apt: [
      ['/debian/pool/main/h/hello/hello_2.10_amd64.deb', 0],
      ['/debian/dists/stable/main/binary-amd64/by-hash/SHA256/x', 0],
      ['/flat/hello_2.10_amd64.deb', 0],
      ['/debian/dists/stable/InRelease', 1],
      ['/flat/Packages.gz', 1],
    ],
    hls: [
      ['/v/720p/index.m3u8', 0],
      ['/v/manifest.mpd', 0],
      ['/v/720p/seg-1.ts', 1],
      ['/v/init.mp4', 1],
      ['/v/poster.jpg', 2],
    ],
  };
  t.deepEqual(Object.keys(places), [...presetNames]);
  for (const name of presetNames) {
    const { config } = loadConfig({ text: `${base}preset: ${name}\n` });
    const { table } = compileRoutes(config);
    for (const [path, route] of places[name]!) t.is(table.match('GET', 'h', path), route, path);
  }
});
