// Who may wait for whom: clients of one key while the head of the running fill is not known yet. How long
// they wait, what becomes of them where the answer is for one of them alone, and that answers to different
// Authorization or Vary choices never meet.

import test from 'ava';
import type { Response } from '../support/client.js';
import { type Scene, withProxy } from '../support/harness.js';
import type { OriginRequest, Reply, Script } from '../support/scripted-origin.js';
import { gate, until } from '../support/until.js';

const lifetime = ['Cache-Control', 'max-age=600'];
const day = 86_400_000;

/** That many requests at the proxy, one of which the origin has. */
async function asking(scene: Scene, fields: readonly (readonly string[])[]) {
  const before = scene.origin.requests.length;
  const open = scene.counters().exchangesOpen!;
  const answers = fields.map((each) => scene.get('/a', each));
  await until('all of them to ask', () => {
    const isAsked = scene.origin.requests.length > before;
    return isAsked && scene.counters().exchangesOpen === open + fields.length;
  });
  return { answers, originRequests: () => scene.origin.requests.length - before };
}

const anonymous = (count: number) => Array.from({ length: count }, () => []);
const textsOf = async (answers: readonly Promise<Response>[]) =>
  (await Promise.all(answers)).map(({ body }) => body.toString());

/** Answers each request when the gate opens. */
function gated(answer: (request: OriginRequest, reply: Reply) => void | Promise<void>) {
  const held = gate();
  const script: Script = async (request, reply) => {
    await held.opened;
    return answer(request, reply);
  };
  return { held, script };
}

/** Bounds on waiting that end when the test says so. */
function heldTimers() {
  const waits: { ms: number; callback: () => void }[] = [];
  const after = (ms: number, callback: () => void) => {
    const wait = { ms, callback };
    waits.push(wait);
    return () => void waits.splice(waits.indexOf(wait), 1);
  };
  return { timers: { after }, waits };
}

test('join: a stalled origin lets those who wait go, as one more request', async (t) => {
  const first = gate();
  let count = 0;
  const origin: Script = async (_request, reply) => {
    count += 1;
    const body = `answer ${count}`;
    if (count === 1) await first.opened;
    await reply.send({ fields: lifetime, body });
  };
  const { timers, waits } = heldTimers();
  await withProxy(t, { origin, timers }, async (scene) => {
    const leader = scene.get('/a');
    await until('the first request', () => scene.origin.requests.length === 1);
    const others = Array.from({ length: 9 }, () => scene.get('/a'));
    await until('all of them', () => scene.counters().exchangesOpen === 10);
    t.deepEqual(
      waits.map(({ ms }) => ms),
      [10_000],
    );
    waits.pop()!.callback();
    t.deepEqual(new Set(await textsOf(others)), new Set(['answer 2']));
    t.is(scene.origin.requests.length, 2);
    t.is(scene.counters().waitersReleased, 9);
    first.open();
    t.is((await leader).body.toString(), 'answer 1', 'who asked first has its own answer');
  });
});

test('join: an origin that never answers is asked once more, not by everybody', async (t) => {
  const never: Script = (_request, reply) => reply.closed;
  const { timers, waits } = heldTimers();
  const config = () => ({ timeouts: { join: '7s', head: '1s' }, max_retries: 0 });
  await withProxy(t, { origin: never, config, timers }, async (scene) => {
    const { answers, originRequests } = await asking(scene, anonymous(10));
    t.is(waits[0]!.ms, 7000);
    waits.pop()!.callback();
    await until('those who were let go', () => originRequests() === 2);
    // Who has been let go once hears of the end: this bound is for those who come now.
    waits.pop()!.callback();
    for (const answer of await Promise.all(answers)) t.is(answer.status, 504);
    t.is(originRequests(), 2);
    t.is(scene.counters().waitersReleased, 9);
  });
});

test('join: a slow head within the bound is waited for', async (t) => {
  const { held, script } = gated((_request, reply) =>
    reply.send({ fields: lifetime, body: 'one' }),
  );
  await withProxy(t, { origin: script }, async (scene) => {
    const { answers, originRequests } = await asking(scene, anonymous(10));
    held.open();
    t.deepEqual(new Set(await textsOf(answers)), new Set(['one']));
    t.is(originRequests(), 1);
    t.is(scene.counters().waitersReleased, 0);
  });
});

test('join: a key whose answers were for one client is waited for again later', async (t) => {
  let fields = ['Cache-Control', 'no-store'];
  const held = [gate(), gate(), gate()];
  let round = 0;
  const origin: Script = async (_request, reply) => {
    await held[round]!.opened;
    await reply.send({ fields, body: 'x' });
  };
  await withProxy(t, { origin }, async (scene) => {
    const first = await asking(scene, anonymous(5));
    t.is(first.originRequests(), 1);
    held[0]!.open();
    await Promise.all(first.answers);
    t.is(first.originRequests(), 5);

    // Within two minutes nobody waits for another.
    round = 1;
    scene.clock.advance(119_000);
    const second = await asking(scene, anonymous(5));
    await until('five requests at once', () => second.originRequests() === 5);
    fields = lifetime;
    held[1]!.open();
    await Promise.all(second.answers);
    await scene.settled();
    t.is((await scene.get('/a')).field('x-cache'), 'HIT', 'and what can be stored is');

    // An answer that may be shared has ended that.
    round = 2;
    scene.clock.advance(day);
    await scene.purge({ all: true });
    const third = await asking(scene, anonymous(5));
    t.is(third.originRequests(), 1);
    held[2]!.open();
    await Promise.all(third.answers);
    t.is(third.originRequests(), 1);
  });
});

test('join: after two minutes an unshareable answer is forgotten', async (t) => {
  const held = [gate(), gate()];
  let round = 0;
  const origin: Script = async (_request, reply) => {
    await held[round]!.opened;
    await reply.send({ fields: ['Cache-Control', 'private'], body: 'x' });
  };
  await withProxy(t, { origin }, async (scene) => {
    const first = await asking(scene, anonymous(3));
    held[0]!.open();
    await Promise.all(first.answers);
    round = 1;
    scene.clock.advance(121_000);
    const second = await asking(scene, anonymous(3));
    t.is(second.originRequests(), 1);
    held[1]!.open();
    await Promise.all(second.answers);
  });
});

const byToken = (more: readonly string[]) =>
  gated((request, reply) => {
    const body = `for ${request.field('authorization') ?? 'nobody'}`;
    return reply.send({ fields: ['Cache-Control', `max-age=600${more.join('')}`], body });
  });
const tokens = ['Bearer a', 'Bearer b', null, 'Bearer a', 'Bearer c', null];
const withTokens = tokens.map((token) => (token === null ? [] : ['Authorization', token]));

test('join: clients with different Authorization never share what is for one of them', async (t) => {
  for (const order of [withTokens, withTokens.toReversed(), withTokens.toSorted()]) {
    const { held, script } = byToken([]);
    await withProxy(t, { origin: script }, async (scene) => {
      const { answers } = await asking(scene, order);
      held.open();
      const expected = order.map((fields) => `for ${fields[1] ?? 'nobody'}`);
      // What nobody authorized got may go to the others as well; their own never.
      for (const [at, text] of (await textsOf(answers)).entries()) {
        t.true(text === expected[at] || text === 'for nobody', `${text}, not ${expected[at]}`);
      }
      await scene.settled();
      for (const fields of withTokens) {
        const later = (await scene.get('/a', fields)).body.toString();
        t.true(later === 'for nobody' || later === `for ${fields[1]}`, later);
      }
    });
  }
});

test('join: what the origin calls public is shared by all of them', async (t) => {
  const { held, script } = byToken([', public']);
  await withProxy(t, { origin: script }, async (scene) => {
    const { answers, originRequests } = await asking(scene, withTokens);
    held.open();
    t.is(new Set(await textsOf(answers)).size, 1);
    t.is(originRequests(), 1);
  });
});

test('join: clients of two Vary choices who wait together are two requests', async (t) => {
  const { held, script } = gated((request, reply) => {
    const language = request.field('accept-language');
    return reply.send({ fields: [...lifetime, 'Vary', 'Accept-Language'], body: `in ${language}` });
  });
  await withProxy(t, { origin: script }, async (scene) => {
    const languages = Array.from({ length: 20 }, (_, at) => (at % 2 === 0 ? 'de' : 'en'));
    const fields = languages.map((language) => ['Accept-Language', language]);
    const { answers, originRequests } = await asking(scene, fields);
    t.is(originRequests(), 1, 'until the head tells that they differ');
    held.open();
    const expected = languages.map((language) => `in ${language}`);
    t.deepEqual(await textsOf(answers), expected);
    t.is(originRequests(), 2);
  });
});
