// When an origin is asked: failures in a row, the doubling time out, the one request that tries it, checks.

import test from 'ava';
import { type HealthChange, type HealthConfig, OriginHealth } from '../../../ts/upstream/health.js';
import { steppingClock } from '../../support/harness.js';

const config: HealthConfig = {
  maxFailures: 2,
  failureStatus: new Set(),
  backOffMs: 1000,
  backOffMaxMs: 3000,
  path: '/up',
  intervalMs: 1000,
  timeoutMs: 100,
  unhealthyAfter: 2,
  healthyAfter: 2,
  expectedStatus: new Set([200]),
};

function healthOf(changes: Partial<HealthConfig> = {}) {
  const clock = steppingClock();
  const told: HealthChange[] = [];
  const health = new OriginHealth({ ...config, ...changes }, clock, (change) => told.push(change));
  const request = (reason: string | null): boolean => {
    const isTrial = health.begin();
    if (reason === null) health.succeeded();
    else health.failed(reason, isTrial);
    health.settle(isTrial);
    return isTrial;
  };
  return { clock, told, health, request };
}

test('health: failures in a row take an origin out, told once', (t) => {
  const { told, health, request } = healthOf();
  request('refused');
  request(null);
  request('refused');
  t.true(health.isUsable, 'not in a row');
  request('reset');
  t.false(health.isUsable);
  request('late');
  t.deepEqual(told, [
    {
      state: 'out',
      reason: '2 failures in a row, the last: reset',
      follows: 'no request for 1000 ms, then one tries it; each time in vain doubles that',
    },
  ]);
});

test('health: after its time one request tries it, and in vain doubles that', (t) => {
  const { clock, told, health, request } = healthOf();
  request('a');
  request('b');
  for (const outMs of [1000, 2000, 3000, 3000]) {
    clock.advance(outMs - 1);
    t.false(health.isUsable, `${outMs}`);
    clock.advance(1);
    t.true(health.isUsable);
    const isTrial = health.begin();
    t.true(isTrial);
    t.false(health.isUsable, 'one at a time');
    t.false(health.begin());
    health.failed('c', isTrial);
    health.settle(isTrial);
  }
  t.is(told.length, 1);
  clock.advance(3000);
  t.true(request(null));
  t.true(health.isWell);
  t.is(told.length, 2);
  t.is(told[1]!.state, 'in');
  request('a');
  request('b');
  t.is(health.waitMs, 1000, 'from the start again');
});

test('health: with max_failures 0 it is never out', (t) => {
  const { told, health, request } = healthOf({ maxFailures: 0 });
  for (let count = 0; count < 100; count += 1) request('a');
  t.true(health.isUsable);
  t.deepEqual(told, []);
});

test('health: checks take it out and back, whatever requests say', (t) => {
  const { told, health, request } = healthOf();
  health.checked('500');
  health.checked(null);
  health.checked('500');
  t.true(health.isUsable);
  health.checked('no answer');
  t.false(health.isUsable);
  request(null);
  t.false(health.isUsable);
  health.checked(null);
  health.checked('500');
  health.checked(null);
  t.false(health.isUsable);
  health.checked(null);
  t.true(health.isUsable);
  t.deepEqual(
    told.map(({ state, reason }) => [state, reason]),
    [
      ['out', '2 health checks failed, the last: no answer'],
      ['in', '2 health checks in a row passed'],
    ],
  );
});

test('health: of two that are out the one that checks have nothing against is the better', (t) => {
  const one = healthOf();
  const other = healthOf();
  one.request('a');
  one.request('a');
  other.health.checked('500');
  other.health.checked('500');
  t.true(one.health.badness < other.health.badness);
});
