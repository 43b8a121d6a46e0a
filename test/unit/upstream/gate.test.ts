// The limit of requests at a time: order, bounds of the queue and of the wait.

import test from 'ava';
import { type Entry, Gate } from '../../../ts/upstream/gate.js';
import type { Timers } from '../../../ts/upstream/timers.js';

function manualTimers() {
  const due = new Map<object, () => void>();
  const timers: Timers = {
    after(_ms, callback) {
      const key = {};
      due.set(key, callback);
      return () => void due.delete(key);
    },
  };
  const expire = (): void => {
    for (const [key, callback] of [...due]) {
      due.delete(key);
      callback();
    }
  };
  return { timers, expire, due };
}

test('gate: places go to those who waited longest', async (t) => {
  const { timers, due } = manualTimers();
  const gate = new Gate(2, 10, timers);
  t.is(gate.enter(1), 'entered');
  t.is(gate.enter(1), 'entered');
  const order: string[] = [];
  const wait = async (name: string) => {
    await gate.enter(1);
    order.push(name);
  };
  const all = Promise.all([wait('a'), wait('b'), wait('c')]);
  t.is(gate.waiting, 3);
  for (let at = 0; at < 3; at += 1) gate.leave();
  await all;
  t.deepEqual(order, ['a', 'b', 'c']);
  t.is(gate.inside, 2);
  t.is(due.size, 0, 'no timer is left');
  gate.leave();
  gate.leave();
  t.is(gate.inside, 0);
});

test('gate: a full queue says so at once', (t) => {
  const { timers } = manualTimers();
  const gate = new Gate(1, 1, timers);
  gate.enter(1);
  void gate.enter(1);
  t.is(gate.enter(1), 'queue-full');
  t.is(new Gate(0, 0, timers).enter(1), 'queue-full');
});

test('gate: who waited too long has no place, and takes none', async (t) => {
  const { timers, expire } = manualTimers();
  const gate = new Gate(1, 5, timers);
  gate.enter(1);
  const late = gate.enter(1) as Promise<Entry>;
  expire();
  t.is(await late, 'too-long');
  t.is(gate.waiting, 0);
  gate.leave();
  t.is(gate.inside, 0);
  t.is(gate.enter(1), 'entered');
});
