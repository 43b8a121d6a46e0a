// Which origin a key belongs to: its share by weight, and nobody else's keys move when one goes.

import test from 'ava';
import { chosenByKey, hashOf, SmoothTurns } from '../../../ts/upstream/choice.js';

interface Candidate {
  readonly name: string;
  readonly weight: number;
  readonly seed: number;
}

const candidate = (name: string, weight = 1): Candidate => ({ name, weight, seed: hashOf(name) });
const keys = Array.from(
  { length: 6000 },
  (_, at) => `http://site.test/models/${at}.bin?v=${at % 7}`,
);

function sharesOf(candidates: readonly Candidate[]): Record<string, number> {
  const shares: Record<string, number> = {};
  for (const key of keys) {
    const { name } = chosenByKey(candidates, key);
    shares[name] = (shares[name] ?? 0) + 1;
  }
  return shares;
}

test('choice: keys are shared out by weight', (t) => {
  const shares = sharesOf([candidate('http://a:1'), candidate('http://b:1', 3)]);
  const part = shares['http://a:1']! / keys.length;
  t.true(part > 0.2 && part < 0.3, `${part}`);
  const three = sharesOf(['http://a:1', 'http://a:2', 'http://a:3'].map((name) => candidate(name)));
  for (const count of Object.values(three)) {
    t.true(count > keys.length / 4 && count < keys.length / 2.4, `${count}`);
  }
});

test('choice: the order of the list does not matter', (t) => {
  const all = ['http://a:1', 'http://b:1', 'http://c:1'].map((name) => candidate(name));
  for (const key of keys.slice(0, 200)) {
    t.is(chosenByKey(all, key), chosenByKey([...all].reverse(), key));
  }
});

test('choice: only the keys of an origin that goes out move, and to all others', (t) => {
  const all = ['http://a:1', 'http://b:1', 'http://c:1'].map((name) => candidate(name));
  const left = all.slice(1);
  const movedTo = new Set<Candidate>();
  for (const key of keys) {
    const before = chosenByKey(all, key);
    const after = chosenByKey(left, key);
    if (before === all[0]) movedTo.add(after);
    else t.is(after, before);
  }
  t.is(movedTo.size, 2);
});

test('choice: turns follow the weights and do not come in a row', (t) => {
  const turns = new SmoothTurns<Candidate>();
  const all = [candidate('a', 5), candidate('b'), candidate('c')];
  const names = Array.from({ length: 14 }, () => turns.next(all).name).join('');
  t.is(names, 'aabacaaaabacaa');
});

test('choice: turns go on with whoever is left', (t) => {
  const turns = new SmoothTurns<Candidate>();
  const all = [candidate('a'), candidate('b'), candidate('c')];
  turns.next(all);
  const counts = new Map<string, number>();
  for (let at = 0; at < 10; at += 1) {
    const { name } = turns.next(all.slice(1));
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  t.deepEqual([...counts.keys()].sort(), ['b', 'c']);
  for (const count of counts.values()) t.true(count >= 4);
});
