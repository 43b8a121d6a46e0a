// May a shared cache store it? One test per rule, each with the reason that is reported. The
// promise behind them: a response for one client never reaches another who may not see it.
// Numbers and windows are tested in freshness.test.ts.

import test from 'ava';
import { type CachePolicy, judgeResponse, type Refusal } from '../../../ts/http/freshness.js';
import { formatHttpDate } from '../../../ts/http/http-date.js';
import { isReasonOfRequest } from '../../../ts/http/storable.js';

const nowMs = Date.UTC(2026, 10, 24);
const policy: CachePolicy = {
  defaultTtlMs: null,
  overrideOrigin: false,
  targetedFields: ['CDN-Cache-Control'],
  heuristicFraction: 0.1,
  heuristicMaxMs: 86_400_000,
  staleWhileRevalidateMs: 0,
  staleIfErrorMs: 0,
  ignoreRequestDirectives: false,
  setCookie: 'store',
  authorization: 'standard',
};
const override = { defaultTtlMs: 60_000, overrideOrigin: true };
const lastModified = ['Last-Modified', formatHttpDate(nowMs / 1000 - 1000)];
const longLived = ['Cache-Control', 'max-age=60'];

interface Given {
  readonly method?: string;
  readonly status?: number;
  readonly request?: string[];
  readonly policy?: Partial<CachePolicy>;
}

const judge = (fields: string[], given: Given = {}) =>
  judgeResponse(
    { method: given.method ?? 'GET', fields: given.request ?? [] },
    { status: given.status ?? 200, fields },
    { sentMs: nowMs, receivedMs: nowMs },
    { ...policy, ...given.policy },
  );
const reason = (fields: string[], given: Given = {}): Refusal => judge(fields, given).reason;
const control = (value: string, given: Given = {}) =>
  reason(['Cache-Control', value, 'ETag', '"a"'], given);

test('storable: only responses to GET are stored', (t) => {
  for (const method of ['HEAD', 'POST', 'PUT', 'get', 'FOO']) {
    t.is(reason(longLived, { method }), 'method', method);
  }
  t.is(reason(longLived), '');
});

test('storable: the answer to a GET with a body is not stored', (t) => {
  t.is(reason(longLived, { request: ['Content-Length', '5'] }), 'request-body');
  t.is(reason(longLived, { request: ['Transfer-Encoding', 'chunked'] }), 'request-body');
  t.is(reason(longLived, { request: ['Content-Length', '0'] }), '');
});

test('storable: parts, validations and what is not final are not stored', (t) => {
  t.is(reason(longLived, { status: 206 }), 'partial');
  for (const status of [100, 103, 199, 304, 600]) t.is(reason(longLived, { status }), 'status');
});

test('storable: answers to a condition or range of one request are not stored', (t) => {
  for (const status of [408, 411, 412, 413, 416, 417, 421, 425, 431])
    t.is(reason(longLived, { status }), 'status');
});

test('storable: any other final status is stored with explicit freshness', (t) => {
  for (const status of [200, 201, 299, 302, 403, 404, 499, 500, 503, 599]) {
    t.is(reason(longLived, { status }), '', String(status));
  }
});

test('storable: a status that is not cacheable by itself needs a lifetime or public', (t) => {
  const fields = ['ETag', '"a"', ...lastModified];
  for (const status of [201, 302, 403, 500, 503]) {
    t.is(reason(fields, { status }), 'no-lifetime');
    t.is(reason([...fields, 'Cache-Control', 'public'], { status }), '');
    t.is(reason([...fields, 'Expires', '0'], { status }), '');
  }
});

test('storable: no-store in the response or the request forbids it', (t) => {
  t.is(control('no-store, max-age=60'), 'no-store');
  t.is(control('NO-STORE=x'), 'no-store');
  t.is(control('max-age=60', { request: ['Cache-Control', 'no-store'] }), 'request-no-store');
  t.is(control('max-age=60', { request: ['Cache-Control', 'no-cache', 'Cookie', 'a'] }), '');
});

test('storable: must-understand sets no-store aside for a known status only', (t) => {
  t.is(control('no-store, must-understand, max-age=60'), '');
  t.is(control('no-store, must-understand, max-age=60', { status: 599 }), 'must-understand');
  t.is(control('must-understand, max-age=60', { status: 499 }), 'must-understand');
  const known = [200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 501];
  for (const status of known) {
    t.is(control('no-store, must-understand, max-age=60', { status }), '', `${status}`);
  }
  t.is(control('no-store, must-understand="', { status: 200 }), 'no-store');
});

test('storable: private forbids it, with or without a list of fields', (t) => {
  t.is(control('private, max-age=60'), 'private');
  t.is(control('private="x-a", max-age=60'), 'private');
  t.is(control('private=, s-maxage=60, public'), 'private');
});

test('storable: a star anywhere in Vary forbids it', (t) => {
  for (const vary of ['*', '*, *', ', *', 'Accept, *', '* ,Accept']) {
    t.is(reason([...longLived, 'Vary', vary]), 'vary-star', vary);
  }
  t.is(reason([...longLived, 'Vary', 'Accept', 'vary', '*']), 'vary-star');
  t.is(reason([...longLived, 'Vary', 'Accept']), '');
});

test('storable: a Vary that cannot be read forbids it', (t) => {
  t.is(reason([...longLived, 'Vary', 'a b']), 'vary-invalid');
  t.is(reason([...longLived, 'Vary', '"accept"']), 'vary-invalid');
});

test('storable: a response to Authorization needs the permission of the origin', (t) => {
  const request = ['Authorization', 'Basic eDp5'];
  t.is(control('max-age=60', { request }), 'authorization');
  t.is(control('s-maxage=x, max-age=60', { request }), 'authorization');
  t.is(control('foo; must-revalidate, max-age=60', { request }), 'authorization');
  for (const permission of ['public', 'must-revalidate', 's-maxage=60']) {
    t.is(control(`${permission}, max-age=60`, { request }), '', permission);
  }
  t.true(judge(longLived, { request }).authorized);
  t.false(judge(longLived).authorized);
});

test('storable: Set-Cookie needs an explicit lifetime or public', (t) => {
  const cookie = ['Set-Cookie', 'a=1', ...lastModified, 'ETag', '"a"'];
  t.is(reason(cookie), 'set-cookie');
  t.is(reason([...cookie, 'Cache-Control', 'no-cache']), 'set-cookie');
  t.is(reason([...cookie, 'Cache-Control', 'max-age=0']), 'set-cookie');
  t.is(reason([...cookie, 'Expires', '0']), 'set-cookie');
  t.is(reason([...cookie, 'Cache-Control', 'max-age=60']), '');
  t.is(reason([...cookie, 'CDN-Cache-Control', 'max-age=60']), '');
  t.is(reason([...cookie, 'Cache-Control', 'public, max-age=0']), '');
  t.true(judge(cookie).hasSetCookie);
});

test('storable: Set-Cookie is not stored without any time to live', (t) => {
  t.is(control('max-age=0', { request: [] }), '');
  const fields = ['Cache-Control', 'max-age=0', 'ETag', '"a"', 'Set-Cookie', 'a=1'];
  t.is(reason(fields), 'set-cookie');
});

test('storable: Set-Cookie is not stored on a lifetime assumed or set by the route', (t) => {
  const cookie = ['Set-Cookie', 'a=1', ...lastModified];
  t.is(reason([...cookie, 'Cache-Control', 'public']), 'set-cookie');
  t.is(reason(cookie, { policy: { defaultTtlMs: 60_000 } }), 'set-cookie');
});

test('storable: without lifetime and validator there is nothing to gain', (t) => {
  t.is(reason([]), 'no-lifetime');
  t.is(reason(['Cache-Control', 'max-age=0']), 'no-lifetime');
  t.is(reason(['Cache-Control', 'public']), 'no-lifetime');
  t.is(reason(['Last-Modified', 'yesterday']), 'no-lifetime');
  t.is(reason(['Cache-Control', 'max-age=0, stale-if-error=60']), '');
});

test('storable: with a validator even a lifetime of zero is stored', (t) => {
  t.is(reason(['ETag', '"a"']), '');
  t.is(reason(['Cache-Control', 'max-age=0', 'ETag', 'W/"a"']), '');
  t.is(reason(['Cache-Control', 'max-age=0', ...lastModified]), '');
  t.is(reason(['Expires', '0', ...lastModified]), '');
});

test('storable: no-cache is stored only if it can be validated', (t) => {
  t.is(reason(['Cache-Control', 'no-cache, max-age=60']), 'no-validator');
  t.is(control('no-cache, max-age=60'), '');
  t.true(judge(['Cache-Control', 'no-cache="x-a"', 'ETag', '"a"']).noCache);
});

test('storable: a route that overrides does not override what protects clients', (t) => {
  const given = { policy: override };
  t.is(control('no-store', given), 'no-store');
  t.is(control('private', given), 'private');
  t.is(reason(['Vary', '*'], given), 'vary-star');
  t.is(reason(['Set-Cookie', 'a=1'], given), 'set-cookie');
  const request = ['Authorization', 'x'];
  t.is(control('max-age=5', { ...given, request }), 'authorization');
  const judged = judge(['Cache-Control', 'must-revalidate'], { ...given, request });
  t.like(judged, { store: true, mustRevalidate: true, lifetimeMs: 60_000 });
});

test('storable: a route that overrides stores also errors and what had no lifetime', (t) => {
  t.is(reason([], { policy: override }), '');
  t.is(reason(['Cache-Control', 'no-cache, max-age=0'], { policy: override }), '');
  t.is(reason([], { policy: override, status: 500 }), '');
  t.is(reason([], { policy: { ...override, defaultTtlMs: null } }), 'no-lifetime');
});

test('storable: a lifetime of the route is no assumption, and public makes cookies all right', (t) => {
  const fields = ['Cache-Control', 'public', 'Set-Cookie', 'a=1'];
  for (const given of [override, { ...override, overrideOrigin: false }]) {
    t.is(reason([], { policy: given }), '');
    t.is(reason(fields, { policy: given }), '');
    t.is(reason(fields.slice(2), { policy: given }), 'set-cookie');
  }
  t.is(reason(fields), 'set-cookie');
});

test('storable: targeted directives decide, and plain ones only without them', (t) => {
  t.is(reason(['CDN-Cache-Control', 'max-age=60', 'Cache-Control', 'private, no-store']), '');
  t.is(reason(['CDN-Cache-Control', 'no-store', ...longLived]), 'no-store');
  t.is(reason(['CDN-Cache-Control', 'private', ...longLived]), 'private');
  t.is(reason(['CDN-Cache-Control', 'private=', ...longLived]), '');
  t.is(reason(['CDN-Cache-Control', '', 'Cache-Control', 'no-store']), 'no-store');
});

test('storable: the route decides about cookies', (t) => {
  const cookie = [...longLived, 'Set-Cookie', 'a=1'];
  t.is(reason(cookie), '');
  t.is(reason(cookie, { policy: { setCookie: 'refuse' } }), 'set-cookie');
  const stripped = { policy: { setCookie: 'strip' } } as const;
  t.is(reason(['Set-Cookie', 'a=1', ...lastModified], stripped), '');
  t.false(judge(cookie, stripped).hasSetCookie);
  t.is(reason(longLived, { policy: { setCookie: 'refuse' } }), '', 'without one nothing changes');
});

test('storable: the route decides about Authorization', (t) => {
  const request = ['Authorization', 'x'];
  const as = (authorization: CachePolicy['authorization'], value: string) =>
    control(value, { request, policy: { authorization } });
  for (const value of ['max-age=60', 'public', 's-maxage=60']) {
    t.is(as('refuse', value), 'authorization');
    t.is(as('share', value), '');
  }
  t.is(control('max-age=60', { policy: { authorization: 'refuse' } }), '', 'of others');
});

test('storable: where access is confirmed, no error is stored, whoever asked', (t) => {
  const confirm = { policy: { authorization: 'confirm' } } as const;
  const errors: readonly (readonly [number, Refusal])[] = [
    [200, ''],
    [301, ''],
    [399, ''],
    [400, 'access'],
    [403, 'access'],
    [404, 'access'],
    [500, 'access'],
  ];
  for (const [status, refusal] of errors) {
    t.is(control('max-age=60', { ...confirm, status }), refusal, `${status}`);
    t.is(control('max-age=60', { status }), '', `${status} otherwise`);
  }
  t.is(control('max-age=60', { ...confirm, request: ['Authorization', 'x'] }), '');
});

test('storable: no-store of a request counts unless the route ignores it', (t) => {
  const request = ['Cache-Control', 'no-store'];
  t.is(control('max-age=60', { request }), 'request-no-store');
  t.is(control('max-age=60', { request, policy: { ignoreRequestDirectives: true } }), '');
});

test('storable: five reasons lie in the request, all others in what was answered', (t) => {
  const own = ['method', 'request-body', 'request-no-store', 'authorization', 'access'];
  for (const reason of own) {
    t.true(isReasonOfRequest(reason), reason);
  }
  const others = ['', 'status', 'partial', 'no-store', 'private', 'vary-star', 'set-cookie'];
  for (const reason of others) t.false(isReasonOfRequest(reason), reason);
});
