// The documents against what they describe: commands and links of the README, every block of YAML, every
// import in an example. What docs/ON-DISK-FORMAT.md says about bytes is held against the native sources in
// docs-format.test.ts, the picture of the flow in tidy-flow.test.ts.

import { posix } from 'node:path';
import test from 'ava';
import { loadConfig } from '../ts/config/load.js';
import { refusals } from '../ts/http/storable.js';
import * as entry from '../ts/index.js';
import { fileAt, filesMatching, lineAt, type SourceFile, textFiles } from './support/tree.js';

const documents = filesMatching(/\.md$/);
const readme = fileAt('README.md');

interface Block {
  readonly place: string;
  readonly text: string;
}

/** Fenced blocks that are marked with this language. */
function blocksOf(file: SourceFile, language: string): Block[] {
  const fence = new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm');
  return [...file.text.matchAll(fence)].map((match) => ({
    place: `${file.path}:${lineAt(file.text, match.index)}`,
    text: match[1] ?? '',
  }));
}

const withoutBlocks = (text: string): string => text.replace(/^```[\s\S]*?^```$/gm, '');

/** Targets of links that stay in the repository, without what follows a '#'. */
function relativeLinks(text: string): string[] {
  return [...withoutBlocks(text).matchAll(/\]\(([^)\s]+)\)/g)]
    .map((match) => (match[1] ?? '').split('#')[0] ?? '')
    .filter((target) => target !== '' && !/^[a-z]+:/.test(target));
}

/** Every path of the checkout that a link may name, directories included. */
function knownPaths(): ReadonlySet<string> {
  const known = new Set<string>();
  for (const { path } of textFiles()) {
    for (let at = path; at !== '.'; at = posix.dirname(at)) known.add(at);
  }
  return known;
}

test('readme: the two command lines are on the first screen, and their scripts exist', (t) => {
  const firstScreen = readme.text.split('\n').slice(0, 40).join('\n');
  const { scripts } = JSON.parse(fileAt('package.json').text) as { scripts: object };
  for (const [line, script] of [
    ['npm ci && npm run demo', 'demo'],
    ['npm ci && npm test', 'test'],
  ] as const) {
    t.regex(firstScreen, new RegExp(`^${line}\\b`, 'm'));
    t.true(script in scripts, script);
  }
  for (const need of ['npm', 'python3', 'make', 'g++']) {
    t.true(firstScreen.includes(need), `the first screen says that it needs ${need}`);
  }
});

test('readme: the version of Node that it asks for is that of package.json', (t) => {
  const { engines } = JSON.parse(fileAt('package.json').text) as { engines: { node: string } };
  const versions = [...engines.node.matchAll(/(\d+\.\d+)\.0/g)].map((match) => match[1] ?? '');
  t.true(versions.length > 0);
  const firstScreen = readme.text.split('\n').slice(0, 40).join('\n');
  for (const version of versions) t.true(firstScreen.includes(version), version);
});

test('readme: it stays below 200 lines', (t) => {
  t.true(readme.text.split('\n').length <= 200);
});

test('documents: every npm script that they name exists', (t) => {
  const { scripts } = JSON.parse(fileAt('package.json').text) as { scripts: object };
  const named = documents.flatMap(({ path, text }) =>
    [...text.matchAll(/npm run (?:--silent )?([\w:-]+)/g)].map((match) => [path, match[1] ?? '']),
  );
  t.true(named.length > 2);
  t.deepEqual(
    named.filter(([, script]) => !((script ?? '') in scripts)),
    [],
  );
});

test('documents: every command of millrace that they name exists', (t) => {
  const commands = new Set(
    [
      ...fileAt('ts/cli/main.ts').text.matchAll(/(?:\.command|withConfig|withPreset)\('([\w-]+)'/g),
    ].map((match) => match[1] ?? ''),
  );
  t.true(commands.has('serve') && commands.has('format'));
  const named = documents.flatMap(({ path, text }) =>
    [...text.matchAll(/npx millrace ([a-z][\w-]*)/g)].map((match) => [path, match[1] ?? '']),
  );
  t.true(named.length > 2);
  t.deepEqual(
    named.filter(([, command]) => !commands.has(command ?? '')),
    [],
  );
});

test('documents: every block of YAML is a configuration without problems', (t) => {
  const blocks = documents.flatMap((file) => blocksOf(file, 'yaml'));
  t.true(blocks.length > 0);
  for (const { place, text } of blocks) {
    const env: NodeJS.ProcessEnv = {};
    for (const match of text.matchAll(/\$\{(\w+)/g)) env[match[1] ?? ''] = 'value';
    t.notThrows(() => loadConfig({ path: place, text, env }), place);
  }
});

test('readme: its configuration is wholly in effect', (t) => {
  for (const { place, text } of blocksOf(readme, 'yaml')) {
    t.deepEqual(loadConfig({ path: place, text }).notInEffect, [], place);
  }
});

test('documents: examples import what the package exports', (t) => {
  const imports = documents
    .flatMap((file) => [...blocksOf(file, 'ts'), ...blocksOf(file, 'js')])
    .flatMap(({ text }) => [...text.matchAll(/import \{([^}]+)\} from 'millrace'/g)]);
  t.true(imports.length > 0);
  for (const match of imports) {
    for (const name of (match[1] ?? '').split(',').map((text) => text.trim())) {
      if (name !== '') t.true(name in entry, name);
    }
  }
});

test('documents: the options of the README program are a configuration', (t) => {
  const program = blocksOf(readme, 'ts')[0]?.text ?? '';
  const options = /createProxy\((\{[\s\S]*?\n\})\)/.exec(program)?.[1];
  t.truthy(options);
  // An object literal of plain values is YAML but for its last commas.
  const text = (options ?? '').replace(/,(\s*\})/g, '$1');
  t.deepEqual(loadConfig({ text }).notInEffect, []);
});

test('documents: every relative link leads to a file of the checkout', (t) => {
  const known = knownPaths();
  let count = 0;
  for (const { path, text } of documents) {
    for (const target of relativeLinks(text)) {
      count += 1;
      const named = posix.normalize(posix.join(posix.dirname(path), target)).replace(/\/$/, '');
      t.true(known.has(named), `${path}: ${target}`);
    }
  }
  t.true(count > 10);
});

test('documents: every source file that they name in full exists', (t) => {
  const known = knownPaths();
  const named = /`((?:ts|native|test|docs)\/[\w./-]+\.(?:ts|cc|h|inc|md|cjs|gypi|txt))`/g;
  for (const { path, text } of documents) {
    for (const match of withoutBlocks(text).matchAll(named)) {
      t.true(known.has(match[1] ?? ''), `${path}:${lineAt(text, match.index)}: ${match[1]}`);
    }
  }
});

test('documents: every detail that Cache-Status gives is explained', (t) => {
  const { text } = fileAt('docs/reference/cache-status.md');
  const explained = new Set([...text.matchAll(/`([a-z-]+)`/g)].map((match) => match[1]!));
  const given = new Set<string>(refusals);
  for (const { text: source } of filesMatching(/^ts\/proxy\/.*\.ts$/)) {
    for (const match of source.matchAll(/\b(?:detail|reason): '([a-z-]+)'/g)) given.add(match[1]!);
  }
  for (const path of ['ts/proxy/body-length.ts', 'ts/proxy/fill-memory.ts']) {
    for (const match of fileAt(path).text.matchAll(/[?] '([a-z-]+)'|return '([a-z-]+)'/g)) {
      given.add(match[1] ?? match[2]!);
    }
  }
  t.true(given.has('too-large') && given.has('memory') && given.has('request-body'));
  t.deepEqual(
    [...given].filter((word) => !explained.has(word)),
    [],
  );
});

test('documents: they are plain ascii', (t) => {
  const found = documents.flatMap(({ path, text }) => {
    const match = /[^\n\x20-\x7e]/.exec(text);
    return match === null ? [] : [`${path}:${lineAt(text, match.index)}`];
  });
  t.deepEqual(found, []);
});

test('documents: the reader of blocks and links finds what there is', (t) => {
  const text = 'a [b](c.md#d) [e](https://f)\n```yaml\nx: [1](2)\n```\n```sh\ny\n```\n';
  t.deepEqual(relativeLinks(text), ['c.md']);
  t.deepEqual(blocksOf({ path: 'p', text }, 'yaml'), [{ place: 'p:2', text: 'x: [1](2)\n' }]);
});
