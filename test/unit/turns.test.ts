// Who gets the turns of the event loop: bodies wait for newcomers, for a bounded time, and in order.

import test from 'ava';
import { Turns } from '../../ts/turns.js';

function steppedClock() {
  let ms = 1000;
  return {
    now: () => ms,
    monotonic: () => ms,
    step: (by: number) => {
      ms += by;
    },
  };
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Turns of the loop until the callback comes; `each` runs in every one of them. */
async function turnsUntil(turns: Turns, each: () => void): Promise<number> {
  let isCalled = false;
  turns.next(() => {
    isCalled = true;
  });
  for (let count = 1; count <= 1000; count += 1) {
    each();
    await nextTurn();
    if (isCalled) return count;
  }
  return Number.POSITIVE_INFINITY;
}

test('turns: who waits is called in the next turn, in order, and once', async (t) => {
  const turns = new Turns(steppedClock());
  const called: number[] = [];
  for (const number of [1, 2, 3]) turns.next(() => called.push(number));
  t.deepEqual(called, []);
  await nextTurn();
  t.deepEqual(called, [1, 2, 3]);
  await nextTurn();
  t.is(called.length, 3);
});

test('turns: who asks again within its turn waits for another one', async (t) => {
  const turns = new Turns(steppedClock());
  let calls = 0;
  const again = (): void => {
    calls += 1;
    if (calls < 3) turns.next(again);
  };
  turns.next(again);
  await nextTurn();
  t.is(calls, 1);
  await nextTurn();
  t.is(calls, 2);
});

test('turns: bodies wait while a newcomer arrives in every turn, and go on behind the last', async (t) => {
  const turns = new Turns(steppedClock());
  let left = 20;
  const count = await turnsUntil(turns, () => {
    if (left-- > 0) turns.noteNewcomer();
  });
  t.is(count, 21);
  t.false(turns.hasNewcomer);
});

test('turns: newcomers without end hold bodies for 2 ms where the bodies take no time', async (t) => {
  const clock = steppedClock();
  const turns = new Turns(clock);
  const count = await turnsUntil(turns, () => {
    turns.noteNewcomer();
    clock.step(0.25);
  });
  t.is(count, 9);
});

test('turns: newcomers get as much time as the last turn for bodies took', async (t) => {
  const clock = steppedClock();
  const turns = new Turns(clock);
  turns.next(() => clock.step(40));
  await nextTurn();
  await nextTurn();
  const count = await turnsUntil(turns, () => {
    turns.noteNewcomer();
    clock.step(1);
  });
  t.is(count, 41);
});

test('turns: a newcomer is new for one turn', async (t) => {
  const turns = new Turns(steppedClock());
  turns.noteNewcomer();
  t.true(turns.hasNewcomer);
  await nextTurn();
  t.false(turns.hasNewcomer);
});
