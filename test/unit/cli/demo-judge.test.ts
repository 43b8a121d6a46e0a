// The demo's judgement and table: a demo that could not fail would show nothing, so every kind of
// deviation is given to it here and has to become a sentence.

import test from 'ava';
import type { Download } from '../../../ts/cli/demo/download.js';
import { type Expectation, judge, judgeMemory } from '../../../ts/cli/demo/judge.js';
import { formatMs, formatTable, type Row } from '../../../ts/cli/demo/table.js';

const mib = 2 ** 20;

const expected: Expectation = {
  what: 'again',
  status: 200,
  words: ['HIT'],
  detail: 'memory',
  bodies: [{ sha256: 'aa', size: 10 }],
  originRequests: 0,
};

const right: Download = {
  status: 200,
  word: 'HIT',
  detail: 'memory',
  bytes: 10,
  sha256: 'aa',
  ttfbMs: 1,
  totalMs: 2,
};

test('judge: what is as expected has no sentence', (t) => {
  t.deepEqual(judge(expected, [right], 0), []);
});

test('judge: each deviation has its sentence', (t) => {
  const of = (change: Partial<Download>) => judge(expected, [{ ...right, ...change }], 0);
  t.deepEqual(of({ status: 502 }), ['again: status 502, expected 200']);
  t.deepEqual(of({ word: 'MISS' }), ['again: X-Cache "MISS", expected HIT']);
  t.deepEqual(of({ detail: 'disk' }), ['again: it came from "disk", expected memory']);
  t.deepEqual(of({ bytes: 9 }), ['again: 9 bytes, expected 10']);
  t.deepEqual(of({ sha256: 'ab' }), ['again: SHA-256 ab, expected aa']);
  t.deepEqual(judge(expected, [right], 1), ['again: the origin had 1 requests, expected 0']);
  t.deepEqual(judge(expected, [], 0), ['again: was not downloaded']);
});

test('judge: of several downloads the wrong one is named', (t) => {
  const bodies = [...expected.bodies, ...expected.bodies];
  const found = judge({ ...expected, bodies }, [right, { ...right, bytes: 0 }], 0);
  t.deepEqual(found, ['again, number 2: 0 bytes, expected 10']);
});

test('judge: memory is bound by limit, index and 100 MiB', (t) => {
  t.deepEqual(judgeMemory(201 * mib, 100 * mib, mib), []);
  t.is(judgeMemory(201 * mib + 1, 100 * mib, mib).length, 1);
  t.is(judgeMemory(0, 100 * mib, mib).length, 1, 'a peak that could not be read');
});

test('table: columns are aligned, numbers to the right', (t) => {
  const row: Row = {
    what: 'cold',
    outcome: 'MISS',
    ttfbMs: 4.25,
    totalMs: 1000,
    bytes: 100e6,
    originRequests: 1,
    memoryBytes: 200 * mib,
  };
  t.deepEqual(formatTable([row, { ...row, what: 'again', outcome: 'HIT memory', bytes: 0 }]), [
    '       outcome       TTFB    total  throughput  origin  memory',
    '-----  ----------  ------  -------  ----------  ------  ------',
    'cold   MISS        4.3 ms  1000 ms    100 MB/s       1  200MiB',
    'again  HIT memory  4.3 ms  1000 ms    0.0 MB/s       1  200MiB',
  ]);
});

test('table: times are written short', (t) => {
  t.is(formatMs(0.04), '0.0 ms');
  t.is(formatMs(9.94), '9.9 ms');
  t.is(formatMs(9999), '9999 ms');
  t.is(formatMs(10_400), '10 s');
});
