// What may be repeated, how often, and after how long.

import test from 'ava';
import { backOffMs, isRepeatable, RetryBudget } from '../../../ts/upstream/retry.js';

test('retry: only what is idempotent and has no body', (t) => {
  for (const method of ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']) {
    t.true(isRepeatable({ method, body: null }), method);
    t.false(isRepeatable({ method, body: {} }), method);
  }
  for (const method of ['POST', 'PATCH', 'LOCK', 'get', 'constructor']) {
    t.false(isRepeatable({ method, body: null }), method);
  }
});

test('retry: in an outage repetitions stay a share of the requests', (t) => {
  const budget = new RetryBudget(20);
  let repeated = 0;
  for (let request = 0; request < 1000; request += 1) {
    budget.deposit();
    // Everything fails, and everybody would repeat twice.
    if (budget.take()) repeated += 1;
    if (budget.take()) repeated += 1;
  }
  t.true(repeated >= 200 && repeated <= 211, `${repeated}`);
});

test('retry: what was saved up is bounded, and nothing is nothing', (t) => {
  const budget = new RetryBudget(100);
  for (let request = 0; request < 1000; request += 1) budget.deposit();
  let repeated = 0;
  while (budget.take()) repeated += 1;
  t.is(repeated, 10);
  const none = new RetryBudget(0);
  none.deposit();
  t.false(none.take());
});

test('retry: the first goes at once, then waits double up to a bound, half of it random', (t) => {
  const config = {
    budgetPercent: 20,
    backOffMs: 100,
    backOffMaxMs: 300,
    status: new Set<number>(),
  };
  const waits = (random: number) => [1, 2, 3, 4, 9].map((n) => backOffMs(config, n, () => random));
  t.deepEqual(waits(0), [0, 50, 100, 150, 150]);
  t.deepEqual(waits(1), [0, 100, 200, 300, 300]);
});
