// The house rules as functions from a file to a list of problems, and the tables they read. The tables are
// the rules: which layer may import which, which call is allowed where and why. tidy.test.ts runs them over
// the checkout, and over small made-up files, so that a rule that no longer fires is noticed.

import { posix } from 'node:path';
import { importsOf, includesOf, lineAt, type SourceFile, withoutComments } from './tree.js';

/** Who may import whom in ts/. `cli` is missing as a target everywhere: nothing imports it. */
const everything = [
  'http',
  'native',
  'store',
  'upstream',
  'config',
  'proxy',
  'lane',
  'observe',
  'admin',
  'leaf',
];
const layersOfTypeScript: Readonly<Record<string, readonly string[]>> = {
  leaf: [],
  http: ['leaf'],
  native: ['leaf'],
  store: ['http', 'native', 'leaf'],
  upstream: ['http', 'leaf'],
  config: ['leaf'],
  proxy: ['store', 'upstream', 'http', 'leaf'],
  lane: ['native', 'proxy', 'leaf'],
  observe: ['leaf'],
  admin: ['observe', 'leaf'],
  cli: [...everything, 'entry'],
  entry: everything,
};

/** What a layer may see the types of without loading the code. */
const typesOfTypeScript: Readonly<Record<string, readonly string[]>> = {
  admin: ['proxy', 'store'],
};

/** Files that everybody may import, and that import nothing but each other. */
const leaves: ReadonlySet<string> = new Set([
  'ts/units.ts',
  'ts/errors.ts',
  'ts/clock.ts',
  'ts/turns.ts',
  'ts/observe/channels.ts',
]);

/** The files that `exports` of package.json can name, and the assembly that they share with the CLI. */
const entries: ReadonlySet<string> = new Set([
  'ts/index.ts',
  'ts/system.ts',
  'ts/store.ts',
  'ts/undici.ts',
  'ts/express.ts',
  'ts/fastify.ts',
]);

/** Packages with one home: everything else publishes to observe/channels. */
const homeOfPackage: Readonly<Record<string, string>> = {
  pino: 'ts/observe/',
  'prom-client': 'ts/observe/',
};

const layersOfNative: Readonly<Record<string, readonly string[]>> = {
  base: [],
  layout: ['base'],
  device: ['base'],
  engine: ['base', 'layout', 'device'],
  lane: ['base', 'layout', 'device', 'engine'],
  addon: ['base', 'layout', 'device', 'engine', 'lane'],
};

/** The layer of a path below ts/; undefined for a root file that no table names. */
export function layerOf(path: string): string | undefined {
  if (leaves.has(path)) return 'leaf';
  if (entries.has(path)) return 'entry';
  const directory = /^ts\/([^/]+)\//.exec(path)?.[1];
  return directory !== undefined && directory in layersOfTypeScript ? directory : undefined;
}

/** The path that a relative import of a TypeScript file names. */
export function targetPath(from: string, target: string): string {
  return posix.join(posix.dirname(from), target).replace(/\.js$/, '.ts');
}

function mayImport(from: string, to: string, typeOnly: boolean): boolean {
  if (from === to || layersOfTypeScript[from]?.includes(to)) return true;
  if (!typeOnly) return false;
  // Configuration flows as values: everybody may name its types, nobody may run its code.
  return (to === 'config' && from !== 'leaf') || (typesOfTypeScript[from] ?? []).includes(to);
}

export function importProblems(file: SourceFile): string[] {
  const from = layerOf(file.path);
  if (from === undefined) return [`${file.path}: in no layer of test/support/rules.ts`];
  const problems: string[] = [];
  for (const { target, typeOnly, line } of importsOf(file.text)) {
    const place = `${file.path}:${line}`;
    const home = homeOfPackage[target];
    if (home !== undefined && !file.path.startsWith(home)) {
      problems.push(`${place}: ${target} is imported in ${home} only`);
    }
    if (!target.startsWith('.')) continue;
    const path = targetPath(file.path, target);
    const to = layerOf(path);
    if (to === undefined) problems.push(`${place}: ${path} is in no layer`);
    else if (!mayImport(from, to, typeOnly)) {
      problems.push(`${place}: ${from} may not import ${to} (${target})`);
    }
  }
  return problems;
}

export function includeProblems(file: SourceFile): string[] {
  const from = /^native\/([^/]+)\//.exec(file.path)?.[1] ?? '';
  const allowed = layersOfNative[from];
  if (allowed === undefined) return [`${file.path}: native/${from} is no layer`];
  const problems: string[] = [];
  for (const { target, line } of includesOf(file.text)) {
    const place = `${file.path}:${line}`;
    const isNode = /^(napi|node_api|js_native_api\w*)\.h$/.test(target);
    if (isNode && from !== 'addon')
      problems.push(`${place}: only native/addon knows Node (${target})`);
    // Node-API alone keeps one binary good for every major version of Node.
    if (/^(uv|v8|node)\.h$/.test(target)) problems.push(`${place}: ${target} is not stable ABI`);
  }
  for (const match of withoutComments(file.text).matchAll(
    /^[ \t]*#[ \t]*include[ \t]+"([^"]+)"/gm,
  )) {
    const place = `${file.path}:${lineAt(file.text, match.index)}`;
    const to = match[1]?.split('/')[0] ?? '';
    if (to !== from && !allowed.includes(to)) {
      problems.push(`${place}: ${from} may not include ${match[1]}`);
    }
  }
  return problems;
}

export interface CallRule {
  readonly what: string;
  /** Without the flag g. */
  readonly pattern: RegExp;
  readonly files: RegExp;
  readonly why: string;
  /** Path to reason. A path that has no such call any more is reported, so the list stays true. */
  readonly except: Readonly<Record<string, string>>;
}

/** One pattern of several that would not fit on a line. */
function anyOf(...patterns: readonly RegExp[]): RegExp {
  return new RegExp(patterns.map(({ source }) => source).join('|'));
}

export const callRules: readonly CallRule[] = [
  {
    what: 'the machine clock',
    pattern: /\bDate\.now\b|\bperformance\.now\b|\bprocess\.hrtime\b|\bnew Date\(\s*\)/,
    files: /^ts\/.*\.ts$/,
    why: 'time is handed in as a Clock, so that tests can step it',
    except: { 'ts/clock.ts': 'the one place that reads it' },
  },
  {
    what: 'setTimeout',
    pattern: /\bset(Timeout|Interval)\s*\(|['"](node:)?timers(\/promises)?['"]/,
    files: /^(ts|test)\/(?!tidy).*\.ts$/,
    why: 'a wait is a limit with a name and a test, never a sleep',
    except: {
      'ts/store/fill.ts':
        'follower grace: how long a producer waits for a reader nothing else serves; pages come back',
      'ts/store/format.ts': 'a look at the progress, five times a second',
      'ts/store/inspect.ts': 'a look at the progress, as above',
      'ts/upstream/request.ts':
        'limit from the wish to the head, the wait for a connection included',
      'ts/upstream/timers.ts':
        'waits between attempts and between health checks, for tests to replace',
      'ts/upstream/expecting-request.ts': 'limit of silence in a request that Node itself sends',
      'ts/proxy/proxy.ts': 'grace of a shutdown',
      'ts/cli/demo/throttle.ts': 'the demo origin sends at a given rate',
      'test/support/until.ts': 'the one place where tests wait for a fact, with a limit',
    },
  },
  {
    what: 'console',
    pattern: /\bconsole\s*\./,
    files: /^ts\/(?!cli\/).*\.ts$/,
    why: 'a library does not print; it publishes to observe/channels',
    except: {},
  },
  {
    what: 'Buffer.concat',
    pattern: /\bBuffer\.concat\b/,
    files: /^ts\/(proxy|store)\/.*\.ts$/,
    why: 'memory on the data path is bounded by pages, not by object size',
    except: {},
  },
  {
    what: "on('data')",
    pattern: /\.(on|once|addListener|prependListener)\(\s*['"`]data['"`]/,
    files: /^ts\/.*\.ts$/,
    why: 'it ignores back-pressure; use a pipeline or an async iterator',
    except: {},
  },
  {
    what: 'a default export',
    pattern: /\bexport\s+default\b|\bas\s+default\b/,
    files: /^(ts|test|bench)\/(?!tidy).*\.ts$/,
    why: 'a thing has one name, the one it is exported with',
    except: { 'test/mutation/lean-ava.ts': 'stands in for ava, which has one' },
  },
  {
    what: 'an enum or namespace',
    pattern: /^\s*(export\s+)?(declare\s+)?(const\s+)?(enum|namespace)\s+\w/m,
    files: /^(ts|test|bench)\/.*\.ts$/,
    why: 'a union of literals erases to nothing',
    except: {},
  },
  {
    what: 'a system call on files',
    pattern: anyOf(
      /\b(?:p(?:read|write)(?:v2?|64)?|(?:posix_)?fallocate|ftruncate|f(?:data)?sync)\s*\(/,
      /\b(?:flock|openat|io_uring_\w+)\s*\(|<fcntl\.h>/,
      // Not a member, not a declaration of Store::open, and with an argument.
      /(?<![\w:>.~]|Ref<Store>> )(?:::\s*)?\bopen\s*\(\s*[^)\s]/,
    ),
    files: /^native\/(?!device\/|test\/|fuzz\/|bench\/|sim\/).*\.(cc|h)$/,
    why: 'native/device is the only layer that touches the disk; the simulator replaces it',
    except: {},
  },
  {
    what: 'a library type above the symbol floor',
    pattern: anyOf(
      /\bstd::(?:j?thread|(?:recursive_|shared_|timed_)*mutex|condition_variable\w*)\b/,
      /\bstd::(?:shared_ptr|make_shared|weak_ptr|async|future|promise)\b/,
      /<(?:thread|mutex|shared_mutex|condition_variable|future)>|(?<!\w)f?stat(?:64|at)?\s*\(/,
    ),
    files: /^native\/(?!test\/|fuzz\/|bench\/|sim\/).*\.(cc|h)$/,
    why: 'it needs newer symbols than GLIBC_2.28 or GLIBCXX_3.4.25; use base/sync.h, Ref and statx',
    except: {},
  },
  {
    what: 'a clock, thread or random source past base',
    pattern: anyOf(
      /\b(?:clock_gettime|gettimeofday|nanosleep|usleep|sched_yield|getrandom|timespec_get)\s*\(/,
      /\bpthread_\w+\s*\(|\bstd::(?:chrono|random_device)\b|<(?:pthread|signal)\.h>/,
    ),
    files: /^native\/(?!base\/|test\/|fuzz\/|bench\/|sim\/).*\.(cc|h)$/,
    why: 'base/clock.h, base/sync.h and base/random.h are what the simulator replaces',
    except: {},
  },
];

export function callProblems(rule: CallRule, files: readonly SourceFile[]): string[] {
  const problems: string[] = [];
  for (const file of files.filter(({ path }) => rule.files.test(path))) {
    const code = withoutComments(file.text);
    const found = [...code.matchAll(new RegExp(rule.pattern, `g${rule.pattern.flags}`))];
    const isExcepted = Object.hasOwn(rule.except, file.path);
    if (isExcepted && found.length === 0) {
      problems.push(`${file.path}: is excepted from "${rule.what}" and does not need it any more`);
    }
    if (isExcepted) continue;
    for (const match of found) {
      problems.push(`${file.path}:${lineAt(code, match.index)}: ${rule.what}: ${rule.why}`);
    }
  }
  return problems;
}
