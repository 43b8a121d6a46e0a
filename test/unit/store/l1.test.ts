// The S3-FIFO policy over made-up slots.

import test from 'ava';
import fc from 'fast-check';
import { L1Policy, removedEvent } from '../../../ts/store/l1.js';

const slots = 64;

function fixture() {
  const views = {
    sizes: new Uint32Array(slots),
    hits: new Uint8Array(slots),
    hashes: new Uint32Array(slots),
  };
  const policy = new L1Policy(views);
  let generation = 0;
  return {
    views,
    policy,
    add(slot: number, size: number, hash: number) {
      views.sizes[slot] = size;
      views.hashes[slot] = hash;
      views.hits[slot] = 0;
      generation += 1;
      policy.apply(Uint32Array.of(slot, generation), 1);
      return generation;
    },
    remove(slot: number) {
      views.sizes[slot] = 0;
      policy.apply(Uint32Array.of((slot | removedEvent) >>> 0, generation), 1);
    },
    victims(bytes: number, count = slots) {
      const pairs = new Uint32Array(2 * count);
      const found = policy.selectVictims({ bytes, slots }, pairs);
      return [...pairs.subarray(0, 2 * found)].filter((_, index) => index % 2 === 0);
    },
  };
}

test('l1: records leave in the order they came while nothing is hit', (t) => {
  const l1 = fixture();
  for (let slot = 0; slot < 4; slot += 1) l1.add(slot, 100, slot);
  t.deepEqual(l1.victims(200), [0, 1]);
  t.is(l1.policy.bytes, 200);
});

test('l1: a record that was hit twice on its way survives one that was not', (t) => {
  const l1 = fixture();
  l1.add(0, 100, 10);
  l1.views.hits[0] = 2;
  l1.add(1, 100, 11);
  l1.add(2, 100, 12);
  t.deepEqual(l1.victims(100), [1, 2]);
});

test('l1: what comes back after it was evicted goes to main and outlives newcomers', (t) => {
  const l1 = fixture();
  l1.add(0, 100, 77);
  t.deepEqual(l1.victims(0), [0]);
  l1.remove(0);
  l1.add(1, 100, 77);
  for (let slot = 2; slot < 12; slot += 1) l1.add(slot, 100, slot);
  t.false(l1.victims(200).includes(1));
});

test('l1: a removed record is forgotten, a replaced one is counted once', (t) => {
  const l1 = fixture();
  l1.add(0, 100, 1);
  l1.add(0, 300, 1);
  t.is(l1.policy.bytes, 300);
  l1.remove(0);
  t.is(l1.policy.bytes, 0);
  t.is(l1.policy.records, 0);
  t.deepEqual(l1.victims(0), []);
});

test('l1: victims carry the generation under which the record was reported', (t) => {
  const l1 = fixture();
  l1.add(0, 100, 1);
  const generation = l1.add(1, 100, 2);
  const pairs = new Uint32Array(4);
  t.is(l1.policy.selectVictims({ bytes: 0, slots }, pairs), 2);
  t.deepEqual([...pairs], [0, generation - 1, 1, generation]);
});

test('l1: a whole row of hits never keeps eviction from reaching its target', (t) => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          slot: fc.nat(slots - 1),
          size: fc.integer({ min: 0, max: 1000 }),
          hits: fc.nat(3),
          hash: fc.nat(20),
        }),
        { maxLength: 300 },
      ),
      fc.nat(5000),
      (events, target) => {
        const l1 = fixture();
        for (const { slot, size, hits, hash } of events) {
          if (size === 0) l1.remove(slot);
          else l1.add(slot, size, hash);
          l1.views.hits[slot] = hits;
        }
        const live = l1.views.sizes.reduce((sum, size) => sum + size, 0);
        const before = l1.policy.bytes;
        const gone = l1.victims(target);
        const freed = gone.reduce((sum, slot) => sum + l1.views.sizes[slot]!, 0);
        return (
          before === live &&
          l1.policy.bytes === live - freed &&
          l1.policy.bytes <= Math.max(target, 0) &&
          new Set(gone).size === gone.length
        );
      },
    ),
  );
  t.pass();
});

test('l1: too many small records give way although their bytes fit', (t) => {
  const l1 = fixture();
  for (let slot = 0; slot < 60; slot += 1) l1.add(slot, 1, slot);
  const pairs = new Uint32Array(2 * slots);
  t.is(l1.policy.selectVictims({ bytes: 1_000_000, slots: 50 }, pairs), 10);
});
