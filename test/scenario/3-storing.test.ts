// Section 3 of the clauses: whether a response may be stored. What is stored answers the next request
// without the origin; what is not costs a second play.

import { answer, bytes, head, notModified, scenario, withCache } from './language/scenario.js';

const fresh = 'Cache-Control: max-age=60';
const unknownStatuses = [299, 402, 418, 451, 499, 599];

scenario('3.1a responses to HEAD do not answer GET', async ({ origin, client }) => {
  origin.plays(answer(fresh, 'one'), answer(fresh, 'two'));
  await client.head('/a').gives({ fields: { 'Content-Length': '3' } });
  await client.get('/a').gives({ body: 'two', cache: 'MISS' });
  await origin.got(1, { method: 'HEAD' });
});

scenario('3.1b responses to other methods are not stored', async ({ origin, client }) => {
  for (const method of ['POST', 'PUT', 'PATCH', 'OPTIONS', 'PROPFIND', 'MERGE']) {
    const lines = [fresh, 'Content-Location: /b'];
    origin.plays(answer(lines, method), answer(lines, method), answer('', 'get'));
    await client.send({ method, target: '/a' }).gives({ body: method });
    await client.send({ method, target: '/a' }).gives({ body: method });
    await client.get('/a').gives({ body: 'get' });
  }
});

scenario('3.1c OPTIONS and others with freshness answer no GET', async ({ origin, client }) => {
  origin.plays(answer(fresh, 'options'), answer(fresh, 'get'));
  await client.send({ method: 'OPTIONS', target: '/a' }).gives({ body: 'options' });
  await client.get('/a').gives({ body: 'get', cache: 'MISS' });
});

scenario('3.2a interim responses are not stored and leave nothing behind', async (s) => {
  s.origin.plays(async (line) => {
    await line.write(head(['X-Interim: 1', 'Cache-Control: max-age=600'], 103, 'Early Hints'));
    await line.write(head(['X-Interim: 2', 'Cache-Control: no-store'], 102, 'Processing'));
    await line.write(`${head([fresh, 'Content-Length: 3'])}one`);
  });
  const fields = { 'X-Interim': null, 'Cache-Control': 'max-age=60' };
  await s.client.get('/a').gives({ body: 'one', fields });
  await s.client.get('/a').gives({ body: 'one', fields, cache: 'HIT', interim: [] });
});

scenario('3.3a a 206 nobody asked for is not stored as the whole', async ({ origin, client }) => {
  const part = answer([fresh, 'ETag: "a"', 'Content-Range: bytes 0-2/10'], 'one', 206);
  origin.plays(part, answer(fresh, '0123456789'));
  await client.get('/a', 'Range: bytes=0-2');
  await client.get('/a').gives({ body: '0123456789' });
});

scenario('3.3b any final status with explicit freshness is stored', async ({ origin, client }) => {
  const known = [200, 203, 300, 301, 302, 303, 307, 308, 400, 403, 404, 405, 410, 414, 500, 501];
  for (const status of [...known, 502, 503, 504, ...unknownStatuses]) {
    origin.plays(answer(fresh, `of ${status}`, status));
    await client.get(`/${status}`).gives({ status, body: `of ${status}` });
    await client.get(`/${status}`).gives({ status, body: `of ${status}`, cache: 'HIT' });
  }
  origin.plays(answer(fresh, '', 204));
  await client.get('/204').gives({ status: 204 });
  await client.get('/204').gives({ status: 204, cache: 'HIT', fields: { 'Content-Length': null } });
});

scenario('3.4a must-understand overrides no-store where the status is understood', async (s) => {
  await s.isReused('Cache-Control: max-age=60, no-store, must-understand');
  await s.isReused('Cache-Control: must-understand, max-age=60');
});

scenario('3.4b must-understand forbids what is not understood', async ({ origin, client }) => {
  for (const status of unknownStatuses) {
    for (const more of ['', ', no-store']) {
      const play = answer(`Cache-Control: max-age=60, must-understand${more}`, 'one', status);
      origin.plays(play, play);
      await client.get(`/${status}`).gives({ status, body: 'one' });
      await client.get(`/${status}`).gives({ status, body: 'one' });
    }
  }
});

scenario('3.5a no-store of a response forbids storing', async (s) => {
  await s.isNotReused('Cache-Control: no-store, max-age=60');
  await s.isNotReused(['Cache-Control: public, max-age=60', 'Cache-Control: no-store']);
});

scenario('3.5b no-store of a request: not stored, but what is stored answers', async (s) => {
  s.origin.plays(answer(fresh, 'one'), answer(fresh, 'two'));
  await s.client.get('/a', 'Cache-Control: no-store').gives({ body: 'one' });
  await s.client.get('/a').gives({ body: 'two' });
  await s.client.get('/a', 'Cache-Control: no-store').gives({ body: 'two', cache: 'HIT' });
});

scenario('3.6a private forbids storing', async (s) => {
  await s.isNotReused('Cache-Control: private, max-age=60');
  await s.isNotReused('Cache-Control: max-age=60, private, public');
});

scenario('3.6b private with field names counts as private', async (s) => {
  await s.isNotReused('Cache-Control: max-age=60, private="X-A"');
  await s.isNotReused(['Cache-Control: max-age=60, private="x-a, x-b"', 'X-A: 1']);
});

scenario('3.7a Authorization: not stored without a directive that allows it', async (s) => {
  const authorized = ['Authorization: Basic dTpw'];
  await s.isNotReused(fresh, authorized);
  await s.isNotReused(`Expires: ${s.clock.date(60)}`, authorized);
  await s.isNotReused('Cache-Control: max-age=60, proxy-revalidate', authorized);
});

scenario('3.7b Authorization: stored with public, must-revalidate or s-maxage', async (s) => {
  const authorized = ['Authorization: Basic dTpw'];
  await s.isReused('Cache-Control: max-age=60, public', authorized);
  await s.isReused('Cache-Control: max-age=60, must-revalidate', authorized);
  await s.isReused('Cache-Control: s-maxage=60', authorized);
});

scenario('3.7c Authorization: does not matter on a hit', async ({ origin, client }) => {
  origin.plays(answer(fresh, 'one'));
  await client.get('/a').gives({ body: 'one' });
  await client.get('/a', 'Authorization: Basic dTpw').gives({ body: 'one', cache: 'HIT' });
});

scenario('3.7d Authorization: the answer is not given to anybody else', async (s) => {
  s.origin.plays(answer(fresh, 'secret'), answer(fresh, 'public'));
  await s.client.get('/a', 'Authorization: Basic dTpw').gives({ body: 'secret' });
  await s.client.get('/a').gives({ body: 'public', cache: 'MISS' });
});

const refusing = withCache({ authorization: 'refuse' });

scenario('3.7e Authorization: a route may refuse all such answers', refusing, async (s) => {
  const authorized = ['Authorization: Basic dTpw'];
  await s.isNotReused('Cache-Control: max-age=60, public', authorized);
  await s.isReused('Cache-Control: max-age=60, public');
});

const sharing = withCache({ authorization: 'share' });

scenario('3.7f Authorization: a route may share them', sharing, async ({ origin, client }) => {
  origin.plays(answer(fresh, 'one'));
  await client.get('/a', 'Authorization: Basic dTpw').gives({ body: 'one' });
  await client.get('/a').gives({ body: 'one', cache: 'HIT' });
});

scenario('3.8a each of the permissions suffices', async (s) => {
  const modified = `Last-Modified: ${s.clock.date(-864_000)}`;
  await s.isReused('Cache-Control: max-age=60');
  await s.isReused('Cache-Control: s-maxage=60');
  await s.isReused(`Expires: ${s.clock.date(60)}`);
  await s.isReused(['Cache-Control: public', modified]);
  await s.isReused([modified]);
});

scenario('3.8b without permission nothing is stored', async ({ origin, client, clock }) => {
  const modified = `Last-Modified: ${clock.date(-864_000)}`;
  for (const status of [201, 202, 302, 303, 307, 400, 403, 500, 502, 503, 504, 599]) {
    const play = answer([modified, 'ETag: "a"'], 'one', status);
    origin.plays(play, play);
    await client.get(`/${status}`).gives({ status });
    await client.get(`/${status}`).gives({ status, cache: 'MISS' });
    const { length } = origin.requests;
    await origin.got(length, { fields: { 'If-None-Match': null } });
  }
});

scenario('3.8c what has neither lifetime nor validator is not stored', async (s) => {
  await s.isNotReused('X-Nothing: 1');
  await s.isNotReused('Cache-Control: public');
  await s.isNotReused('Cache-Control: max-age=0');
});

scenario('3.8d a validator alone is worth storing', async ({ origin, client }) => {
  origin.plays(answer('ETag: "a"', 'one'), notModified('ETag: "a"'));
  await client.get('/a').gives({ body: 'one' });
  await client.get('/a').gives({ body: 'one', cache: 'REVALIDATED' });
  await origin.got(2, { fields: { 'If-None-Match': '"a"' } });
});

scenario('3.9a Set-Cookie with an explicit lifetime is stored and replayed', async (s) => {
  const cookie = 'Set-Cookie: a=1';
  const lifetimes = ['Cache-Control: max-age=60', 'Cache-Control: s-maxage=60'];
  for (const lifetime of [...lifetimes, 'CDN-Cache-Control: max-age=60']) {
    await s.isReused([lifetime, cookie]);
  }
  await s.isReused([`Expires: ${s.clock.date(60)}`, cookie]);
  s.origin.plays(answer(['Cache-Control: max-age=60', cookie], 'one'));
  await s.client.get('/a').gives({ fields: { 'Set-Cookie': 'a=1' } });
  await s.client.get('/a').gives({ fields: { 'Set-Cookie': 'a=1' }, cache: 'HIT' });
});

scenario('3.9b Set-Cookie is not stored on heuristic freshness', async (s) => {
  const modified = `Last-Modified: ${s.clock.date(-864_000)}`;
  await s.isReused(modified);
  await s.isNotReused([modified, 'Set-Cookie: a=1']);
});

scenario('3.9c cookies of a request inhibit nothing', async (s) => {
  await s.isReused(fresh, ['Cookie: a=1']);
});

scenario(
  '3.9d Set-Cookie: a route may refuse such responses',
  withCache({ set_cookie: 'refuse' }),
  async (s) => {
    await s.isNotReused([fresh, 'Set-Cookie: a=1']);
    await s.isReused(fresh);
  },
);

scenario(
  '3.9e Set-Cookie: a route may strip the field',
  withCache({ set_cookie: 'strip' }),
  async ({ origin, client }) => {
    origin.plays(answer([fresh, 'Set-Cookie: a=1'], 'one'));
    await client.get('/a').gives({ body: 'one', fields: { 'Set-Cookie': null } });
    await client.get('/a').gives({ cache: 'HIT', fields: { 'Set-Cookie': null } });
  },
);

scenario('3.10 what came in doubtful framing is not stored', async ({ origin, client }) => {
  const doubtful = [
    bytes(`${head([fresh, 'Content-Length: 5'])}one`),
    bytes(`${head([fresh, 'Transfer-Encoding: chunked'])}3\r\none\r\n`),
    bytes(`${head([fresh, 'Transfer-Encoding: chunked'])}3\r\nonetwo\r\n0\r\n\r\n`),
    bytes(`${head([fresh, 'Transfer-Encoding: chunked'])}3\none\n0\n\n`),
  ];
  for (const [at, play] of doubtful.entries()) {
    origin.always(play);
    await client.get(`/${at}`);
    origin.always(answer(fresh, 'good'));
    await client.get(`/${at}`).gives({ body: 'good', cache: 'MISS' });
  }
});

scenario('3.11 a newer response that may not be stored leaves the older one', async (s) => {
  const unstorable = ['Cache-Control: no-store', 'Vary: *'];
  for (const [at, line] of unstorable.entries()) {
    s.origin.plays(answer(fresh, 'one'), answer([fresh, line], 'two'));
    await s.client.get(`/${at}`).gives({ body: 'one' });
    await s.client.get(`/${at}`, 'Cache-Control: no-cache').gives({ body: 'two' });
    await s.client.get(`/${at}`).gives({ body: 'one', cache: 'HIT' });
  }
});

scenario('3.12 fields about content have no influence', async (s) => {
  await s.isReused([fresh, 'Content-Disposition: attachment', 'Content-Type: text/html']);
  await s.isReused([fresh, 'Content-Language: de', 'Content-Type: odd', 'Content-Type: twice']);
});
