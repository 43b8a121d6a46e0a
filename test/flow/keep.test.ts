// Which responses a shared cache keeps for others, seen from outside: the first client's answer and the
// second's. The rules themselves have their unit tests; here it counts that the flow obeys them.

import test from 'ava';
import { withProxy } from '../support/harness.js';
import type { Script } from '../support/scripted-origin.js';
import { gate, until } from '../support/until.js';

const lifetime = ['Cache-Control', 'max-age=600'];

interface Rule {
  readonly what: string;
  readonly fields: readonly string[];
  readonly request?: readonly string[];
  readonly status?: number;
  readonly kept: boolean;
}
const modified = ['Last-Modified', 'Fri, 01 Jan 2027 00:00:00 GMT'];
const authorized = ['Authorization', 'Bearer token'];
const rules: readonly Rule[] = [
  { what: 'no-store', fields: ['Cache-Control', 'no-store, max-age=600'], kept: false },
  { what: 'private', fields: ['Cache-Control', 'private, max-age=600'], kept: false },
  {
    what: 'private with fields',
    fields: ['Cache-Control', 'private="X-A", max-age=600'],
    kept: false,
  },
  { what: 'no lifetime and no validator', fields: [], kept: false },
  { what: 'max-age=0 without a validator', fields: ['Cache-Control', 'max-age=0'], kept: false },
  { what: 'an invalid lifetime', fields: ['Cache-Control', 'max-age=60x'], kept: false },
  { what: 'an Expires that has passed', fields: ['Expires', '0'], kept: false },
  { what: 'Last-Modified alone', fields: modified, kept: true },
  {
    what: 's-maxage over max-age=0',
    fields: ['Cache-Control', 'max-age=0, s-maxage=60'],
    kept: true,
  },
  {
    what: 'CDN-Cache-Control over no-store',
    fields: ['Cache-Control', 'no-store', 'CDN-Cache-Control', 'max-age=60'],
    kept: true,
  },
  {
    what: 'CDN-Cache-Control: no-store',
    fields: [...lifetime, 'CDN-Cache-Control', 'no-store'],
    kept: false,
  },
  { what: 'Set-Cookie with a lifetime', fields: [...lifetime, 'Set-Cookie', 'a=1'], kept: true },
  {
    what: 'Set-Cookie without a lifetime',
    fields: [...modified, 'Set-Cookie', 'a=1'],
    kept: false,
  },
  { what: 'Authorization', fields: lifetime, request: authorized, kept: false },
  {
    what: 'Authorization and public',
    fields: ['Cache-Control', 'public, max-age=600'],
    request: authorized,
    kept: true,
  },
  {
    what: 'Authorization and s-maxage',
    fields: ['Cache-Control', 's-maxage=600'],
    request: authorized,
    kept: true,
  },
  {
    what: 'Authorization and must-revalidate',
    fields: ['Cache-Control', 'must-revalidate, max-age=600'],
    request: authorized,
    kept: true,
  },
  {
    what: 'a request with no-store',
    fields: lifetime,
    request: ['Cache-Control', 'no-store'],
    kept: false,
  },
  { what: 'a 500 without a lifetime', fields: modified, status: 500, kept: false },
  { what: 'a 302 without a lifetime', fields: modified, status: 302, kept: false },
  { what: 'a 302 with a lifetime', fields: lifetime, status: 302, kept: true },
  {
    what: 'a 206 that was asked for',
    fields: [...lifetime, 'Content-Range', 'bytes 0-4/99'],
    status: 206,
    kept: false,
  },
];

for (const { what, fields, request = [], status = 200, kept } of rules) {
  test(`keep: ${what} is ${kept ? '' : 'not '}kept for others`, async (t) => {
    let served = 0;
    const origin: Script = (_request, reply) => {
      served += 1;
      return reply.send({ status, fields, body: `for ${served}` });
    };
    await withProxy(t, { origin }, async (scene) => {
      const first = await scene.get('/a', request);
      await scene.settled();
      t.is(first.status, status);
      t.is(first.body.toString(), 'for 1');
      const second = await scene.get('/a');
      t.is(second.body.toString(), kept ? 'for 1' : 'for 2');
      t.is(second.field('x-cache'), kept ? 'HIT' : 'MISS');
      if (kept) t.deepEqual(second.lines('set-cookie'), first.lines('set-cookie'));
    });
  });
}

test("keep: clients with and without Authorization at once do not get each other's answer", async (t) => {
  const together = gate();
  const origin: Script = async (request, reply) => {
    await together.opened;
    await reply.send({ fields: lifetime, body: request.field('authorization') ?? 'nobody' });
  };
  await withProxy(t, { origin }, async (scene) => {
    const names = ['one', 'two', 'three'];
    const asking = names.map((name) => scene.get('/a', ['Authorization', name]));
    await until('three exchanges', () => scene.counters().exchangesOpen === 3);
    together.open();
    const got = await Promise.all(asking);
    t.deepEqual(
      got.map(({ body }) => body.toString()),
      names,
    );
    t.is((await scene.get('/a')).body.toString(), 'nobody');
  });
});
