// Section 9 of the clauses: what a successful unsafe method makes of what is stored.

import { gate } from '../support/until.js';
import { answer, head, notModified, scenario, withCache } from './language/scenario.js';

const fresh = 'Cache-Control: max-age=60';
const tagged = [fresh, 'ETag: "v1"'];
const unsafe = ['POST', 'PUT', 'DELETE', 'PATCH', 'MERGE', 'LOCK', 'MKCOL', 'LINK'];

scenario('9.1a a non-error answer to an unsafe method invalidates its URL', async (s) => {
  for (const method of unsafe) {
    for (const status of [200, 201, 204, 301, 303]) {
      const target = `/${method}-${status}`;
      s.origin.plays(answer(fresh, 'one'), answer('', '', status), answer(fresh, 'two'));
      await s.client.get(target).gives({ body: 'one' });
      await s.client.send({ method, target }).gives({ status });
      await s.client.get(target).gives({ body: 'two', cache: 'MISS' });
    }
  }
});

scenario('9.1b all variants, for GET and for HEAD', async ({ origin, client }) => {
  const lines = [fresh, 'Vary: X-A'];
  origin.plays(answer(lines, 'one'), answer(lines, 'two'), answer('', '', 204));
  await client.get('/a', 'X-A: 1').gives({ body: 'one' });
  await client.get('/a', 'X-A: 2').gives({ body: 'two' });
  await client.send({ method: 'DELETE', target: '/a' }).gives({ status: 204 });
  origin.plays(answer(lines, 'three'), answer(lines, 'four'));
  await client.head('/a', 'X-A: 1').gives({ cache: 'MISS' });
  await client.get('/a', 'X-A: 2').gives({ body: 'four', cache: 'MISS' });
});

scenario(
  '9.1c where the key leaves out the query, any query invalidates',
  withCache({ key: { query: 'drop' } }),
  async ({ origin, client }) => {
    origin.plays(answer(fresh, 'one'), answer('', '', 204), answer(fresh, 'two'));
    await client.get('/a?x=1').gives({ body: 'one' });
    await client.send({ method: 'POST', target: '/a?x=2' }).gives({ status: 204 });
    await client.get('/a?x=1').gives({ body: 'two', cache: 'MISS' });
  },
);

scenario(
  '9.1d where the key has fields, all that is stored of the URL goes',
  withCache({ key: { fields: ['X-Tenant'] } }),
  async ({ origin, client }) => {
    origin.plays(answer(fresh, 'one'), answer(fresh, 'two'), answer('', '', 204));
    await client.get('/a', 'X-Tenant: 1').gives({ body: 'one' });
    await client.get('/a', 'X-Tenant: 2').gives({ body: 'two' });
    await client.send({ method: 'POST', target: '/a' }).gives({ status: 204 });
    origin.plays(answer(fresh, 'three'), answer(fresh, 'four'));
    await client.get('/a', 'X-Tenant: 1').gives({ body: 'three' });
    await client.get('/a', 'X-Tenant: 2').gives({ body: 'four' });
  },
);

scenario('9.2a Location and Content-Location of the same host too', async (s) => {
  for (const [at, [name, value]] of [
    ['Location', '/other'],
    ['Content-Location', '/other'],
    ['Location', 'other'],
    ['Location', 'http://site.test/other'],
    ['Content-Location', 'HTTP://SITE.TEST/other'],
  ].entries()) {
    s.origin.plays(answer(fresh, `one ${at}`), answer(`${name}: ${value}`, '', 201));
    s.origin.plays(answer(fresh, 'two'), answer('', '', 204));
    await s.client.get('/other').gives({ body: `one ${at}` });
    await s.client.send({ method: 'POST', target: '/a' }).gives({ status: 201 });
    await s.client.get('/other').gives({ body: 'two', cache: 'MISS' });
    await s.client.send({ method: 'POST', target: '/other' }).gives({ status: 204 });
  }
});

scenario('9.2b but of no other host, scheme or port', async ({ origin, client }) => {
  origin.plays(answer(fresh, 'one'));
  await client.get('/other', 'Host: stranger.test').gives({ body: 'one' });
  await client.get('/other', 'Host: stranger.test').gives({ body: 'one', cache: 'HIT' });
  for (const value of [
    'http://stranger.test/other',
    '//stranger.test/other',
    'https://stranger.test/other',
    'http://stranger.test:81/other',
  ]) {
    origin.plays(answer([`Location: ${value}`, `Content-Location: ${value}`], '', 201));
    await client.send({ method: 'POST', target: '/a' }).gives({ status: 201 });
    await client.get('/other', 'Host: stranger.test').gives({ body: 'one', cache: 'HIT' });
  }
});

scenario('9.2c another port or scheme of the same name is another origin', async (s) => {
  s.origin.plays(answer(fresh, 'one'));
  await s.client.get('/other').gives({ body: 'one' });
  for (const value of ['http://site.test:81/other', 'https://site.test/other']) {
    s.origin.plays(answer(`Location: ${value}`, '', 201));
    await s.client.send({ method: 'POST', target: '/a' }).gives({ status: 201 });
    await s.client.get('/other').gives({ body: 'one', cache: 'HIT' });
  }
});

scenario('9.3a errors invalidate nothing', async ({ origin, client }) => {
  origin.plays(answer(fresh, 'one'));
  await client.get('/a').gives({ body: 'one' });
  for (const status of [400, 403, 404, 409, 500, 503]) {
    origin.plays(answer('Location: /a', '', status));
    await client.send({ method: 'POST', target: '/a' }).gives({ status });
    await client.get('/a').gives({ body: 'one', cache: 'HIT' });
  }
});

scenario('9.3b safe methods invalidate nothing', async ({ origin, client }) => {
  origin.plays(answer(fresh, 'one'));
  await client.get('/a').gives({ body: 'one' });
  for (const method of ['OPTIONS', 'PROPFIND', 'REPORT', 'SEARCH']) {
    origin.plays(answer('', 'fine'));
    await client.send({ method, target: '/a' }).gives({ body: 'fine' });
    await client.get('/a').gives({ body: 'one', cache: 'HIT' });
  }
});

scenario('9.4 what was being filled meanwhile is not fresh afterwards', async (s) => {
  const goOn = gate();
  const begun = gate();
  s.origin.plays(
    async (line) => {
      await line.write(`${head([fresh, 'Content-Length: 7'])}old`);
      begun.open();
      await goOn.opened;
      await line.write(' one');
    },
    answer('', '', 204),
    answer(fresh, 'new'),
  );
  const first = s.client.get('/a');
  await begun.opened;
  await s.client.send({ method: 'PUT', target: '/a', body: 'x' }).gives({ status: 204 });
  goOn.open();
  await first.gives({ body: 'old one' });
  await s.client.get('/a').gives({ body: 'new', cache: 'MISS' });
});

scenario('9.4b what was being validated meanwhile is not fresh afterwards', async (s) => {
  const goOn = gate();
  const begun = gate();
  s.origin.plays(
    answer(tagged, 'one'),
    async (line, request) => {
      begun.open();
      await goOn.opened;
      await notModified(tagged)(line, request);
    },
    answer('', '', 204),
  );
  await s.client.get('/a').gives({ body: 'one' });
  s.clock.advance(61);
  const first = s.client.get('/a');
  await begun.opened;
  await s.client.send({ method: 'PUT', target: '/a', body: 'x' }).gives({ status: 204 });
  s.origin.plays(answer(fresh, 'new'), answer(fresh, 'newer'));
  goOn.open();
  await first.then(() => {});
  const { body } = await s.client.get('/a');
  if (!/^new/.test(body.toString())) throw new Error(`${body}`);
  s.origin.always(answer('', ''));
});

scenario('9.5 an unsafe request does not wait behind a running GET', async (s) => {
  const goOn = gate();
  const begun = gate();
  s.origin.plays(
    async (line, request) => {
      begun.open();
      await goOn.opened;
      await answer(fresh, 'one')(line, request);
    },
    answer('', 'posted'),
    answer(fresh, 'two'),
  );
  const first = s.client.get('/a');
  await begun.opened;
  await s.client.send({ method: 'POST', target: '/a' }).gives({ body: 'posted' });
  goOn.open();
  // It was asked for before; what the origin said then is not what this client may have now.
  await first.gives({ body: 'two' });
});

scenario('9.5b an unsafe request is never answered from the store', async (s) => {
  s.origin.plays(answer(fresh, 'one'), answer(fresh, 'posted'), answer(fresh, 'posted again'));
  await s.client.get('/a').gives({ body: 'one' });
  await s.client.send({ method: 'POST', target: '/a' }).gives({ body: 'posted' });
  await s.client.send({ method: 'POST', target: '/a' }).gives({ body: 'posted again' });
});
