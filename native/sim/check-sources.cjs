// Fails unless a configured simulator compiles exactly the engine that ships: every source of sources.txt
// outside the addon, but for those of replaced.txt. Reads what the compiler is really told.
//
//   node native/sim/check-sources.cjs build/native-sim

const { readFileSync } = require('node:fs');
const { join, relative, resolve } = require('node:path');

const native = resolve(__dirname, '..');
const build = process.argv[2];
if (build === undefined) {
  process.stderr.write('usage: node native/sim/check-sources.cjs BUILD-DIRECTORY\n');
  process.exit(2);
}

const lines = (path) => readFileSync(join(native, path), 'utf8').split('\n').filter(Boolean);
const replaced = lines('sim/replaced.txt');
const shipped = lines('sources.txt').filter(
  (path) => !path.startsWith('addon/') && !replaced.includes(path),
);
const commands = JSON.parse(readFileSync(join(build, 'compile_commands.json'), 'utf8'));
const problems = [];
for (const target of ['millrace-sim', 'millrace-sim-full']) {
  const compiled = commands
    .filter(({ command }) => command.includes(`CMakeFiles/${target}.dir/`))
    .map(({ directory, file }) => relative(native, resolve(directory, file)))
    .filter((path) => !path.startsWith('sim/'));
  for (const path of shipped) {
    if (!compiled.includes(path)) problems.push(`${target} does not compile ${path}`);
  }
  for (const path of compiled) {
    if (!shipped.includes(path)) problems.push(`${target} compiles ${path}, which does not ship`);
  }
}
for (const path of replaced) {
  if (!lines('sources.txt').includes(path)) problems.push(`${path} is replaced and does not exist`);
}
for (const problem of problems) process.stderr.write(`${problem}\n`);
if (problems.length > 0) process.exit(1);
process.stdout.write(`the simulator compiles the ${shipped.length} sources that ship\n`);
