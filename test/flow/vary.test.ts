// Variants: one stored response per choice of the request fields that Vary names, none served to a client
// that chose otherwise, all of them gone after an unsafe method.

import test from 'ava';
import { withProxy } from '../support/harness.js';
import { always, type Script } from '../support/scripted-origin.js';

/** Says which language it was asked for. */
const byLanguage: Script = (request, reply) =>
  reply.send({
    fields: ['Cache-Control', 'max-age=600', 'Vary', 'Accept-Language'],
    body: `in ${request.field('accept-language') ?? 'any language'}`,
  });

test('vary: each choice of the named field is stored and served apart', async (t) => {
  await withProxy(t, { origin: byLanguage }, async (scene) => {
    const ask = (language: string) => scene.get('/a', ['Accept-Language', language]);
    t.is((await ask('de')).field('cache-status'), 'millrace; fwd=uri-miss; stored');
    await scene.settled();
    t.is((await ask('en')).field('cache-status'), 'millrace; fwd=vary-miss; stored');
    await scene.settled();
    for (const language of ['de', 'en']) {
      const hit = await ask(language);
      t.is(hit.field('x-cache'), 'HIT');
      t.is(hit.body.toString(), `in ${language}`);
      t.is(hit.field('vary'), 'Accept-Language');
    }
    t.is(scene.origin.requests.length, 2);
  });
});

test('vary: an absent field matches only an absent one', async (t) => {
  await withProxy(t, { origin: byLanguage }, async (scene) => {
    const ask = (fields: string[]) => scene.get('/a', fields);
    t.is((await ask(['Accept-Language', 'de'])).body.toString(), 'in de');
    await scene.settled();
    t.is((await ask([])).body.toString(), 'in any language');
    await scene.settled();
    t.is((await ask(['Accept-Language', ''])).field('x-cache'), 'MISS', 'empty is not absent');
    await scene.settled();
    t.is((await ask([])).field('x-cache'), 'HIT');
    t.is((await ask(['Accept-Language', 'de'])).body.toString(), 'in de');
    t.is(scene.origin.requests.length, 3);
  });
});

test('vary: fields that are not named do not matter, nor does the case of names', async (t) => {
  await withProxy(t, { origin: byLanguage }, async (scene) => {
    await scene.get('/a', ['Accept-Language', 'de', 'User-Agent', 'one', 'Cookie', 'a=1']);
    await scene.settled();
    const hit = await scene.get('/a', ['ACCEPT-LANGUAGE', 'de', 'User-Agent', 'two']);
    t.is(hit.field('x-cache'), 'HIT');
  });
});

test('vary: several names choose together, in whatever order they are listed', async (t) => {
  let asked = 0;
  const origin: Script = (request, reply) => {
    asked += 1;
    const names = asked % 2 === 0 ? 'X-A, X-B' : 'x-b,x-a';
    const body = `${request.field('x-a')} ${request.field('x-b')}`;
    return reply.send({ fields: ['Cache-Control', 'max-age=600', 'Vary', names], body });
  };
  await withProxy(t, { origin }, async (scene) => {
    const choices = ['1 1', '1 2', '2 1', '12 '].map(
      (choice) => choice.split(' ') as [string, string],
    );
    const ask = ([a, b]: [string, string]) => scene.get('/a', ['X-A', a, 'X-B', b]);
    for (const choice of choices) {
      t.is((await ask(choice)).field('x-cache'), 'MISS');
      await scene.settled();
    }
    for (const choice of choices) {
      const hit = await ask(choice);
      t.is(hit.field('x-cache'), 'HIT');
      t.is(hit.body.toString(), choice.join(' '));
    }
  });
});

for (const vary of [['*'], ['Accept, *'], ['Accept', '*']]) {
  test(`vary: "${vary.join('" and "')}" is not stored`, async (t) => {
    const lines = vary.flatMap((value) => ['Vary', value]);
    const origin = always({ fields: ['Cache-Control', 'max-age=600', ...lines], body: 'x' });
    await withProxy(t, { origin }, async (scene) => {
      const first = await scene.get('/a');
      await scene.settled();
      const second = await scene.get('/a');
      t.regex(first.field('cache-status')!, /detail=vary-star$/);
      t.is(second.field('x-cache'), 'MISS');
      t.is(scene.origin.requests.length, 2);
    });
  });
}

test('vary: a coded body without Vary is not given to a client that accepts another coding', async (t) => {
  const origin: Script = (request, reply) =>
    request.field('accept-encoding') === 'gzip'
      ? reply.send({
          fields: ['Cache-Control', 'max-age=600', 'Content-Encoding', 'gzip'],
          body: '\x1f\x8b',
        })
      : reply.send({ fields: ['Cache-Control', 'max-age=600'], body: 'plain' });
  await withProxy(t, { origin }, async (scene) => {
    const coded = await scene.get('/a', ['Accept-Encoding', 'gzip']);
    await scene.settled();
    t.is(coded.field('content-encoding'), 'gzip');
    const plain = await scene.get('/a');
    t.is(plain.field('content-encoding'), undefined);
    t.is(plain.body.toString(), 'plain');
  });
});

test('vary: every variant survives a restart', async (t) => {
  await withProxy(t, { origin: byLanguage, store: 'raw' }, async (scene) => {
    const languages = ['de', 'en', 'fr, it'];
    for (const language of languages) {
      await scene.get('/a', ['Accept-Language', language]);
      await scene.settled();
    }
    await scene.restart();
    for (const language of languages) {
      const hit = await scene.get('/a', ['Accept-Language', language]);
      t.is(hit.field('cache-status'), 'millrace; hit; ttl=600; detail=disk');
      t.is(hit.body.toString(), `in ${language}`);
    }
    t.is((await scene.get('/a', ['Accept-Language', 'es'])).field('x-cache'), 'MISS');
  });
});

for (const store of ['none', 'raw', 'file'] as const) {
  test(`vary: a successful POST removes all variants, for good (store ${store})`, async (t) => {
    const origin: Script = (request, reply) =>
      request.method === 'POST' ? reply.send({ status: 204 }) : byLanguage(request, reply);
    await withProxy(t, { origin, store }, async (scene) => {
      const languages = ['de', 'en'];
      for (const language of languages) {
        await scene.get('/a', ['Accept-Language', language]);
        await scene.settled();
      }
      t.is((await scene.send('/a', { method: 'POST', body: 'new' })).status, 204);
      t.is((await scene.get('/a', ['Accept-Language', 'de'])).field('x-cache'), 'MISS');
      if (store !== 'none') {
        await scene.restart();
        t.is((await scene.get('/a', ['Accept-Language', 'de'])).field('x-cache'), 'HIT');
      }
      t.is((await scene.get('/a', ['Accept-Language', 'en'])).field('x-cache'), 'MISS');
    });
  });
}

test('vary: clients of two variants at once are two requests, and nobody gets the other', async (t) => {
  await withProxy(t, { origin: byLanguage }, async (scene) => {
    const languages = Array.from({ length: 20 }, (_, at) => (at % 2 === 0 ? 'de' : 'en'));
    const got = await Promise.all(
      languages.map((language) => scene.get('/a', ['Accept-Language', language])),
    );
    t.deepEqual(
      got.map(({ body }) => body.toString()),
      languages.map((language) => `in ${language}`),
    );
    await scene.settled();
    for (const language of ['de', 'en']) {
      t.is((await scene.get('/a', ['Accept-Language', language])).field('x-cache'), 'HIT');
    }
  });
});

test('vary: a newer answer that does not vary any more is not hidden by older variants', async (t) => {
  let isVarying = true;
  const origin: Script = (request, reply) =>
    isVarying
      ? byLanguage(request, reply)
      : reply.send({ fields: ['Cache-Control', 'max-age=600'], body: 'for all' });
  await withProxy(t, { origin }, async (scene) => {
    const ask = (language: string) => scene.get('/a', ['Accept-Language', language]);
    await ask('de');
    await scene.settled();
    isVarying = false;
    scene.clock.advance(1_000);
    t.is((await ask('en')).body.toString(), 'for all');
    await scene.settled();
    for (const language of ['en', 'de']) {
      const got = await ask(language);
      t.is(got.body.toString(), 'for all');
      t.is(got.field('x-cache'), 'HIT');
    }
  });
});

test('vary: a value that is too long for a key is served, and disturbs nobody', async (t) => {
  const origin: Script = (request, reply) => {
    const length = request.field('cookie')?.length ?? 0;
    const fields = ['Cache-Control', 'max-age=60', 'Vary', 'Cookie', 'ETag', `"${length}"`];
    return reply.send({ fields, body: `${length} bytes` });
  };
  await withProxy(t, { origin }, async (scene) => {
    const large = ['Cookie', 'c'.repeat(20_000)];
    t.is((await scene.get('/b', large)).body.toString(), '20000 bytes');
    await scene.get('/a');
    await scene.settled();
    for (const _ of [1, 2]) {
      const [one, two] = await Promise.all([scene.get('/a', large), scene.get('/a', large)]);
      t.is(one.status, 200);
      t.is(one.body.toString(), '20000 bytes');
      t.is(two.body.toString(), '20000 bytes');
    }
    await scene.settled();
    t.is((await scene.get('/a')).field('x-cache'), 'HIT');
  });
});
