// Section 6 of the clauses: conditions that we send, conditions that we receive, and what an answer to ours
// does to what is stored.

import { gate, until } from '../support/until.js';
import { answer, chunked, notModified, scenario } from './language/scenario.js';

const fresh = 'Cache-Control: max-age=60';
const tagged = [fresh, 'ETag: "v1"'];
const modified = 'Wed, 13 Jan 2027 08:00:00 GMT';

scenario('6.1a a stored ETag is sent back as it came', async ({ origin, client, clock }) => {
  const tags = ['"v1"', 'W/"v1"', '"\xe9\xff"', '""', '"a,b"', '"a\\"', 'bare'];
  for (const [at, tag] of tags.entries()) {
    const lines = [fresh, `ETag: ${tag}`];
    origin.plays(answer(lines, 'one'), notModified(lines));
    await client.get(`/${at}`).gives({ body: 'one' });
    clock.advance(61);
    await client.get(`/${at}`).gives({ body: 'one', cache: 'REVALIDATED' });
    await origin.got(2 * at + 2, { fields: { 'If-None-Match': tag } });
  }
});

scenario('6.1b Last-Modified goes along with an ETag', async ({ origin, client, clock }) => {
  const lines = [...tagged, `Last-Modified: ${modified}`];
  origin.plays(answer(lines, 'one'), notModified(lines));
  await client.get('/a').gives({ body: 'one' });
  clock.advance(61);
  await client.get('/a').gives({ body: 'one', cache: 'REVALIDATED' });
  const fields = { 'If-None-Match': '"v1"', 'If-Modified-Since': modified };
  await origin.got(2, { fields });
});

scenario('6.1c Last-Modified alone is sent with its exact text', async (s) => {
  const lines = [fresh, 'Last-Modified: Wednesday, 13-Jan-27 08:00:00 GMT'];
  s.origin.plays(answer(lines, 'one'), notModified(lines));
  await s.client.get('/a').gives({ body: 'one' });
  s.clock.advance(61);
  await s.client.get('/a').gives({ body: 'one', cache: 'REVALIDATED' });
  const sent = 'Wednesday, 13-Jan-27 08:00:00 GMT';
  await s.origin.got(2, { fields: { 'If-None-Match': null, 'If-Modified-Since': sent } });
});

scenario('6.1d the stored response is kept until the answer is known', async (s) => {
  s.origin.plays(
    answer(tagged, 'one'),
    (line) => line.reset(),
    (line) => line.reset(),
  );
  await s.client.get('/a').gives({ body: 'one' });
  s.clock.advance(61);
  await s.client.get('/a').gives({ body: 'one', cache: 'STALE' });
  s.origin.plays(notModified(tagged));
  await s.client.get('/a').gives({ body: 'one', cache: 'REVALIDATED' });
});

scenario('6.2 the fields that Vary names go along with the question', async (s) => {
  const lines = [...tagged, 'Vary: X-A, Accept-Encoding'];
  s.origin.plays(answer(lines, 'one'), notModified(lines));
  await s.client.get('/a', 'X-A: 1', 'Accept-Encoding: br').gives({ body: 'one' });
  s.clock.advance(61);
  await s.client.get('/a', 'X-A: 1', 'Accept-Encoding: br').gives({ cache: 'REVALIDATED' });
  const fields = { 'X-A': '1', 'Accept-Encoding': 'br', 'If-None-Match': '"v1"' };
  await s.origin.got(2, { fields });
});

scenario("6.3a a client's condition does not reach the origin in place of ours", async (s) => {
  s.origin.plays(answer(tagged, 'one'), notModified(tagged));
  await s.client.get('/a').gives({ body: 'one' });
  s.clock.advance(61);
  await s.client.get('/a', 'If-None-Match: "other"').gives({ body: 'one', cache: 'REVALIDATED' });
  await s.origin.got(2, { fields: { 'If-None-Match': '"v1"' } });
});

scenario('6.3b its condition is judged against what was validated', async (s) => {
  s.origin.plays(answer(tagged, 'one'), notModified(tagged), answer([fresh, 'ETag: "v2"'], 'two'));
  await s.client.get('/a').gives({ body: 'one' });
  s.clock.advance(61);
  await s.client.get('/a', 'If-None-Match: "v1"').gives({ status: 304, body: '' });
  s.clock.advance(61);
  await s.client.get('/a', 'If-None-Match: "v1"').gives({ body: 'two' });
});

scenario('6.3c a condition on a miss fills the store with the whole', async (s) => {
  s.origin.plays(answer(tagged, 'one'));
  await s.client.get('/a', 'If-None-Match: "v1"').gives({ status: 304 });
  await s.client.get('/a').gives({ body: 'one', cache: 'HIT' });
});

scenario('6.3d no 304 reaches a client that sent no condition', async ({ origin, client }) => {
  origin.plays(notModified(tagged), notModified(tagged));
  await client.get('/a').gives({ status: 502 });
});

scenario('6.3e a condition of one who follows is judged for it alone', async (s) => {
  const goOn = gate();
  s.origin.plays(async (line, request) => {
    await goOn.opened;
    await answer(tagged, 'one')(line, request);
  });
  const asking = [s.client.get('/a'), s.client.get('/a', 'If-None-Match: "v1"')];
  await until('two exchanges', () => s.proxy.counters().exchangesOpen === 2);
  goOn.open();
  await asking[0]!.gives({ body: 'one' });
  await asking[1]!.gives({ status: 304 });
});

scenario('6.4a If-Match and If-Unmodified-Since are for the origin', async (s) => {
  s.origin.plays(answer(tagged, 'one'));
  await s.client.get('/a').gives({ body: 'one' });
  const lines = ['If-Match: "v0"', `If-Unmodified-Since: ${modified}`];
  for (const [at, line] of lines.entries()) {
    s.origin.plays(answer('', 'failed', 412));
    await s.client.get('/a', line).gives({ status: 412, body: 'failed', cache: 'BYPASS' });
    const [name, value] = line.split(': ');
    await s.origin.got(at + 2, { fields: { [name!]: value! } });
  }
  await s.client.get('/a').gives({ body: 'one', cache: 'HIT' });
});

scenario('6.5a any tag that matches weakly gives a 304', async ({ origin, client }) => {
  for (const [at, tag] of ['"v1"', 'W/"v1"'].entries()) {
    origin.plays(answer([fresh, `ETag: ${tag}`], 'one'));
    await client.get(`/${at}`).gives({ body: 'one' });
    for (const sent of ['"v1"', 'W/"v1"', '*', '"v0", "v1"', '"a,b",W/"v1"', ', "v1"']) {
      const fields = { ETag: tag, 'Content-Length': null };
      await client.get(`/${at}`, `If-None-Match: ${sent}`).gives({ status: 304, fields });
    }
    const split = ['If-None-Match: "v0"', 'If-None-Match: "v1"'];
    await client.get(`/${at}`, ...split).gives({ status: 304 });
  }
});

scenario('6.5b tags are compared byte for byte', async ({ origin, client }) => {
  origin.plays(answer(tagged, 'one'));
  await client.get('/a').gives({ body: 'one' });
  for (const sent of ['"V1"', 'w/"v1"', 'v1', '"v1', '"v 1"', '"\\v1"', '"v0"', 'W/v1', '']) {
    await client.get('/a', `If-None-Match: ${sent}`).gives({ body: 'one', cache: 'HIT' });
  }
});

scenario('6.5c a tag without quotes matches only itself', async ({ origin, client }) => {
  origin.plays(answer([fresh, 'ETag: v1'], 'one'));
  await client.get('/a').gives({ body: 'one' });
  await client.get('/a', 'If-None-Match: "v1"').gives({ body: 'one', cache: 'HIT' });
  await client.get('/a', 'If-None-Match: v1').gives({ status: 304 });
});

scenario('6.6 with If-None-Match, If-Modified-Since does not count', async (s) => {
  s.origin.plays(answer([...tagged, `Last-Modified: ${modified}`], 'one'));
  await s.client.get('/a').gives({ body: 'one' });
  const since = `If-Modified-Since: ${s.clock.date(60)}`;
  await s.client.get('/a', since).gives({ status: 304 });
  await s.client.get('/a', since, 'If-None-Match: "v0"').gives({ body: 'one', cache: 'HIT' });
});

scenario('6.7a If-Modified-Since against Last-Modified, in all three formats', async (s) => {
  s.origin.plays(answer([fresh, `Last-Modified: ${modified}`], 'one'));
  await s.client.get('/a').gives({ body: 'one' });
  for (const [date, status] of [
    ['Wed, 13 Jan 2027 07:59:59 GMT', 200],
    ['Wed, 13 Jan 2027 08:00:00 GMT', 304],
    ['Wednesday, 13-Jan-27 08:00:00 GMT', 304],
    ['Wed Jan 13 08:00:00 2027', 304],
    ['Wed, 13 Jan 2027 09:00:00 GMT', 304],
  ] as const) {
    await s.client.get('/a', `If-Modified-Since: ${date}`).gives({ status, cache: 'HIT' });
  }
});

scenario('6.7b without Last-Modified the Date counts', async ({ origin, client, clock }) => {
  origin.plays(answer([fresh, `Date: ${clock.date(-10)}`], 'one'), answer(fresh, 'two'));
  await client.get('/date').gives({ body: 'one' });
  await client.get('/receipt').gives({ body: 'two' });
  const since = (offset: number) => `If-Modified-Since: ${clock.date(offset)}`;
  await client.get('/date', since(-10)).gives({ status: 304 });
  await client.get('/date', since(-11)).gives({ status: 200 });
  await client.get('/receipt', since(0)).gives({ status: 304 });
  await client.get('/receipt', since(-1)).gives({ status: 200 });
});

scenario('6.7c an invalid If-Modified-Since is ignored', async ({ origin, client }) => {
  origin.plays(answer([fresh, `Last-Modified: ${modified}`], 'one'));
  await client.get('/a').gives({ body: 'one' });
  for (const date of ['now', '0', 'Fri, 15 Jan 2027 09:00:00 UTC', '']) {
    await client.get('/a', `If-Modified-Since: ${date}`).gives({ body: 'one', cache: 'HIT' });
  }
});

scenario('6.8a a 304 has what the 200 would have had, and no body', async (s) => {
  const kept = {
    'Cache-Control': 'max-age=60',
    'Content-Location': '/b',
    Date: s.clock.date(),
    ETag: '"v1"',
    Expires: s.clock.date(60),
    Vary: 'X-A',
  };
  const lines = Object.entries(kept).map(([name, value]) => `${name}: ${value}`);
  s.origin.plays(answer([...lines, `Last-Modified: ${modified}`, 'X-Other: 1'], 'one'));
  await s.client.get('/a').gives({ body: 'one' });
  s.clock.advance(2);
  const fields = { ...kept, 'Last-Modified': null, 'X-Other': null, 'Content-Length': null };
  await s.client.get('/a', 'If-None-Match: "v1"').gives({ status: 304, age: 2, body: '', fields });
});

scenario('6.8b a 304 without ETag has Last-Modified', async ({ origin, client, clock }) => {
  origin.plays(answer([fresh, `Last-Modified: ${modified}`], 'one'));
  await client.get('/a').gives({ body: 'one' });
  const asked = client.get('/a', `If-Modified-Since: ${clock.date()}`);
  await asked.gives({ status: 304, fields: { 'Last-Modified': modified } });
});

scenario('6.9a a condition concerns only GET and HEAD', async ({ origin, client }) => {
  origin.plays(answer(tagged, 'one'), answer('', 'posted'));
  await client.get('/a').gives({ body: 'one' });
  await client.head('/a', 'If-None-Match: "v1"').gives({ status: 304, cache: 'HIT' });
  const post = { method: 'POST', target: '/a', lines: ['If-None-Match: "v1"'] };
  await client.send(post).gives({ body: 'posted' });
});

scenario('6.9b a condition concerns only a stored 200', async ({ origin, client }) => {
  for (const status of [404, 410, 301]) {
    origin.plays(answer(tagged, 'one', status));
    await client.get(`/${status}`).gives({ status });
    await client.get(`/${status}`, 'If-None-Match: "v1"').gives({ status, cache: 'HIT' });
  }
});

scenario('6.10a a strong tag in the 304 has to be the stored one', async (s) => {
  s.origin.plays(answer(tagged, 'one'), notModified([fresh, 'ETag: "v2"']), answer(fresh, 'two'));
  await s.client.get('/a').gives({ body: 'one' });
  s.clock.advance(61);
  await s.client.get('/a').gives({ body: 'two' });
  await s.origin.got(3, { fields: { 'If-None-Match': null, 'If-Modified-Since': null } });
  await s.client.get('/a').gives({ body: 'two', cache: 'HIT' });
});

scenario('6.10b a weak tag matches weakly', async ({ origin, client, clock }) => {
  origin.plays(answer([fresh, 'ETag: W/"v1"'], 'one'), notModified([fresh, 'ETag: W/"v1"']));
  await client.get('/a').gives({ body: 'one' });
  clock.advance(61);
  await client.get('/a').gives({ body: 'one', cache: 'REVALIDATED' });
  await client.get('/a').gives({ body: 'one', cache: 'HIT' });
});

scenario('6.10c a 304 without validators means the one that we asked about', async (s) => {
  s.origin.plays(answer(tagged, 'one'), notModified(fresh));
  await s.client.get('/a').gives({ body: 'one' });
  s.clock.advance(61);
  await s.client.get('/a').gives({ body: 'one', cache: 'REVALIDATED', fields: { ETag: '"v1"' } });
  await s.client.get('/a').gives({ body: 'one', cache: 'HIT' });
});

const variant = (tag: string, name = 'X-A') => [fresh, `Vary: ${name}`, `ETag: ${tag}`];

scenario('6.10d a strong tag freshens every variant that has it', async (s) => {
  s.origin.plays(answer(variant('"v1"'), 'one'), answer(variant('"v1"'), 'one'));
  await s.client.get('/a', 'X-A: 1').gives({ body: 'one' });
  await s.client.get('/a', 'X-A: 2').gives({ body: 'one' });
  s.clock.advance(61);
  s.origin.plays(notModified([...variant('"v1"'), 'X-New: 1']));
  await s.client.get('/a', 'X-A: 1').gives({ cache: 'REVALIDATED' });
  await s.client.get('/a', 'X-A: 2').gives({ cache: 'HIT', fields: { 'X-New': '1' } });
});

scenario('6.10e a tag that nothing has freshens nothing', async ({ origin, client, clock }) => {
  origin.plays(answer(variant('"v1"'), 'one'), notModified(variant('W/"v9"')));
  origin.plays(answer(variant('"v2"'), 'two'));
  await client.get('/a', 'X-A: 1').gives({ body: 'one' });
  clock.advance(61);
  await client.get('/a', 'X-A: 1').gives({ body: 'two' });
  await origin.got(3, { fields: { 'If-None-Match': null } });
});

scenario('6.11a fields of the 304 replace the stored ones, at once and later', async (s) => {
  s.origin.plays(
    answer([...tagged, 'X-Old: kept', 'X-Both: old', 'X-Both: older'], 'one'),
    notModified([...tagged, 'X-Both: new', 'X-New: new', 'Content-Type: text/plain']),
  );
  await s.client.get('/a').gives({ body: 'one' });
  s.clock.advance(61);
  const fields = {
    'X-Old': 'kept',
    'X-Both': 'new',
    'X-New': 'new',
    'Content-Type': 'text/plain',
  };
  await s.client.get('/a').gives({ body: 'one', fields, cache: 'REVALIDATED' });
  await s.client.get('/a').gives({ body: 'one', fields, cache: 'HIT' });
});

scenario('6.11b what describes the stored body is not replaced', async (s) => {
  s.origin.plays(
    answer([...tagged, 'Content-Encoding: gzip'], 'one'),
    notModified([
      ...tagged,
      'Content-Length: 99',
      'Content-Encoding: br',
      'Content-Range: bytes 0-1/99',
      'Connection: X-Hop',
      'X-Hop: 1',
    ]),
  );
  await s.client.get('/a').gives({ body: 'one' });
  s.clock.advance(61);
  const fields = { 'Content-Encoding': 'gzip', 'Content-Range': null, 'X-Hop': null };
  await s.client.get('/a').gives({ body: 'one', fields, cache: 'REVALIDATED' });
  await s.client.get('/a').gives({ body: 'one', fields, cache: 'HIT' });
});

scenario('6.11c age and lifetime begin anew with the 304', async (s) => {
  s.origin.plays(
    answer([...tagged, `Date: ${s.clock.date(-5)}`, 'Age: 7'], 'one'),
    notModified(['Cache-Control: max-age=20', 'ETag: "v1"', `Date: ${s.clock.date(53)}`]),
  );
  await s.client.get('/a').gives({ body: 'one' });
  s.clock.advance(53);
  await s.client.get('/a').gives({ body: 'one', cache: 'REVALIDATED' });
  s.clock.advance(19);
  await s.client.get('/a').gives({ body: 'one', cache: 'HIT', age: 19 });
  s.clock.advance(1);
  s.origin.plays(answer('', 'two'));
  await s.client.get('/a').gives({ body: 'two' });
});

scenario('6.11d a 304 with no-store or private ends the use of the entry', async (s) => {
  for (const [at, directive] of ['no-store', 'private'].entries()) {
    s.origin.plays(answer(tagged, 'one'));
    s.origin.plays(notModified([`Cache-Control: max-age=60, ${directive}`, 'ETag: "v1"']));
    s.origin.plays(answer('', 'two'));
    await s.client.get(`/${at}`).gives({ body: 'one' });
    s.clock.advance(61);
    await s.client.get(`/${at}`).gives({ body: 'one' });
    await s.client.get(`/${at}`).gives({ body: 'two', cache: 'MISS' });
  }
});

scenario('6.11e a 304 may shorten, lengthen and end a lifetime', async (s) => {
  s.origin.plays(answer(tagged, 'one'));
  await s.client.get('/a').gives({ body: 'one' });
  for (const seconds of [5, 500, 0]) {
    s.clock.advance(501);
    s.origin.plays(notModified([`Cache-Control: max-age=${seconds}`, 'ETag: "v1"']));
    await s.client.get('/a').gives({ cache: 'REVALIDATED' });
    if (seconds > 0) {
      s.clock.advance(seconds - 1);
      await s.client.get('/a').gives({ cache: 'HIT', age: seconds - 1 });
    }
  }
  s.origin.plays(notModified(tagged));
  await s.client.get('/a').gives({ cache: 'REVALIDATED' });
});

scenario('6.11f a 304 may bring a Vary that was not there', async ({ origin, client, clock }) => {
  origin.plays(answer(tagged, 'one'), notModified([...tagged, 'Vary: X-A']), answer(tagged, 'two'));
  await client.get('/a', 'X-A: 1').gives({ body: 'one' });
  clock.advance(61);
  await client.get('/a', 'X-A: 1').gives({ body: 'one', cache: 'REVALIDATED' });
  await client.get('/a', 'X-A: 2').gives({ body: 'two' });
});

scenario('6.12a a full answer replaces the stored one', async ({ origin, client, clock }) => {
  origin.plays(answer(tagged, 'one'), chunked([fresh, 'ETag: "v2"'], 'two', '2'));
  await client.get('/a').gives({ body: 'one' });
  clock.advance(61);
  await client.get('/a').gives({ body: 'two2', cache: 'EXPIRED' });
  await client.get('/a').gives({ body: 'two2', cache: 'HIT', fields: { ETag: '"v2"' } });
});

scenario('6.12b a full answer that may not be stored is passed on', async (s) => {
  s.origin.plays(answer(tagged, 'one'), answer('Cache-Control: no-store', 'two'));
  await s.client.get('/a').gives({ body: 'one' });
  s.clock.advance(61);
  await s.client.get('/a').gives({ body: 'two' });
});

scenario('6.12c a 5xx is passed on', async ({ origin, client, clock }) => {
  origin.plays(answer(tagged, 'one'), answer('', 'down', 503), notModified(tagged));
  await client.get('/a').gives({ body: 'one' });
  clock.advance(61);
  await client.get('/a').gives({ status: 503, body: 'down' });
  await client.get('/a').gives({ body: 'one', cache: 'REVALIDATED' });
});

scenario('6.12d another status replaces what it may', async ({ origin, client, clock }) => {
  for (const status of [404, 410, 301]) {
    origin.plays(answer(tagged, 'one'), answer(fresh, 'gone', status));
    await client.get(`/${status}`).gives({ body: 'one' });
    clock.advance(61);
    await client.get(`/${status}`).gives({ status, body: 'gone' });
    await client.get(`/${status}`).gives({ status, body: 'gone', cache: 'HIT' });
  }
});

scenario('6.12e another status that may not be stored is passed on', async (s) => {
  s.origin.plays(answer(tagged, 'one'), answer('', 'forbidden', 403), answer(tagged, 'two'));
  await s.client.get('/a').gives({ body: 'one' });
  s.clock.advance(61);
  await s.client.get('/a').gives({ status: 403, body: 'forbidden' });
  await s.client.get('/a').gives({ body: 'two' });
  await s.client.get('/a').gives({ body: 'two', cache: 'HIT' });
});

scenario('6.13a HEAD that agrees updates the stored fields', async ({ origin, client, clock }) => {
  origin.plays(answer([...tagged, 'X-A: old'], 'one'));
  await client.get('/a').gives({ body: 'one' });
  clock.advance(50);
  origin.plays(answer([...tagged, 'X-A: new'], 'one'));
  await client.head('/a', 'Cache-Control: no-cache').gives({ fields: { 'X-A': 'new' } });
  clock.advance(30);
  await client.get('/a').gives({ body: 'one', cache: 'HIT', age: 30, fields: { 'X-A': 'new' } });
});

scenario('6.13b HEAD that contradicts makes the stored response stale', async (s) => {
  const others = [
    ['ETag: "v2"', 'one'],
    ['ETag: "v1"', 'longer'],
  ] as const;
  for (const [at, [tag, body]] of others.entries()) {
    s.origin.plays(answer(tagged, 'one'), answer([fresh, tag], body), answer(fresh, 'two'));
    await s.client.get(`/${at}`).gives({ body: 'one' });
    await s.client.head(`/${at}`, 'Cache-Control: no-cache').gives({});
    await s.client.get(`/${at}`).gives({ body: 'two' });
  }
});

scenario('6.13c HEAD with another status touches nothing', async ({ origin, client }) => {
  origin.plays(answer(tagged, 'one'), answer('', '', 500));
  await client.get('/a').gives({ body: 'one' });
  await client.head('/a', 'Cache-Control: no-cache').gives({ status: 500 });
  await client.get('/a').gives({ body: 'one', cache: 'HIT' });
});

scenario('6.14a HEAD is answered from a stored GET', async ({ origin, client }) => {
  origin.plays(answer([...tagged, 'X-A: 1'], 'one'));
  await client.get('/a').gives({ body: 'one' });
  const fields = { 'Content-Length': '3', 'X-A': '1', ETag: '"v1"' };
  await client.head('/a').gives({ cache: 'HIT', fields, body: '' });
});

scenario('6.14b HEAD of what is not stored goes on as HEAD', async ({ origin, client }) => {
  origin.plays(answer(tagged, 'one'), answer(tagged, 'two'));
  await client.head('/a').gives({ fields: { 'Content-Length': '3' }, body: '' });
  await origin.got(1, { method: 'HEAD' });
  await client.get('/a').gives({ body: 'two' });
});
