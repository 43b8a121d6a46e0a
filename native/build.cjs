// Builds the addon with node-gyp into build/Release. Uses the headers that are installed beside the
// running Node where they exist; otherwise node-gyp downloads them, and this script says so first.
const { spawnSync } = require('node:child_process');
const { existsSync, statSync } = require('node:fs');
const { dirname, join, resolve } = require('node:path');

const root = resolve(__dirname, '..');
const prefix = dirname(dirname(process.execPath));
const args = [require.resolve('node-gyp/bin/node-gyp.js')];
// Configured again when the list of sources or the settings are newer than the makefile made of them.
const makefile = join(root, 'build', 'Makefile');
const settings = ['native/sources.txt', 'native/millrace.gypi', 'binding.gyp'];
const isConfigured =
  existsSync(makefile) &&
  settings.every((file) => statSync(join(root, file)).mtimeMs < statSync(makefile).mtimeMs);
args.push(...(isConfigured ? ['build'] : ['configure', 'build']), '--release');
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
  process.stderr.write(result.stdout + result.stderr);
  console.error('millrace: the addon could not be built; it needs python3, make and g++ 12 or newer');
  process.exit(1);
}
