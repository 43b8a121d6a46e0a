// Random clients of a few objects (whole bodies and ranges, slow ones and such as leave in mid-body) at
// a proxy whose origin breaks off, lies about ranges and has new versions, while objects are purged and
// the proxy is restarted, in peace and in mid-body. Whatever an answer has is the bytes of one version
// that may be served. A seed repeats what is done and drawn, not how the clients meet:
//
//   MILLRACE_FILLS_SEED=7 MILLRACE_FILLS_RUNS=200 npx ava build/test/model/fills.test.js

import { randomInt } from 'node:crypto';
import test, { type ExecutionContext } from 'ava';
import {
  type Asked,
  fillModel,
  type Model,
  randomRange,
  readLike,
  turn,
} from '../support/fill-model.js';
import { type Scene, withProxy } from '../support/harness.js';
import { until } from '../support/until.js';
import { below, type Random, randomOf } from '../support/versioned-objects.js';

const mib = 1024 * 1024;
const roundsOfScene = 25;
/** A piece that is being joined with an earlier one is asked for again meanwhile. */
const asksMax = 4;
const stores = ['none', 'raw', 'file'] as const;
const policies = ['continue', 'stop', 'threshold'] as const;

interface Seen {
  whole: number;
  parts: number;
  odd: number;
  left: number;
}

interface Heard {
  readonly wrong: string[];
  readonly odd: string[];
}

async function ask(
  scene: Scene,
  model: Model,
  random: Random,
  seen: Seen,
  { wrong, odd }: Heard,
): Promise<void> {
  const key = model.keys[below(random, model.keys.length)]!;
  const range = below(random, 2) === 0 ? randomRange(random) : null;
  const leavesAfter = below(random, 4) === 0 ? 1 + below(random, 2 * mib) : null;
  const fields = range === null ? [] : ['Range', `bytes=${range.text}`];
  const name = `${key} ${range?.text ?? 'whole'}`;
  const asked: Asked = { key, range, floor: model.floorOf(key) };
  // Where no head comes, the break is plain enough.
  const response = await scene.open(key, { fields }).catch(() => null);
  if (response === null) {
    seen.odd += 1;
    odd.push(`${name}: no head`);
    return;
  }
  const got = await readLike(random, response, leavesAfter);
  const judged = model.judge(asked, got);
  const about = `${name} (${got.status}, ${got.field('cache-status')})`;
  if (judged.wrong !== null) wrong.push(`${about}: ${judged.wrong}`);
  if (leavesAfter !== null) seen.left += 1;
  else if (judged.odd !== null) {
    seen.odd += 1;
    odd.push(`${about}: ${judged.odd}`);
  } else if (got.status === 206) seen.parts += 1;
  else seen.whole += 1;
}

/** What happens to objects while clients read; false: nothing does. */
async function disturb(scene: Scene, model: Model, random: Random): Promise<boolean> {
  await until('a client', () => scene.counters().exchangesOpen! + scene.counters().hits! > 0);
  for (let turns = below(random, 300); turns > 0; turns -= 1) await turn();
  const key = model.keys[below(random, model.keys.length)]!;
  switch (below(random, 9)) {
    case 0:
    case 1:
      model.change(key);
      return true;
    case 2:
    case 3: {
      const { acknowledged } = model.replace(key, true);
      const isOne = below(random, 2) === 0;
      await scene.purge(isOne ? { url: `http://site.test${key}` } : { all: true });
      acknowledged();
      return true;
    }
    case 4: {
      const { acknowledged } = model.replace(key, false);
      const { status } = await scene.send(key, { method: 'DELETE' });
      if (status === 204) acknowledged();
      return true;
    }
    case 5:
      await scene.interrupt();
      model.newLife();
      return true;
    default:
      return false;
  }
}

async function round(scene: Scene, model: Model, seed: number, seen: Seen): Promise<string[]> {
  const random = randomOf(seed);
  model.faultShare = below(random, 3) === 0 ? 0 : 0.5;
  const faultsBefore = model.faultsSent;
  const heard: Heard = { wrong: [], odd: [] };
  const clients = Array.from({ length: 1 + below(random, 8) }, (_, index) =>
    ask(scene, model, randomOf(seed + 31 * (index + 1)), seen, heard),
  );
  const isDisturbed = await disturb(scene, model, random);
  await Promise.all(clients);
  await scene.settled();
  // A good origin and nothing in between: then everybody gets what he asked for.
  const isCalm = !isDisturbed && model.faultsSent === faultsBefore;
  if (below(random, 6) === 0 && scene.storePath !== '') {
    await scene.restart();
    model.newLife();
  }
  return isCalm ? [...heard.wrong, ...heard.odd] : heard.wrong;
}

/** In the end everything can be had, and is stored. */
async function conclude(scene: Scene, model: Model): Promise<string[]> {
  model.faultShare = 0;
  const wrong: string[] = [];
  for (const key of model.keys) {
    const asked: Asked = { key, range: null, floor: model.floorOf(key) };
    let isAsked = true;
    for (let asks = 0; isAsked && asks < asksMax; asks += 1) {
      const requests = scene.origin.requests.length;
      const got = await scene.get(key);
      await scene.settled();
      const judged = model.judge(asked, got);
      const found = judged.wrong ?? judged.odd;
      if (found !== null) wrong.push(`${key} at last: ${found}`);
      isAsked = scene.origin.requests.length > requests;
    }
    if (isAsked) wrong.push(`${key} was asked for again and again`);
  }
  return wrong;
}

async function play(t: ExecutionContext, seed: number): Promise<void> {
  const random = randomOf(seed);
  const store = stores[below(random, stores.length)]!;
  const client_abort = policies[below(random, policies.length)]!;
  const model = fillModel(seed, 5);
  const seen: Seen = { whole: 0, parts: 0, odd: 0, left: 0 };
  const config = () => ({
    routes: [{ cache: { client_abort, abort_threshold: { bytes_left: mib, completed: 0.5 } } }],
    max_retries: 0,
  });
  await withProxy(t, { origin: model.script, store, config }, async (scene) => {
    const wrong: string[] = [];
    for (let at = 0; at < roundsOfScene; at += 1) {
      const found = await round(scene, model, below(random, 2 ** 31), seen);
      wrong.push(...found.map((text) => `round ${at}: ${text}`));
    }
    wrong.push(...(await conclude(scene, model)));
    const told = `store ${store}, client_abort ${client_abort}, ${JSON.stringify(seen)}`;
    t.log(`seed ${seed}: ${told}, ${model.faultsSent} faults`);
    t.deepEqual(wrong, [], `to repeat: MILLRACE_FILLS_SEED=${seed} MILLRACE_FILLS_RUNS=1; ${told}`);
    t.true(seen.whole + seen.parts + seen.odd + seen.left >= roundsOfScene);
  });
}

const given = process.env.MILLRACE_FILLS_SEED;
const first = given === undefined ? randomInt(2 ** 31) : Number(given);
const runs = Number(process.env.MILLRACE_FILLS_RUNS ?? 4);
for (let at = 0; at < runs; at += 1) {
  test.serial(`fills: random clients get the bytes of one version (run ${at + 1})`, (t) =>
    play(t, first + at),
  );
}
