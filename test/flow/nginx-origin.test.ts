// A real nginx as origin and a real curl as client: conditions, ranges, Vary, stale answers, invalidation.
// The transcript is docs/reference/nginx-transcript.md; here it is played again and compared.

import test from 'ava';
import { missingPrograms, playTranscript, transcriptPath } from '../support/nginx-transcript.js';
import { fileAt } from '../support/tree.js';

const missing = missingPrograms();
const play = missing.length === 0 ? test : test.skip;

play(
  missing.length === 0
    ? 'nginx: the transcript is what happens'
    : `nginx: the transcript is not played, because ${missing.join(' and ')} is not installed`,
  async (t) => {
    t.timeout(60_000);
    t.is(await playTranscript(), fileAt(transcriptPath).text);
  },
);
