// Where the sources of liblz4 are: in a published package beside this file, in a checkout in the pinned
// devDependency lmdb, which ships them. Without arguments it prints that directory, for gyp and CMake;
// `--copy` (prepack) puts what a build needs, with its licence, into native/lz4; `--remove` (postpack)
// takes it away again. Nothing of it is in git, and a build without it fails with the way out.
const { copyFileSync, existsSync, mkdirSync, rmSync } = require('node:fs');
const { dirname, join } = require('node:path');

const shipped = join(__dirname, 'lz4');
const files = ['lz4.c', 'lz4.h', 'LICENSE'];

const isComplete = (directory) => files.every((name) => existsSync(join(directory, name)));

// lmdb's `exports` hide its package.json, so the way goes from its main file upwards.
function findInstalled() {
  let directory;
  try {
    directory = dirname(require.resolve('lmdb', { paths: [__dirname] }));
  } catch {
    return null;
  }
  while (directory !== dirname(directory)) {
    const sources = join(directory, 'dependencies', 'lz4', 'lib');
    if (isComplete(sources)) return sources;
    directory = dirname(directory);
  }
  return null;
}

function fail() {
  console.error(
    'millrace: the sources of liblz4 (lz4.c, lz4.h, LICENSE) were found neither in ' +
      `${shipped} nor in the devDependency lmdb. In a checkout run "npm ci"; ` +
      'in an installed package reinstall millrace.',
  );
  process.exit(1);
}

switch (process.argv[2]) {
  case '--copy': {
    const source = findInstalled() ?? fail();
    mkdirSync(shipped, { recursive: true });
    for (const name of files) copyFileSync(join(source, name), join(shipped, name));
    break;
  }
  case '--remove':
    rmSync(shipped, { recursive: true, force: true });
    break;
  default:
    console.log(isComplete(shipped) ? shipped : (findInstalled() ?? fail()));
}
