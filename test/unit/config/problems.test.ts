// A configuration that is wrong: each case is a text and the lines that its author reads. The lines
// are compared word for word where the wording is the point, for it is the only help that somebody
// with a broken file has.

import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { suggest } from '../../../ts/config/explain.js';
import { type LoadOptions, loadConfig } from '../../../ts/config/load.js';
import { type ConfigError, MillraceError } from '../../../ts/errors.js';

const minimal = 'upstream_address: "a:1"\nenable_l2_cache: false\n';

function failure(options: LoadOptions): ConfigError {
  try {
    loadConfig({ path: 'm.yaml', env: {}, ...options });
  } catch (error) {
    if (error instanceof MillraceError) return error;
    throw error;
  }
  throw new Error('the configuration was accepted');
}

/** Lines about `text` below two good lines: the first one of `text` is line 3. */
const complaints = (text: string): string[] =>
  failure({ text: minimal + text }).message.split('\n');

test('config: an unknown key gives file, line, key and the key that was meant', (t) => {
  t.deepEqual(complaints('raw_disk_cache:\n  total_sise: 1GiB\n'), [
    'm.yaml:4: raw_disk_cache.total_sise: unknown key; did you mean total_size?',
  ]);
  t.deepEqual(complaints('l1-cache-size-bytes: 1MiB\n'), [
    'm.yaml:3: l1-cache-size-bytes: unknown key; did you mean l1_cache_size_bytes?',
  ]);
  t.deepEqual(complaints('device_path: /x\n'), [
    'm.yaml:3: device_path: unknown key; did you mean raw_disk_cache.device_path?',
  ]);
  t.deepEqual(complaints('timeouts: { log_level: info }\n'), [
    'm.yaml:3: timeouts.log_level: unknown key; did you mean log_level at the top level?',
  ]);
  t.deepEqual(complaints('timeouts: { wibble: 1 }\n'), [
    'm.yaml:3: timeouts.wibble: unknown key; ' +
      'allowed: connect, head, idle, total, client_idle, follower_grace, join',
  ]);
  t.deepEqual(complaints('__proto__: { a: 1 }\n').length, 1);
});

test('config: a wrong value gives what was found and what is allowed', (t) => {
  const cases: [string, string][] = [
    [
      'memory_limit: -5',
      'memory_limit: found -5; ' +
        'allowed: a size of at least 96MiB, for example "256MiB" or 268435456',
    ],
    ['enable_cache: yes', 'enable_cache: found "yes"; allowed: true or false'],
    ['l2_backend: disk', 'l2_backend: found "disk"; allowed: raw_disk or file'],
    ['timeouts: 5', 'timeouts: found 5; allowed: a map of keys'],
    ['slice_patterns: 5', 'slice_patterns: found 5; allowed: a list'],
    [
      'slice_patterns: ["models"]',
      'slice_patterns[0]: found "models"; allowed: a pattern of paths such as "/**/pool/*.deb" or ' +
        '"/blobs/[0-9a-f]{64}", of at most 255 elements',
    ],
    ['max_retries: 1.5', 'max_retries: found 1.5; allowed: a whole number from 0 to 100'],
    ['listen: []', 'listen: found a list; allowed: at least one value'],
    [
      'upstreams: { a: {} }',
      'upstreams.a.origins: missing; ' +
        'allowed: "host:port" or a http or https URL without path, query or credentials; ' +
        'or { url: ..., weight: 1 to 1000 }',
    ],
    [
      'raw_disk_cache: { block_size: 5000 }',
      'raw_disk_cache.block_size: found 5000; allowed: a power of two from 512 to 65536 (64KiB)',
    ],
    [
      'timeouts: { connect: 1w }',
      'timeouts.connect: found "1w"; allowed: a duration from 1ms to 1d, ' +
        'as seconds (10) or with a unit ("500ms", "10s", "1h")',
    ],
    [
      'routes: [{ cache: { ttl: { 20: 1h } } }]',
      'routes[0].cache.ttl.20: found the key "20"; ' +
        'allowed: a status from 200 to 599 in quotes, such as "200"',
    ],
  ];
  for (const [text, line] of cases) t.deepEqual(complaints(`${text}\n`), [`m.yaml:3: ${line}`]);
});

test('config: values at the edge of what is allowed', (t) => {
  const accepted = [
    'memory_limit: 96MiB\nl1_cache_size_bytes: 32MiB',
    'raw_disk_cache: { block_size: 512 }',
    'raw_disk_cache: { block_size: 65536 }',
    'raw_disk_cache: { total_size: 256MiB }',
    'l1_cache_size_bytes: 192MiB',
  ];
  for (const text of accepted) t.notThrows(() => loadConfig({ text: minimal + text }), text);
  const refused = [
    'memory_limit: 100663295',
    'raw_disk_cache: { block_size: 256 }',
    'raw_disk_cache: { block_size: 131072 }',
    'raw_disk_cache: { total_size: 268435455 }',
    'l1_cache_size_bytes: 201326593',
    'l1_cache_size_bytes: 9007199254740993',
    'cache_ttl: 0',
    'cache_ttl: .inf',
  ];
  for (const text of refused) t.is(complaints(`${text}\n`).length, 1, text);
});

test('config: addresses that cannot be meant are refused', (t) => {
  const listen = [
    '8080',
    'localhost',
    ':8080',
    '1.2.3:80',
    'a:65536',
    '::1:80',
    'unix:m.sock',
    'a b:1',
  ];
  for (const address of listen) t.is(complaints(`listen: "${address}"\n`).length, 1, address);
  const long = `unix:/${'x'.repeat(107)}`;
  t.is(complaints(`listen: "${long}"\n`).length, 1);
  const origins = [
    'a',
    'a:0',
    'ftp://a:1',
    'http://a/b',
    'http://a?b',
    'http://u:p@a',
    'http://',
    'a:x',
  ];
  for (const origin of origins) {
    t.is(complaints(`upstreams: { u: { origins: "${origin}" } }\n`).length, 1, origin);
  }
  for (const address of ['0.0.0.0:9000', 'example.com:9000', 'https://127.0.0.1:9000']) {
    t.is(complaints(`admin: { listen: "${address}" }\n`).length, 1, address);
  }
});

test('config: all problems are told at once, in the order of the file', (t) => {
  const text = 'cache_ttl: x\nlistn: "b:1"\nenable_l2_cache: false\nmemory_limit: 1\nlanes: -1\n';
  const keys = failure({ text })
    .message.split('\n')
    .map((line) => line.split(': ').slice(0, 2));
  t.deepEqual(keys, [
    ['m.yaml:1', 'cache_ttl'],
    ['m.yaml:2', 'listn'],
    ['m.yaml:4', 'memory_limit'],
    ['m.yaml:5', 'lanes'],
    ['m.yaml', 'upstream_address'],
  ]);
});

test('config: one slip is told once', (t) => {
  const text = 'enable_l2_cache: false\nupstream_adress: "a:1"\n';
  t.is(
    failure({ text }).message,
    'm.yaml:2: upstream_adress: unknown key; did you mean upstream_address?',
  );
  const device = 'upstream_address: "a:1"\nraw_disk_cache: { device_pth: /x }\n';
  t.is(
    failure({ text: device }).message,
    'm.yaml:2: raw_disk_cache.device_pth: unknown key; did you mean device_path?',
  );
});

test('config: L1 that leaves nothing for the rest names both sizes', (t) => {
  const [line] = complaints('memory_limit: 128MiB\n');
  t.is(
    line,
    'm.yaml:3: l1_cache_size_bytes: found 104857600 (100MiB); allowed: at most 67108864 (64MiB), ' +
      'which is memory_limit 134217728 (128MiB) less 64MiB for fills and disk I/O; ' +
      'lower l1_cache_size_bytes or raise memory_limit',
  );
});

test('config: requests must have somewhere to go', (t) => {
  const upstreams = 'enable_l2_cache: false\nupstreams: { hub: { origins: "a:1" } }\n';
  t.regex(failure({ text: upstreams }).message, /^m\.yaml: upstream_address: missing/);
  t.is(
    failure({ text: `${upstreams}routes:\n  - upstream: hubb\n` }).message,
    'm.yaml:4: routes[0].upstream: found "hubb"; allowed: hub; did you mean hub?',
  );
  t.is(
    failure({ text: `${upstreams}routes:\n  - match: {}\n` }).message,
    'm.yaml:4: routes[0].upstream: missing; allowed: hub',
  );
  t.regex(
    complaints('upstreams: { upstream_address: { origins: "b:1" } }\n')[0]!,
    /any other name/,
  );
});

test('config: each store needs to know where it is', (t) => {
  const address = 'upstream_address: "a:1"\n';
  t.regex(failure({ text: address }).message, /^m\.yaml: raw_disk_cache\.device_path: missing/);
  t.regex(
    failure({ text: `${address}raw_disk_cache: { device_path: /x, create: true }\n` }).message,
    /^m\.yaml:2: raw_disk_cache\.total_size: missing; create: true needs/,
  );
  t.regex(
    failure({ text: `${address}l2_backend: file\n` }).message,
    /^m\.yaml:2: l2_cache_dir: missing/,
  );
  t.notThrows(() => loadConfig({ text: `${address}raw_disk_cache: { device_path: /x }\n` }));
  t.notThrows(() => loadConfig({ text: `${address}l2_backend: file\nl2_cache_dir: /x\n` }));
  t.notThrows(() => loadConfig({ text: `${address}enable_cache: false\n` }));
});

test('config: an origin that is millrace itself is refused', (t) => {
  const loop = (origin: string, listen: string, more = '') =>
    failure({
      text: `enable_l2_cache: false\nupstream_address: "${origin}"\nlisten: "${listen}"\n${more}`,
    }).message;
  for (const [origin, listen] of [
    ['127.0.0.1:8080', '127.0.0.1:8080'],
    ['localhost:8080', '0.0.0.0:8080'],
    ['http://[::1]:8080', '[::]:8080'],
    ['http://127.0.0.1', '127.0.0.1:80'],
    ['Cache.example:81', 'cache.example:81'],
  ]) {
    t.regex(
      loop(origin!, listen!),
      /^m\.yaml:2: upstream_address: found .* millrace itself/,
      origin,
    );
  }
  t.regex(loop('localhost:90', '127.0.0.1:8080', 'admin: { listen: "127.0.0.1:90" }'), /itself/);
  for (const listen of ['127.0.0.1:8081', 'unix:/a', '127.0.0.2:8080']) {
    const text = `upstream_address: "127.0.0.1:8080"\nenable_cache: false\nlisten: "${listen}"\n`;
    t.notThrows(() => loadConfig({ text }), listen);
  }
});

test('config: an address is listened on once', (t) => {
  t.regex(complaints('listen: ["b:1", "b:1"]\n')[0]!, /^m\.yaml:3: listen\[1\]: found "b:1" twice/);
  t.regex(
    complaints('listen: "127.0.0.1:90"\nadmin: { listen: "127.0.0.1:90" }\n')[0]!,
    /^m\.yaml:4: admin\.listen: found "127\.0\.0\.1:90"/,
  );
  t.regex(complaints('listen: "https://b:1"\n')[0]!, /^m\.yaml:3: listen: found only https/);
  t.notThrows(() => loadConfig({ text: `${minimal}listen: ["127.0.0.1:0", "127.0.0.1:0"]\n` }));
});

test('config: problems of --set name the argument', (t) => {
  const of = (...set: string[]) => failure({ text: minimal, set }).message;
  t.is(
    of('raw_disk_cache.total_sise=1GiB'),
    '--set raw_disk_cache.total_sise: unknown key; did you mean total_size?',
  );
  t.regex(of('memory_limit=-5'), /^--set memory_limit: found -5; allowed: a size/);
  t.is(of('foo'), '--set foo: found "foo"; allowed: KEY=VALUE');
  t.regex(of('log_level.x=1', 'log_level.y.z=1'), /--set log_level/);
  t.regex(of('routes[4].upstream=a'), /^--set routes: found a map; allowed: a list/);
  const text = `${minimal}routes: [{}]\n`;
  const ofList = (set: string) => failure({ text, set: [set] }).message;
  t.regex(ofList('routes[1].upstream=a'), /^--set routes\[1\]\.upstream: routes\[1\] is neither/);
  t.regex(ofList('routes[1]=a'), /^--set routes\[1\]: allowed: .* from \[0\] to \[0\]/);
  t.regex(ofList('log_level=x'), /^--set log_level: found "x"/);
  t.regex(of('__proto__.polluted=1'), /unknown key/);
  t.false('polluted' in {});
});

test('config: the programmatic form is refused in the same words', (t) => {
  const input = { upstream_address: 'a:1', enable_l2_cache: false, memory_limit: -5 };
  t.regex(failure({ input }).message, /^options: memory_limit: found -5; allowed: a size/);
  const circular: Record<string, unknown> = { upstream_address: 'a:1' };
  circular.routes = circular;
  t.regex(failure({ input: circular }).message, /options: routes: found a map; allowed: a list/);
});

test('config: secrets are not repeated', (t) => {
  const env = { TOKEN: 'hush' };
  const token = failure({ text: `${minimal}purge: { auth_token: [hush] }\n`, env });
  t.notRegex(token.message, /hush/);
  const origin = failure({
    text: 'upstream_address: "http://me:hush@a"\nenable_l2_cache: false\n',
  });
  t.notRegex(origin.message, /hush/);
});

test('config: text that is not YAML gives line and column', (t) => {
  t.regex(failure({ text: 'a: 1\nb: "x\n' }).message, /^m\.yaml:\d+:\d+: not YAML: /);
  t.regex(
    failure({ text: `${minimal}log_level: a\nlog_level: b\n` }).message,
    /^m\.yaml:4:1: not YAML/,
  );
  t.is(failure({ text: '- a\n' }).message, 'm.yaml: found a list; allowed: a map of keys');
  t.is(failure({ text: 'hello\n' }).message, 'm.yaml: found "hello"; allowed: a map of keys');
});

test('config: hostile YAML ends in a problem, not in a crash', (t) => {
  const laughs = ['a: &a [x, x, x, x, x, x, x, x, x]'];
  for (let step = 1; step < 12; step += 1) {
    const before = String.fromCharCode(96 + step);
    const name = String.fromCharCode(97 + step);
    laughs.push(`${name}: &${name} [${`*${before}, `.repeat(8)}*${before}]`);
  }
  const texts = [
    laughs.join('\n'),
    '['.repeat(200_000),
    '- '.repeat(100_000),
    '{a: '.repeat(50_000),

    'a: *nobody\n',
    'a: &b\n  c: *b\n',
    '\u0000',
  ];
  for (const text of texts) t.is(failure({ text }).code, 'ERR_MILLRACE_CONFIG_INVALID');
});

test('config: a file that cannot be read says what to do', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-config-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const missing = join(directory, 'none.yaml');
  t.like(failure({ path: missing }), {
    code: 'ERR_MILLRACE_CONFIG_UNREADABLE',
    message: `cannot read ${missing}: there is no such file; create it, or name another`,
  });
  t.regex(failure({ path: directory }).message, /it is a directory; name the file in it$/);
  const large = join(directory, 'large.yaml');
  writeFileSync(large, '');
  truncateSync(large, 256 * 1024 + 1);
  t.is(failure({ path: large }).code, 'ERR_MILLRACE_CONFIG_UNREADABLE');
});

test('config: a suggestion is made for a slip and not for another word', (t) => {
  const keys = ['total_size', 'block_size', 'create'];
  t.is(suggest('total_sise', keys), 'total_size');
  t.is(suggest('toatl_size', keys), 'total_size');
  t.is(suggest('Block-Size', keys), 'block_size');
  t.is(suggest('creat', keys), 'create');
  t.is(suggest('wibble', keys), null);
  t.is(suggest('x'.repeat(100_000), keys), null);
});

test('config: of several devices, the one at fault is named by its place', (t) => {
  const list = (items: string) => `upstream_address: "a:1"\nraw_disk_cache:\n${items}`;
  const lines = (items: string) => failure({ text: list(items) }).message.split('\n');
  t.deepEqual(lines('  - device_path: /a\n  - device_pth: /b\n'), [
    'm.yaml:4: raw_disk_cache[1].device_pth: unknown key; did you mean device_path?',
  ]);
  t.deepEqual(lines('  - device_path: /a\n  - device_path: /a\n'), [
    'm.yaml:4: raw_disk_cache[1].device_path: found "/a" twice; allowed: once',
  ]);
  t.regex(
    lines('  - device_path: /a\n  - create: false\n')[0]!,
    /raw_disk_cache\[1\]\.device_path: missing/,
  );
  t.deepEqual(lines('  - device_path: /a\n  - { device_path: /b, enable_compression: false }\n'), [
    'm.yaml:4: raw_disk_cache[1].enable_compression: found false, and true for the first device; ' +
      'allowed: the same for all',
  ]);
  for (const key of ['enable_prefetch', 'enable_zero_copy']) {
    t.regex(
      failure({ text: list(`  - { device_path: /a, ${key}: false }\n  - device_path: /b\n`) })
        .message,
      new RegExp(`raw_disk_cache\\[1\\]\\.${key}: found true, and false for the first device`),
    );
  }
  const five = ['a', 'b', 'c', 'd', 'e'].map((name) => `  - device_path: /${name}\n`).join('');
  t.regex(
    failure({ text: `${list(five)}memory_limit: 96MiB\nl1_cache_size_bytes: 16MiB\n` }).message,
    /raw_disk_cache: found 5 devices; allowed: at most 4 with memory_limit/,
  );
  t.notThrows(() => loadConfig({ text: list('  - device_path: /a\n  - device_path: /b\n') }));
});
