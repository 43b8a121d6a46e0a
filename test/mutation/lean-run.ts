// Runs test files in this process: `node lean-run.js FILE...`. The exit code says whether all tests pass.

import { register } from 'node:module';
import { pathToFileURL } from 'node:url';
import { runAll } from './lean-ava.js';

register('./lean-hooks.js', import.meta.url);
for (const file of process.argv.slice(2)) await import(pathToFileURL(file).href);
await runAll();
