// Several stored variants of one URI: which of them a 304 names and what that changes, how many are kept, and
// the most recent one where several fit.

import test from 'ava';
import type { Response } from '../support/client.js';
import { type Scene, withProxy } from '../support/harness.js';
import type { Script } from '../support/scripted-origin.js';

const cacheable = ['Cache-Control', 'max-age=600'];

/** Tags by language; what nobody has a page for gets the English one. */
const tagOf = (language: string | undefined) => (language === 'de' ? '"de"' : '"en"');

/** An origin that answers 304 where the condition names the tag that it would send. */
const negotiating: Script = (request, reply) => {
  const tag = tagOf(request.field('accept-language'));
  const fields = [...cacheable, 'Vary', 'Accept-Language', 'ETag', tag];
  const names = request.field('if-none-match')?.split(', ') ?? [];
  if (names.includes(tag)) return reply.send({ status: 304, fields: [...fields, 'X-Seen', '2'] });
  return reply.send({ fields: [...fields, 'X-Seen', '1'], body: `page ${tag}` });
};

async function ask(scene: Scene, language: string): Promise<Response> {
  const got = await scene.get('/a', ['Accept-Language', language]);
  await scene.settled();
  return got;
}

for (const store of ['none', 'raw', 'file'] as const) {
  test(`variants (6.10, 2.7): a 304 names the variant for a new choice (store ${store})`, async (t) => {
    await withProxy(t, { origin: negotiating, store }, async (scene) => {
      await ask(scene, 'de');
      await ask(scene, 'en');
      const named = await ask(scene, 'fr');
      t.is(scene.origin.requests[2]!.field('if-none-match'), '"en", "de"');
      t.is(named.status, 200);
      t.is(named.body.toString(), 'page "en"');
      t.is(named.field('x-seen'), '2');
      t.is(named.field('cache-status'), 'millrace; fwd=vary-miss; fwd-status=304');
      t.is(named.field('x-cache'), 'REVALIDATED');
      if (store !== 'none') await scene.restart();
      // The new choice leads to it from now on, and the variant that it was stored for is fresh as well.
      for (const language of ['fr', 'en']) {
        const hit = await ask(scene, language);
        t.is(hit.field('x-cache'), 'HIT', language);
        t.is(hit.field('x-seen'), '2', language);
        t.is(hit.body.toString(), 'page "en"');
      }
      const other = await ask(scene, 'de');
      t.is(other.field('x-cache'), 'HIT');
      t.is(other.field('x-seen'), '1');
      t.is(scene.origin.requests.length, 3);
    });
  });
}

test('variants (6.10): a strong tag in a 304 freshens every variant that has it', async (t) => {
  const origin: Script = (request, reply) => {
    const fields = [...cacheable, 'Vary', 'Accept-Language', 'ETag', '"same"'];
    return request.field('if-none-match') === '"same"' && request.field('x-ask') === 'again'
      ? reply.send({ status: 304, fields: [...fields, 'X-Seen', '2'] })
      : reply.send({ fields: [...fields, 'X-Seen', '1'], body: 'the same for all' });
  };
  await withProxy(t, { origin }, async (scene) => {
    await ask(scene, 'de');
    await ask(scene, 'en');
    scene.clock.advance(601_000);
    const got = await scene.get('/a', ['Accept-Language', 'de', 'X-Ask', 'again']);
    t.is(got.field('x-cache'), 'REVALIDATED');
    await scene.settled();
    for (const language of ['de', 'en']) {
      const hit = await ask(scene, language);
      t.is(hit.field('x-cache'), 'HIT', language);
      t.is(hit.field('x-seen'), '2');
      t.is(hit.field('age'), '0');
    }
    t.is(scene.origin.requests.length, 3);
  });
});

test('variants (6.10): a weak tag in a 304 means the most recent match', async (t) => {
  let asked = 0;
  const origin: Script = (request, reply) => {
    asked += 1;
    const fields = [...cacheable, 'Vary', 'Accept-Language', 'ETag', 'W/"w"'];
    if (asked === 3) return reply.send({ status: 304, fields });
    const date = asked === 1 ? 'Fri, 15 Jan 2027 07:59:59 GMT' : 'Fri, 15 Jan 2027 07:59:00 GMT';
    const body = `in ${request.field('accept-language')}`;
    return reply.send({ fields: [...fields, 'Date', date], body });
  };
  await withProxy(t, { origin }, async (scene) => {
    await ask(scene, 'de');
    await ask(scene, 'en');
    const got = await ask(scene, 'fr');
    t.is(scene.origin.requests[2]!.field('if-none-match'), 'W/"w"');
    t.is(got.body.toString(), 'in de');
    t.is((await ask(scene, 'fr')).field('x-cache'), 'HIT');
  });
});

for (const [what, tags] of [
  ['no tag where several were named', []],
  ['a tag that nobody has', ['ETag', '"other"']],
] as const) {
  test(`variants (6.10): a 304 with ${what} freshens nothing and is asked again`, async (t) => {
    const origin: Script = (request, reply) => {
      const language = request.field('accept-language');
      if (language === 'fr' && request.field('if-none-match') !== undefined) {
        return reply.send({ status: 304, fields: [...cacheable, ...tags] });
      }
      const fields = [...cacheable, 'Vary', 'Accept-Language', 'ETag', `"${language}"`];
      return reply.send({ fields, body: `in ${language}` });
    };
    await withProxy(t, { origin }, async (scene) => {
      await ask(scene, 'de');
      await ask(scene, 'en');
      const got = await ask(scene, 'fr');
      t.is(got.status, 200);
      t.is(got.body.toString(), 'in fr');
      t.is(scene.origin.requests.length, 4);
      t.is(scene.origin.requests[3]!.field('if-none-match'), undefined);
      for (const language of ['de', 'en', 'fr']) {
        t.is((await ask(scene, language)).body.toString(), `in ${language}`);
      }
      t.is(scene.origin.requests.length, 4);
    });
  });
}

test("variants (6.3): the client's own condition is judged against the variant that was named", async (t) => {
  await withProxy(t, { origin: negotiating }, async (scene) => {
    await ask(scene, 'de');
    await ask(scene, 'en');
    const fields = ['Accept-Language', 'fr', 'If-None-Match', '"mine"'];
    const whole = await scene.get('/a', fields);
    t.is(scene.origin.requests[2]!.field('if-none-match'), '"en", "de"');
    t.is(whole.status, 200);
    t.is(whole.body.toString(), 'page "en"');
    await scene.settled();
    const same = await scene.get('/a', ['Accept-Language', 'es', 'If-None-Match', '"en"']);
    t.is(same.status, 304);
    t.is(same.body.length, 0);
    t.is(scene.origin.requests.length, 4);
  });
});

test('variants (2.5): no more than 32 are kept, and the oldest goes', async (t) => {
  const origin: Script = (request, reply) =>
    reply.send({
      fields: [...cacheable, 'Vary', 'X-Choice'],
      body: `choice ${request.field('x-choice')}`,
    });
  await withProxy(t, { origin, store: 'raw' }, async (scene) => {
    const choose = async (choice: number) => {
      const got = await scene.get('/a', ['X-Choice', `${choice}`]);
      await scene.settled();
      t.is(got.body.toString(), `choice ${choice}`);
      return got.field('x-cache');
    };
    for (let choice = 0; choice < 33; choice += 1) await choose(choice);
    await scene.restart();
    for (let choice = 1; choice < 33; choice += 1) t.is(await choose(choice), 'HIT', `${choice}`);
    t.is(await choose(0), 'MISS');
    t.is(scene.origin.requests.length, 34);
  });
});

test('variants (2.6): each response is judged by its own Vary, and the latest Date wins', async (t) => {
  const answers = [
    { vary: 'X-A', date: 'Fri, 15 Jan 2027 07:59:58 GMT' },
    { vary: 'X-A, X-B', date: 'Fri, 15 Jan 2027 07:59:57 GMT' },
    { vary: 'X-B', date: 'Fri, 15 Jan 2027 07:59:56 GMT' },
  ];
  let asked = 0;
  const origin: Script = (_request, reply) => {
    const { vary, date } = answers[asked]!;
    asked += 1;
    return reply.send({ fields: [...cacheable, 'Vary', vary, 'Date', date], body: `by ${vary}` });
  };
  await withProxy(t, { origin, store: 'raw' }, async (scene) => {
    const get = async (a: string, b: string, more: string[] = []) => {
      const got = await scene.get('/a', ['X-A', a, 'X-B', b, ...more]);
      await scene.settled();
      return got.body.toString();
    };
    t.is(await get('1', '1'), 'by X-A');
    t.is(await get('1', '1', ['Cache-Control', 'no-cache']), 'by X-A, X-B');
    t.is(await get('2', '1'), 'by X-B');
    await scene.restart();
    // All three fit the first; two of them the second, one the third.
    t.is(await get('1', '1'), 'by X-A');
    t.is(await get('1', '9'), 'by X-A');
    t.is(await get('9', '1'), 'by X-B');
    t.is(scene.origin.requests.length, 3);
  });
});

test('variants (2.6): a response without Vary is not hidden by older ones, nor the reverse', async (t) => {
  let vary: string[] = ['Vary', 'Accept-Language'];
  let asked = 0;
  const origin: Script = (_request, reply) => {
    asked += 1;
    return reply.send({ fields: [...cacheable, ...vary], body: `answer ${asked}` });
  };
  await withProxy(t, { origin }, async (scene) => {
    t.is((await ask(scene, 'de')).body.toString(), 'answer 1');
    vary = [];
    t.is((await ask(scene, 'en')).body.toString(), 'answer 2');
    t.is((await ask(scene, 'de')).body.toString(), 'answer 2', 'the newest fits everybody');
    vary = ['Vary', 'Accept-Language'];
    scene.clock.advance(601_000);
    t.is((await ask(scene, 'de')).body.toString(), 'answer 3');
    t.is((await ask(scene, 'de')).field('x-cache'), 'HIT');
  });
});
