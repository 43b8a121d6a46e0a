// The few words of ava that the tests of ts/http use, without its processes: a mutant is judged in a third of
// a second and not in two. Only the mutator puts it in ava's place, and only after all tests have passed
// with it; a word that is missing here fails them then.

import assert from 'node:assert/strict';

const assertions = {
  is: (found: unknown, wanted: unknown) => assert.ok(Object.is(found, wanted)),
  true: (found: unknown) => assert.equal(found, true),
  false: (found: unknown) => assert.equal(found, false),
  deepEqual: (found: unknown, wanted: unknown) => assert.deepEqual(found, wanted),
  like(found: Record<string, unknown>, wanted: Record<string, unknown>) {
    for (const [name, value] of Object.entries(wanted)) assert.deepEqual(found[name], value);
  },
  notThrows: (run: () => unknown) => void run(),
  pass() {},
};

type Run = (t: typeof assertions) => unknown;

const runs: Run[] = [];

/** In place of ava's. */
// biome-ignore lint/style/noDefaultExport: ava's is one
export default function test(_title: string, run: Run): void {
  runs.push(run);
}

/** Rejects with what the first test that fails throws. */
export async function runAll(): Promise<void> {
  for (const run of runs) await run(assertions);
}
