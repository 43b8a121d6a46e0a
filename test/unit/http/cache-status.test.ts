// Cache-Status, X-Cache and Via: what we tell about ourselves, appended to what others told. The
// field must stay readable as a structured list whatever goes in.
// Neither may throw, whatever an origin sent.

import test from 'ava';
import fc from 'fast-check';
import { parseList } from 'structured-headers';
import { type CacheHandling, cacheStatus, xCache } from '../../../ts/http/cache-status.js';
import { appendVia, hasVia } from '../../../ts/http/via.js';

test('cache-status: a hit shows its time left and a detail', (t) => {
  t.is(
    cacheStatus(undefined, { hit: true, ttlS: 58.9, detail: 'disk' }),
    'millrace; hit; ttl=58; detail=disk',
  );
});

test('cache-status: what stands in for a failed origin is no hit', (t) => {
  const member: CacheHandling = {
    hit: false,
    forward: 'stale',
    forwardStatus: 503,
    ttlS: -1.5,
    isStandIn: true,
    detail: 'origin-failed',
  };
  const text = 'millrace; fwd=stale; fwd-status=503; ttl=-2; detail=origin-failed';
  t.is(cacheStatus(undefined, member), text);
  t.is(xCache(member), 'STALE');
  t.is(xCache({ ...member, isStandIn: false }), 'EXPIRED');
});

test('cache-status: a key is told as a string', (t) => {
  t.is(
    cacheStatus(undefined, { hit: true, ttlS: 1, key: 'http://a/"\\\xff', detail: 'a b' }),
    'millrace; hit; ttl=1; key="http://a/\\"\\\\?"; detail="a b"',
  );
});

test('cache-status: a forward shows reason, status and what became of it', (t) => {
  const member: CacheHandling = {
    hit: false,
    forward: 'uri-miss',
    forwardStatus: 200,
    stored: true,
    collapsed: true,
  };
  t.is(cacheStatus(undefined, member), 'millrace; fwd=uri-miss; fwd-status=200; stored; collapsed');
  t.is(
    cacheStatus('', { hit: false, forward: 'stale', forwardStatus: 304, stored: false }),
    'millrace; fwd=stale; fwd-status=304',
  );
});

test('cache-status: hit and fwd never stand together', (t) => {
  const value = cacheStatus(undefined, {
    hit: true,
    forward: 'stale',
    forwardStatus: 200,
    stored: true,
  });
  t.is(value, 'millrace; hit');
});

test('cache-status: a lifetime without a number is not told', (t) => {
  for (const ttlS of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    t.is(cacheStatus(undefined, { hit: true, ttlS }), 'millrace; hit');
  }
});

test('cache-status: a stale response has a negative ttl from its first moment on', (t) => {
  t.is(cacheStatus(undefined, { hit: true, ttlS: -0.2 }), 'millrace; hit; ttl=-1');
});

test('cache-status: our member comes after those of other caches', (t) => {
  t.is(
    cacheStatus('Origin; hit; ttl=5, "Edge 2"; fwd=miss', { hit: true }),
    'Origin; hit; ttl=5, "Edge 2"; fwd=miss, millrace; hit',
  );
});

test('cache-status: a list that cannot be read is not kept', (t) => {
  t.is(cacheStatus('a; b="', { hit: true }), 'millrace; hit');
  t.is(cacheStatus('a,', { hit: true }), 'millrace; hit');
  t.is(cacheStatus(' ', { hit: true }), 'millrace; hit');
});

test('cache-status: an answer of neither store nor origin has only the name', (t) => {
  t.is(cacheStatus(undefined, { hit: false, detail: 'no route' }), 'millrace; detail="no route"');
});

test('cache-status: any detail and upstream text gives a readable list that ends with us', (t) => {
  const text = fc.string({ unit: 'binary' });
  fc.assert(
    fc.property(
      fc.option(text, { nil: undefined }),
      text,
      fc.double(),
      (upstream, detail, ttlS) => {
        const list = parseList(cacheStatus(upstream, { hit: true, ttlS, detail }));
        t.is(String(list.at(-1)![0]), 'millrace');
        t.true(list.at(-1)![1].has('detail'));
      },
    ),
  );
});

test('x-cache: words follow from the same facts', (t) => {
  t.is(xCache({ hit: true }), 'HIT');
  t.is(xCache({ hit: true, ttlS: 0 }), 'HIT');
  t.is(xCache({ hit: true, ttlS: -3 }), 'STALE');
  t.is(xCache({ hit: false, forward: 'stale', forwardStatus: 304 }), 'REVALIDATED');
  t.is(xCache({ hit: false, forward: 'request', forwardStatus: 304 }), 'REVALIDATED');
  t.is(xCache({ hit: false, forward: 'stale' }), 'EXPIRED');
  t.is(xCache({ hit: false, forward: 'request' }), 'MISS');
  t.is(xCache({ hit: false, forward: 'uri-miss', forwardStatus: 304 }), 'MISS');
  t.is(xCache({ hit: false, forward: 'vary-miss' }), 'MISS');
  t.is(xCache({ hit: false, forward: 'vary-miss', forwardStatus: 304 }), 'REVALIDATED');
  t.is(xCache({ hit: false, forward: 'partial' }), 'MISS');
  t.is(xCache({ hit: false, forward: 'miss' }), 'MISS');
  t.is(xCache({ hit: false, forward: 'method' }), 'BYPASS');
  t.is(xCache({ hit: false, forward: 'bypass' }), 'BYPASS');
  t.is(xCache({ hit: false }), 'NONE');
  t.is(xCache({ hit: false, forward: 'stale', isOwnAnswer: true }), 'NONE');
});

test('via: our member is appended to all lines there were', (t) => {
  t.deepEqual(appendVia(['A', '1'], '1.1', 'mr'), ['A', '1', 'Via', '1.1 mr']);
  t.deepEqual(appendVia(['Via', '1.0 a', 'A', '1', 'via', '2 b'], '1.1', 'mr'), [
    'Via',
    '1.0 a, 2 b, 1.1 mr',
    'A',
    '1',
  ]);
  t.deepEqual(appendVia(['Via', ''], '1.1', 'mr'), ['Via', '1.1 mr']);
});

test('via: a message that bears our mark is found again', (t) => {
  t.true(hasVia(appendVia(['Via', '1.0 a'], '1.1', 'Millrace-1'), 'millrace-1'));
  t.true(hasVia(['Via', 'HTTP/1.1\tmr (a, (b) \\) c) , 1.0 x'], 'mr'));
  t.true(hasVia(['Via', '1.0 x', 'via', '1.1 mr'], 'mr'));
});

test('via: a protocol, a comment or part of a name is not our mark', (t) => {
  t.false(hasVia([], 'mr'));
  t.false(hasVia(['Via', '1.1 mrx, mr x, 1.1 x mr'], 'mr'));
  t.false(hasVia(['Via', '1.1 x (seen, 1.1 mr, there)'], 'mr'));
  t.false(hasVia(['Via', '1.1 x (a \\), 1.1 mr, b)'], 'mr'));
});

test('via: a comment that is never closed hides nothing', (t) => {
  t.true(hasVia(['Via', '1.1 x (oops, 1.1 mr'], 'mr'));
  t.true(hasVia(['Via', '1.1 x (a, 1.1 mr, (oops'], 'mr'));
});

test('via: a comment parts words like a blank', (t) => {
  t.true(hasVia(['Via', '1.1(a (b))mr'], 'mr'));
  t.true(hasVia(['Via', '1.1(a)mr'], 'mr'));
});

test('via: a backslash outside of comments is a character like others', (t) => {
  t.false(hasVia(['Via', '1.1 \\xmr'], 'mr'));
});

test('via: any text is searched without throwing, and our mark behind it is found', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary-ascii' }), (text) => {
      t.notThrows(() => hasVia(['Via', text], 'mr'));
      t.true(hasVia(['Via', text, 'Via', '1.1 mr'], 'mr'));
    }),
  );
});
