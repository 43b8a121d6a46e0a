// What `check --url` says about a request: the route's choices in words, the same that serve takes.

import test from 'ava';
import { loadConfig } from '../../../ts/config/load.js';
import type { ConfigInput } from '../../../ts/config/schema.js';
import { explainUrl } from '../../../ts/proxy/explain.js';

type RouteInput = NonNullable<ConfigInput['routes']>[number];

const linesOf = (cache: RouteInput['cache'], url: string, route: RouteInput = {}) => {
  const routes = [{ ...route, cache }];
  const input = { upstream_address: 'a.example:1', enable_l2_cache: false, routes };
  return explainUrl(loadConfig({ input }).config, 'GET', url);
};

test('explain: the defaults', (t) => {
  t.deepEqual(linesOf({}, 'http://Site.test:80/a?b'), [
    'route:    routes[0]',
    'upstream: upstream_address (http://a.example:1)',
    'key:      http://site.test/a?b',
    'redirect: goes to the client',
    'cache:    on',
    'variant:  Vary',
    "ttl:      the origin's, by CDN-Cache-Control, Cache-Control, Expires, " +
      'else 0.1 of the time since Last-Modified, at most 1d',
    'stale:    1d while the origin cannot be reached',
    'stored:   Set-Cookie: with an explicit lifetime or public; ' +
      'Authorization: where the response permits it',
    'abort:    what all clients have left is fetched on for the store',
    'parts:    a range is fetched in whole chunks, what lacks of it at once, 4 at a time; ' +
      'whole bodies in one',
    'client:   Cache-Control of requests is honoured',
  ]);
});

test('explain: every choice of a route is told', (t) => {
  const lines = linesOf(
    {
      ttl: { 404: '10s' },
      override_origin: true,
      key: { fields: ['X-Tenant'], query: { without: ['utm_*'] } },
      heuristic: { fraction: 0.5, max: '1h' },
      stale: { max: '2h', while_revalidate: '5s', if_error: '1m', on_429: true },
      ignore_request_directives: true,
      set_cookie: 'strip',
      authorization: 'refuse',
      targeted_fields: [],
      slice_size: '2MiB',
      max_concurrent_subrequests: 3,
      parallel_download: true,
      client_abort: 'threshold',
      abort_threshold: { bytes_left: '1MiB', completed: 0.5 },
    },
    'http://site.test/a?utm_x=1',
    { follow_redirects: 2, redirect_hosts: ['*.b.example'] },
  );
  t.deepEqual(lines.slice(2), [
    'key:      http://site.test/a',
    'redirect: followed, 2 at most, to *.b.example',
    'cache:    on',
    'variant:  Vary, x-tenant',
    "ttl:      404: 10s, 200: 3600s, overriding the origin; else the origin's, by Cache-Control, " +
      'Expires, else 0.5 of the time since Last-Modified, at most 1h',
    'stale:    2h while the origin cannot be reached, 5s while it is validated, ' +
      '1m when the origin fails, 429 counts as a failure and its Retry-After is kept',
    'stored:   Set-Cookie: without that field; Authorization: never',
    'abort:    what all clients have left is given up, unless 0.5 of it is there or at most 1MiB lacks',
    'parts:    a range is fetched in whole chunks, 2MiB a request, 3 at a time; ' +
      'whole bodies in parallel slices',
    'client:   Cache-Control of requests is ignored',
  ]);
});
