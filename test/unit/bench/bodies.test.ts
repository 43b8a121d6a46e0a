// The bodies that the benchmark's origin generates: every byte is a function of name and offset, and the
// kinds are what their names say.

import { deflateRawSync } from 'node:zlib';
import test from 'ava';
import { notInEffect } from '../../../bench/support/option.js';
import {
  type BodyKind,
  bodyKinds,
  isBodyOf,
  kindOf,
  sliceOf,
} from '../../../bench/support/pattern.js';

const nameOf = (kind: BodyKind): string => `/size/2097152?n=1-1&kind=${kind}`;

test('bodies: a slice is the same from wherever it is taken', (t) => {
  for (const kind of bodyKinds) {
    const name = nameOf(kind);
    const whole = sliceOf(name, 0, 1_000_000);
    t.true(isBodyOf(name, 0, whole), kind);
    t.deepEqual(sliceOf(name, 70_001, 4096), whole.subarray(70_001, 74_097), kind);
    const wrong = Buffer.from(whole.subarray(0, 4096));
    wrong[4095] = (wrong[4095] ?? 0) ^ 1;
    t.false(isBodyOf(name, 0, wrong), kind);
    t.false(isBodyOf(name, 64, whole.subarray(0, 4096)), `${kind}, in the wrong place`);
  }
});

test('bodies: the kinds shrink as their names say', (t) => {
  const share = (kind: BodyKind): number =>
    deflateRawSync(sliceOf(nameOf(kind), 0, 262_144), { level: 1 }).length / 262_144;
  t.true(share('noise') > 0.95);
  t.true(share('text') < 0.6);
  t.true(share('sparse') < 0.1);
  t.is(kindOf('/size/1?n=1'), 'noise');
  t.is(kindOf('/size/1?kind=other'), 'noise');
});

test('bodies: an option without effect has a reason to be skipped', (t) => {
  t.is(notInEffect({ use_direct_io: true }), null);
  t.is(notInEffect({ io_backend: 'threads' }), null);
});
