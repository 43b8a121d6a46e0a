// Section 1 of the clauses: how fields are read. Each scenario shows by reuse or by its absence what the
// proxy took a field for.

import { answer, scenario } from './language/scenario.js';

scenario('1.1a Cache-Control on several lines is one list', async (s) => {
  await s.isNotReused(['Cache-Control: max-age=60', 'Cache-Control: no-store']);
  await s.isNotReused(['Cache-Control: no-store', 'Cache-Control: max-age=60']);
  await s.isReused(['Cache-Control: public', 'Cache-Control: max-age=60']);
});

scenario('1.1b empty list members are skipped', async (s) => {
  await s.isReused('Cache-Control: , ,max-age=60,,');
  await s.isNotReused('Cache-Control: ,, max-age=60 ,, no-store ,');
});

scenario('1.1c Vary on several lines names the fields of all', async ({ origin, client }) => {
  const lines = ['Cache-Control: max-age=60', 'Vary: X-A', 'Vary: X-B'];
  origin.plays(answer(lines, 'one'), answer(lines, 'two'));
  await client.get('/a', 'X-A: 1', 'X-B: 1').gives({ body: 'one' });
  await client.get('/a', 'X-A: 1', 'X-B: 1').gives({ body: 'one', cache: 'HIT' });
  await client.get('/a', 'X-A: 1', 'X-B: 2').gives({ body: 'two' });
});

scenario('1.1d If-None-Match on several lines is one list', async ({ origin, client }) => {
  origin.plays(answer(['Cache-Control: max-age=60', 'ETag: "v1"'], 'one'));
  await client.get('/a').gives({ body: 'one' });
  await client
    .get('/a', 'If-None-Match: "v0"', 'If-None-Match: "v1"')
    .gives({ status: 304, cache: 'HIT' });
});

scenario('1.1e Connection on several lines names the fields of all', async ({ origin, client }) => {
  origin.plays(answer('', 'one'));
  await client.get('/a', 'Connection: X-A', 'Connection: X-B', 'X-A: 1', 'X-B: 2', 'X-C: 3');
  await origin.got(1, { fields: { 'X-A': null, 'X-B': null, 'X-C': '3' } });
});

scenario('1.1f Set-Cookie lines are never joined', async ({ origin, client }) => {
  const cookies = ['a=1; Expires=Fri, 15 Jan 2027 09:00:00 GMT', 'b=2'];
  const lines = cookies.map((cookie) => `Set-Cookie: ${cookie}`);
  origin.plays(answer(['Cache-Control: max-age=60', ...lines], 'one'));
  await client.get('/a').gives({ fields: { 'Set-Cookie': cookies } });
  await client.get('/a').gives({ fields: { 'Set-Cookie': cookies }, cache: 'HIT' });
});

scenario('1.2a directive names compare without case', async (s) => {
  await s.isReused('Cache-Control: MAX-AGE=60');
  await s.isNotReused('Cache-Control: max-age=60, No-Store');
});

scenario('1.2b an argument may be a token or a quoted string', async (s) => {
  await s.isReused('Cache-Control: max-age="60"');
  await s.isReused('Cache-Control: s-maxage="60"');
  await s.isReused('Cache-Control: max-age="6\\0"');
  await s.isNotReused('Cache-Control: max-age="0", public');
  await s.isNotReused('Cache-Control: max-age=60, private="set-cookie"');
});

scenario('1.2c what stands within quotes is data', async (s) => {
  await s.isReused('Cache-Control: max-age=60, x="no-store, private"');
  await s.isReused('Cache-Control: x="a, max-age=0, no-store", max-age=60');
  await s.isReused('Cache-Control: max-age=60, x="\\", no-store, "');
  await s.isNotReused('Cache-Control: x="max-age=60"');
  await s.isNotReused('Cache-Control: x=", max-age=60", no-cache');
});

scenario('1.3 an unknown directive changes nothing', async (s) => {
  await s.isReused('Cache-Control: max-age=60, something');
  await s.isReused('Cache-Control: something=else, max-age=60');
  await s.isReused('Cache-Control: max-age=60, something="a b"');
  await s.isNotReused('Cache-Control: something=60');
});

scenario('1.4a seconds may have leading zeros', async (s) => {
  await s.isReused('Cache-Control: max-age=00060');
});

scenario('1.4b numbers too large to hold count as very large', async (s) => {
  for (const text of ['2147483648', '4294967297', '99999999999999999999', '9'.repeat(300)]) {
    await s.isReused(`Cache-Control: max-age=${text}`);
    await s.isReused(`Cache-Control: s-maxage=${text}`);
  }
});

scenario('1.4c an Age too large to hold counts as very large', async (s) => {
  for (const text of ['2147483648', '4294967296', '99999999999999999999']) {
    await s.isNotReused(['Cache-Control: max-age=3600', `Age: ${text}`]);
  }
});

scenario('1.5a an invalid lifetime is stale at once', async (s) => {
  const bad = ['-60', '+60', '60.0', '60s', 'sixty', "'60'", '', '0x3c', '6 0', '60;'];
  for (const text of bad) await s.isNotReused(`Cache-Control: max-age=${text}`);
  await s.isNotReused('Cache-Control: max-age = 60');
  await s.isNotReused('Cache-Control: max-age= 60');
  await s.isNotReused('Cache-Control: max-age');
});

scenario('1.5b an invalid lifetime does not let a lower one in', async (s) => {
  const expires = `Expires: ${s.clock.date(3600)}`;
  await s.isNotReused(['Cache-Control: max-age=x', expires]);
  await s.isNotReused(['Cache-Control: max-age=60, s-maxage=x', expires]);
});

scenario('1.5c a restriction with an argument that makes no sense still restricts', async (s) => {
  for (const directive of ['no-store=x', 'no-store=""', 'private=', 'private=x', 'no-cache=;']) {
    await s.isNotReused(`Cache-Control: max-age=60, ${directive}`);
  }
});

scenario('1.6 of a lifetime given twice the smallest counts', async (s) => {
  const lines = ['Cache-Control: max-age=60, max-age=5', 'ETag: "a"'];
  for (const given of [lines, ['Cache-Control: max-age=5', 'Cache-Control: max-age=60']]) {
    await s.isReused(given);
  }
  s.origin.plays(answer('Cache-Control: max-age=60, max-age=5', 'one'), answer('', 'two'));
  await s.client.get('/a').gives({ body: 'one' });
  s.clock.advance(5);
  await s.client.get('/a').gives({ body: 'two' });
});

scenario('1.7a the three formats of a date are read, in any letter case', async (s) => {
  // The clock stands at 2027-01-15T08:00:00Z, a Friday.
  for (const date of [
    'Fri, 15 Jan 2027 09:00:00 GMT',
    'Friday, 15-Jan-27 09:00:00 GMT',
    'Fri Jan 15 09:00:00 2027',
    'fri, 15 jan 2027 09:00:00 gmt',
    'FRIDAY, 15-JAN-27 09:00:00 GMT',
    'fRI jAN 15 09:00:00 2027',
    'Mon Feb  1 09:00:00 2027',
  ]) {
    await s.isReused(`Expires: ${date}`);
  }
});

scenario('1.7b everything else is no date', async (s) => {
  for (const date of [
    'Fri, 15 Jan 2027 09:00:00 UTC',
    'Fri, 15 Jan 2027 09:00:00 +0000',
    'Fri, 15 Jan 2027 09:00:00 CET',
    'Fri, 15 Jan 2027 09:00:00',
    'Fri 15 Jan 2027 09:00:00 GMT',
    'Fri, 15  Jan 2027 09:00:00 GMT',
    'Fri, 15-Jan-2027 09:00:00 GMT',
    'Fri, 15 Jan 2027 09.00.00 GMT',
    'Fri, 15 Jan 2027 9:00:00 GMT',
    'Fri, 15 Jan 27 09:00:00 GMT',
    '15 Jan 2027 09:00:00 GMT',
    '2027-01-15T09:00:00Z',
    '1800003600',
    'Fri, 15 Jan 2027 09:00:00 GMT, Fri, 15 Jan 2027 09:00:00 GMT',
  ]) {
    await s.isNotReused(`Expires: ${date}`);
  }
});

scenario('1.7c a year of two digits more than 50 years ahead is past', async (s) => {
  await s.isReused('Expires: Thursday, 15-Jan-76 09:00:00 GMT');
  await s.isNotReused('Expires: Sunday, 15-Jan-78 09:00:00 GMT');
});

scenario('1.7d dates beyond 2038 work', async (s) => {
  await s.isReused('Expires: Thu, 15 Jan 2099 09:00:00 GMT');
  await s.isReused('Expires: Tue, 19 Jan 2038 03:14:08 GMT');
});

scenario('1.8a an invalid Expires means expired, whatever else would allow', async (s) => {
  const modified = `Last-Modified: ${s.clock.date(-864_000)}`;
  for (const value of ['0', '-1', 'never', '']) {
    await s.isNotReused([`Expires: ${value}`, modified]);
    await s.isNotReused([`Expires: ${value}`, 'Cache-Control: public', modified]);
  }
});

scenario('1.8b Expires on several lines means expired', async (s) => {
  await s.isNotReused([`Expires: ${s.clock.date(3600)}`, `Expires: ${s.clock.date(7200)}`]);
  await s.isNotReused([`Expires: ${s.clock.date(3600)}`, `Expires: ${s.clock.date(3600)}`]);
});

scenario('1.8c an invalid Date is treated as absent', async ({ origin, client, clock }) => {
  const lines = ['Date: yesterday', 'Cache-Control: max-age=60'];
  origin.plays(answer(lines, 'one'), answer(lines, 'two'));
  await client.get('/a').gives({ body: 'one' });
  clock.advance(59);
  await client.get('/a').gives({ body: 'one', age: 59 });
  clock.advance(1);
  await client.get('/a').gives({ body: 'two' });
});

scenario('1.8d Expires counts from the time of receipt where Date is invalid', async (s) => {
  const lines = [`Expires: ${s.clock.date(30)}`, 'Date: 0'];
  s.origin.plays(answer(lines, 'one'), answer(lines, 'two'));
  await s.client.get('/a').gives({ body: 'one' });
  s.clock.advance(29);
  await s.client.get('/a').gives({ body: 'one' });
  s.clock.advance(1);
  await s.client.get('/a').gives({ body: 'two' });
});

scenario('1.9a an invalid Age is ignored', async ({ origin, client }) => {
  for (const [at, age] of ['x', '-5', '5.5', '1e3', '"7"'].entries()) {
    origin.plays(answer(['Cache-Control: max-age=60', `Age: ${age}`], 'one'));
    await client.get(`/${at}`).gives({ body: 'one' });
    await client.get(`/${at}`).gives({ body: 'one', cache: 'HIT', age: 0 });
  }
});

scenario('1.9b of several Ages the first one counts', async ({ origin, client }) => {
  const kinds = [['Age: 7, 100'], ['Age: 7', 'Age: 100']];
  for (const [at, ages] of kinds.entries()) {
    origin.plays(answer(['Cache-Control: max-age=60', ...ages], 'one'));
    await client.get(`/${at}`).gives({ body: 'one' });
    await client.get(`/${at}`).gives({ body: 'one', cache: 'HIT', age: 7 });
  }
});

scenario('1.10a octets above ascii come back as they were', async ({ origin, client }) => {
  const lines = [
    'Cache-Control: max-age=60',
    'ETag: "\xe9\xff\x80"',
    'X-Odd: \xa0caf\xe9 \xc3\xa9',
  ];
  origin.plays(answer(lines, 'one'));
  const fields = { ETag: '"\xe9\xff\x80"', 'X-Odd': '\xa0caf\xe9 \xc3\xa9' };
  await client.get('/a').gives({ fields });
  await client.get('/a').gives({ fields, cache: 'HIT' });
  await client.get('/a', 'If-None-Match: "\xe9\xff\x80"').gives({ status: 304 });
});

scenario('1.10b odd but legal names survive, and equal names keep their order', async (s) => {
  const lines = ["!#$%&'*+-.^_`|~0: odd", 'X-Twice: b', 'x-twice: a', 'X-TWICE: c'];
  s.origin.plays(answer(['Cache-Control: max-age=60', ...lines], 'one'));
  const fields = { "!#$%&'*+-.^_`|~0": 'odd', 'X-Twice': ['b', 'a', 'c'] };
  await s.client.get('/a').gives({ fields });
  await s.client.get('/a').gives({ fields, cache: 'HIT' });
});

scenario('1.10c blanks around a value are no part of it', async ({ origin, client, clock }) => {
  const lines = ['Expires', 'Last-Modified'].map((name) => `${name}: \t${clock.date(60)} \t `);
  origin.plays(answer([...lines, 'X-A:  a b\t', 'Vary: X-V '], 'one'));
  const date = clock.date(60);
  const fields = { Expires: date, 'Last-Modified': date, 'X-A': 'a b', Vary: 'X-V' };
  await client.get('/a').gives({ fields });
  clock.advance(59);
  await client.get('/a').gives({ fields, cache: 'HIT' });
});
