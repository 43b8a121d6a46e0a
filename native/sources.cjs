// Prints the one source list (sources.txt) for gyp, one path per line relative to binding.gyp.
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const lines = readFileSync(join(__dirname, 'sources.txt'), 'utf8').split('\n').filter(Boolean);
console.log(lines.map((line) => `native/${line}`).join('\n'));
