// Builds the addon with node-gyp into build/Release: in a checkout by `npm run build:native`, at a user's by
// `npx millrace build-addon`. Uses the headers that are installed beside the running Node where they
// exist; otherwise node-gyp downloads them, and this script says so first.
const { spawnSync } = require('node:child_process');
const { existsSync, statSync } = require('node:fs');
const { dirname, join, resolve } = require('node:path');

const root = resolve(__dirname, '..');
const prefix = dirname(dirname(process.execPath));

function fail(message) {
  console.error(`millrace: ${message}`);
  process.exit(1);
}

// Our own in a checkout; at a user's the one that npm brings along.
function findNodeGyp() {
  const npmModules = [
    join(prefix, 'lib', 'node_modules', 'npm', 'node_modules'),
    join(dirname(process.execPath), 'node_modules', 'npm', 'node_modules'),
    join(prefix, 'share', 'nodejs', 'npm', 'node_modules'),
    join(prefix, 'share', 'nodejs'),
  ];
  try {
    return require.resolve('node-gyp/bin/node-gyp.js', { paths: [root, ...npmModules] });
  } catch {
    const bundled = npmModules.map((folder) => join(folder, 'node-gyp', 'bin', 'node-gyp.js'));
    return bundled.find((file) => existsSync(file)) ?? null;
  }
}

// Configured again when the list of sources or the settings are newer than the makefile made of them.
function isConfigured() {
  const makefile = join(root, 'build', 'Makefile');
  const settings = ['native/sources.txt', 'native/millrace.gypi', 'native/lz4.cjs', 'binding.gyp'];
  return (
    existsSync(makefile) &&
    settings.every((file) => statSync(join(root, file)).mtimeMs < statSync(makefile).mtimeMs)
  );
}

// Asked here first: gyp would bury the answer in a trace of its own.
const lz4 = spawnSync(process.execPath, [join(__dirname, 'lz4.cjs')], {
  stdio: 'pipe',
  encoding: 'utf8',
});
if (lz4.status !== 0) {
  process.stderr.write(lz4.stderr);
  process.exit(1);
}

const nodeGyp = findNodeGyp();
if (nodeGyp === null) {
  fail('node-gyp was not found beside this Node; install it with: npm install --global node-gyp');
}
const args = [nodeGyp, ...(isConfigured() ? ['build'] : ['configure', 'build']), '--release'];
if (existsSync(join(prefix, 'include', 'node', 'node_api.h'))) {
  args.push(`--nodedir=${prefix}`);
} else {
  console.error(
    `millrace: no Node headers in ${join(prefix, 'include', 'node')}; ` +
      `node-gyp will download those of Node ${process.version} (about 10 MB)`,
  );
}
const jobs = process.env.MILLRACE_BUILD_JOBS ?? '2';
const result = spawnSync(process.execPath, [...args, '--jobs', jobs, '--loglevel=error'], {
  cwd: root,
  stdio: ['ignore', 'pipe', 'pipe'],
  encoding: 'utf8',
  env: { ...process.env, MAKEFLAGS: '-s' },
});
if (result.status !== 0) {
  process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
  fail('the addon could not be built; it needs python3, make and g++ 12 or newer');
}
