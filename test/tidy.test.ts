// The style rules of docs/STYLE.md that a machine can judge: import directions, sizes, forbidden calls,
// plain text. Lists that must equal other lists are in tidy-lists.test.ts and
// tidy-flow.test.ts. Every failure names the file, the line and the reason.

import test from 'ava';
import {
  type CallRule,
  callProblems,
  callRules,
  importProblems,
  includeProblems,
  layerOf,
  targetPath,
} from './support/rules.js';
import { filesMatching, importsOf, lineAt, textFiles, withoutComments } from './support/tree.js';

const typeScript = /^ts\/.*\.ts$/;
const native = /^native\/(base|layout|device|engine|lane|addon)\/.*\.(cc|h)$/;
const sources = /^(ts|test|bench|native)\/.*\.(ts|cc|h|inc|cjs|gypi|txt)$|^\.ci\/run$/;

/** Lines that a file should stay below, and lines that it must. */
const softLines = 300;
const hardLines = 450;
/** Path to [lines at most, reason]. */
const longFiles: Readonly<Record<string, readonly [number, string]>> = {};

// The formatters keep code within 100 columns; comments and texts are wrapped by hand and get some slack.
const hardColumns = 110;

test('imports: every TypeScript layer imports only the layers below it', (t) => {
  t.deepEqual(filesMatching(typeScript).flatMap(importProblems), []);
});

test('imports: a user of the store alone loads no proxy', (t) => {
  const files = new Map(filesMatching(typeScript).map((file) => [file.path, file]));
  const roots = [...files.keys()].filter((path) =>
    /^ts\/(store|undici)\.ts$|^ts\/store\//.test(path),
  );
  t.true(roots.length > 0);
  const reached = new Set(roots);
  for (const path of reached) {
    for (const { target, typeOnly } of importsOf(files.get(path)?.text ?? '')) {
      if (!typeOnly && target.startsWith('.')) reached.add(targetPath(path, target));
    }
  }
  const barred = ['proxy', 'upstream', 'lane', 'admin', 'cli'];
  t.deepEqual(
    [...reached].filter((path) => barred.includes(layerOf(path) ?? '')),
    [],
  );
});

test('imports: every native layer includes only the layers below it', (t) => {
  t.deepEqual(filesMatching(native).flatMap(includeProblems), []);
});

test('imports: the checker sees what is forbidden', (t) => {
  const ts = (path: string, text: string) => importProblems({ path, text }).length;
  t.is(ts('ts/http/range.ts', "import { x } from '../store/l1.js';\n"), 1);
  t.is(ts('ts/http/range.ts', "import type { X } from '../store/l1.js';\n"), 1);
  t.is(ts('ts/http/range.ts', "export * from '../proxy/route.js';\n"), 1);
  t.is(ts('ts/http/range.ts', "const x = await import('../cli/main.js');\n"), 1);
  t.is(ts('ts/proxy/route.ts', "import { load } from '../config/load.js';\n"), 1);
  t.is(ts('ts/proxy/route.ts', "import type { Config } from '../config/schema.js';\n"), 0);
  t.is(ts('ts/proxy/route.ts', "import pino from 'pino';\n"), 1);
  t.is(ts('ts/errors.ts', "import { x } from './http/range.js';\n"), 1);
  t.is(ts('ts/unknown.ts', ''), 1);
  t.is(
    ts('ts/http/range.ts', "// import { x } from '../store/l1.js';\nimport '../errors.js';\n"),
    0,
  );
  const cc = (path: string, text: string) => includeProblems({ path, text }).length;
  t.is(cc('native/layout/key.cc', '#include "device/device.h"\n'), 1);
  t.is(cc('native/layout/key.cc', '#include "../base/units.h"\n'), 1);
  t.is(cc('native/engine/ring.cc', '#include <napi.h>\n'), 1);
  t.is(cc('native/addon/addon.cc', '#include <napi.h>\n#include "engine/store.h"\n'), 0);
});

for (const rule of callRules) {
  test(`calls: ${rule.what} is used only where the table says`, (t) => {
    t.deepEqual(callProblems(rule, textFiles()), []);
  });
}

test('calls: every pattern finds what it forbids', (t) => {
  const examples: Readonly<Record<string, readonly [string, readonly string[]]>> = {
    'the machine clock': ['ts/proxy/a.ts', ['Date.now()', 'performance.now()', 'new Date()']],
    setTimeout: ['ts/proxy/a.ts', ['setTimeout(f, 1)', "import { x } from 'node:timers/promises'"]],
    console: ['ts/proxy/a.ts', ['console.log(1)']],
    'Buffer.concat': ['ts/store/a.ts', ['Buffer.concat([a])']],
    "on('data')": ['ts/proxy/a.ts', ["stream.on('data', f)", 'stream.once( "data", f)']],
    'a default export': ['ts/a.ts', ['export default 1', 'export { a as default }']],
    'an enum or namespace': ['ts/a.ts', ['export const enum A {}', 'namespace B {}']],
    'a system call on files': [
      'native/engine/a.cc',
      ['pwrite(fd, p, n, 0);', 'x = open("/x", 0);', '::open(path, 0);', '#include <fcntl.h>'],
    ],
    'a library type above the symbol floor': [
      'native/engine/a.cc',
      ['std::thread t;', '#include <mutex>', 'fstat(fd, &s);', 'std::shared_ptr<int> p;'],
    ],
    'a clock, thread or random source past base': [
      'native/engine/a.cc',
      ['clock_gettime(CLOCK_REALTIME, &now);', 'pthread_self();', '#include <signal.h>'],
    ],
  };
  t.deepEqual(Object.keys(examples).sort(), callRules.map(({ what }) => what).sort());
  for (const [what, [path, lines]] of Object.entries(examples)) {
    const rule = callRules.find((candidate) => candidate.what === what) as CallRule;
    for (const line of lines) {
      t.is(callProblems(rule, [{ path, text: `${line}\n` }]).length, 1, line);
      t.deepEqual(callProblems(rule, [{ path, text: `// ${line}\n` }]), [], `comment: ${line}`);
    }
  }
});

test('calls: opening a store is not opening a file', (t) => {
  const rule = callRules.find(({ what }) => what === 'a system call on files') as CallRule;
  const text = 'Store::open(options, nullptr);\nif (session->open()) return;\nbool open() const;\n';
  t.deepEqual(callProblems(rule, [{ path: 'native/engine/a.cc', text }]), []);
});

test('size: no file is longer than it may be', (t) => {
  const lines = (text: string) => text.split('\n').length - 1;
  const files = filesMatching(/^(ts|test|bench|native)\/.*\.(ts|cc|h)$/);
  for (const { path, text } of files) {
    const [limit, reason] = longFiles[path] ?? [hardLines, 'no exception'];
    t.true(lines(text) <= limit, `${path}: ${lines(text)} lines, at most ${limit} (${reason})`);
  }
  const stale = Object.keys(longFiles).filter(
    (path) => !files.some((file) => file.path === path && lines(file.text) > hardLines),
  );
  t.deepEqual(stale, [], 'exceptions that are not needed any more');
  const above = files.filter(({ path, text }) => path in longFiles || lines(text) > softLines);
  t.log(`${above.length} of ${files.length} files are above ${softLines} lines`);
});

test('size: no line is longer than it may be', (t) => {
  const long = filesMatching(sources).flatMap(({ path, text }) =>
    text
      .split('\n')
      .map((line, index) => ({ place: `${path}:${index + 1}`, length: line.length }))
      .filter(({ length }) => length > hardColumns)
      .map(({ place, length }) => `${place}: ${length} columns`),
  );
  t.deepEqual(long, []);
});

test('text: every source opens by saying what lives there', (t) => {
  const opening = /^(#![^\n]*\n)?(\/\/|\/\*|#) ?\S/;
  const commented = /\.(ts|cc|h|inc|cjs|gypi)$|CMakeLists\.txt$|\.clang-\w+$|^\.ci\/run$/;
  const mute = filesMatching(commented).filter(
    ({ text }) => !opening.test(text) || /^(#!|#pragma|#include)[^\n]*\n(?!#|\/\/)/.test(text),
  );
  t.deepEqual(
    mute.map(({ path }) => path),
    [],
  );
});

test('text: sources are plain ascii', (t) => {
  const found = filesMatching(sources).flatMap(({ path, text }) => {
    const match = /[^\n\x20-\x7e]/.exec(text);
    if (match === null) return [];
    const code = match[0].codePointAt(0)?.toString(16);
    return [`${path}:${lineAt(text, match.index)}: U+${code}`];
  });
  t.deepEqual(found, []);
});

test('text: nothing names a directory of one machine', (t) => {
  // Put together here, so that this file does not contain what it looks for.
  const names = ['home', 'root', 'work', 'Users', 'mnt/user'].join('|');
  const absolute = new RegExp(`(?:^|[\\s'"\`(=:,[])/(?:${names})/[\\w.@-]`, 'm');
  const found = textFiles().flatMap(({ path, text }) => {
    const match = absolute.exec(text);
    return match === null ? [] : [`${path}:${lineAt(text, match.index + 1)}: ${match[0].trim()}`];
  });
  t.deepEqual(found, []);
  t.true(absolute.test(['x = "', 'home', 'someone"'].join('/')));
});

test('text: nothing names a package registry to install from', (t) => {
  const host =
    /https?:\/\/([^\s/'"`:)]*(?:registry|artifactory|nexus|verdaccio|mirror)[^\s/'"`:)]*)/g;
  const setting =
    /^\s*"?(?:@[\w-]+:)?registry"?\s*[:=]|npm_config_registry|--(?:registry|index-url)\b/im;
  for (const { path, text } of textFiles()) {
    if (path.endsWith('package-lock.json')) {
      t.notRegex(text, /"resolved"\s*:\s*"https?:/, `${path}: a lock without hosts`);
    }
    for (const match of text.matchAll(host)) {
      t.fail(`${path}:${lineAt(text, match.index)}: ${match[1]}`);
    }
    if (path !== 'test/tidy.test.ts') t.notRegex(text, setting, path);
  }
});

test('tree: comments are told from strings and regular expressions', (t) => {
  const code = "const a = 'http://x'; // b\nconst c = /\\/*'[/]/; /* d */ f(`//`);\n";
  const expected = "const a = 'http://x';     \nconst c = /\\/*'[/]/;         f(`//`);\n";
  t.is(withoutComments(code), expected);
});
