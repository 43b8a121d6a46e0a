// Suite micro-http: what JavaScript does with the fields of a request and a response, function by function.
// All are pure, so a case is a call.

import { parseCacheControl, requestDirectives } from '../../ts/http/cache-control.js';
import { cacheStatus, xCache } from '../../ts/http/cache-status.js';
import { hasOriginPrecondition, notModified } from '../../ts/http/conditional.js';
import { fieldValue } from '../../ts/http/fields.js';
import { type CachePolicy, freshnessOf, judgeResponse } from '../../ts/http/freshness.js';
import { withoutHopByHop } from '../../ts/http/hop-by-hop.js';
import { formatHttpDate, parseHttpDate } from '../../ts/http/http-date.js';
import { chooseRange } from '../../ts/http/range.js';
import { appendVia, hasVia } from '../../ts/http/via.js';
import type { Suite } from '../harness.js';
import { type MicroCase, measureCases } from '../micro/benny.js';
import { headOfLength, receivedMs, requestFields, responseFields } from '../micro/samples.js';

export const microHttpSuite: Suite = {
  name: 'micro-http',
  title: 'Header fields and cache rules in JavaScript',
  about:
    'The pure functions between a parsed request and an answer: six request fields as a browser ' +
    'sends them, nine response fields as a package registry does. Sockets and the parser of Node ' +
    'are not in it.',
  run: (context) =>
    measureCases(context, [...requestCases(), ...responseCases(), ...answerCases()]),
};

const pseudonym = 'millrace-0a1b2c3d';

function requestCases(): MicroCase[] {
  const request = { method: 'GET', fields: requestFields };
  const withRange = { method: 'GET', fields: [...requestFields, 'Range', 'bytes=65536-131071'] };
  const withTag = {
    method: 'GET',
    fields: [...requestFields, 'If-None-Match', '"5f2b51ca-3c0f1", W/"other"'],
  };
  const stored = headOfLength(1024 * 1024);
  return [
    {
      name: 'field value, absent from 6 fields',
      unit: 'ns',
      run: () => fieldValue(requestFields, 'range'),
    },
    {
      name: 'request directives, none given',
      unit: 'ns',
      run: () => requestDirectives(requestFields),
    },
    { name: 'Via loop, none', unit: 'ns', run: () => hasVia(requestFields, pseudonym) },
    {
      name: 'preconditions, none',
      unit: 'ns',
      run: () => hasOriginPrecondition(requestFields),
    },
    {
      name: 'not modified, no condition',
      unit: 'ns',
      run: () => notModified(request, stored, receivedMs),
    },
    {
      name: 'not modified, second of two tags',
      unit: 'ns',
      run: () => notModified(withTag, stored, receivedMs),
    },
    {
      name: 'range, none',
      unit: 'ns',
      run: () => chooseRange(request, 1024 * 1024, stored, receivedMs),
    },
    {
      name: 'range, 64 KiB of 1 MiB',
      unit: 'ns',
      run: () => chooseRange(withRange, 1024 * 1024, stored, receivedMs),
    },
  ];
}

function responseCases(): MicroCase[] {
  const request = { method: 'GET', fields: requestFields };
  const response = { status: 200, fields: responseFields };
  const times = { sentMs: receivedMs - 20, receivedMs };
  const policy: CachePolicy = {
    defaultTtlMs: null,
    overrideOrigin: false,
    targetedFields: ['CDN-Cache-Control'],
    heuristicFraction: 0.1,
    staleWhileRevalidateMs: 0,
    staleIfErrorMs: 0,
    ignoreRequestDirectives: false,
    setCookie: 'store',
    authorization: 'standard',
    heuristicMaxMs: 86_400_000,
  };
  return [
    {
      name: 'Cache-Control, 3 directives',
      unit: 'ns',
      run: () => parseCacheControl('public, max-age=31536000, immutable'),
    },
    {
      name: 'HTTP date, parse',
      unit: 'ns',
      run: () => parseHttpDate('Tue, 05 Jan 2027 10:11:12 GMT', receivedMs),
    },
    { name: 'HTTP date, format', unit: 'ns', run: () => formatHttpDate(receivedMs / 1000) },
    {
      name: 'response judged: may it be stored, until when',
      unit: 'ns',
      run: () => judgeResponse(request, response, times, policy),
    },
  ];
}

function answerCases(): MicroCase[] {
  const head = {
    responseMs: receivedMs,
    initialAgeMs: 0,
    freshUntilMs: receivedMs + 60_000,
    noCache: false,
    mustRevalidate: false,
    immutable: false,
  };
  const directives = requestDirectives(requestFields);
  const hit = { hit: true, ttlS: 58, detail: 'memory' };
  return [
    {
      name: 'freshness of a hit',
      unit: 'ns',
      run: () => freshnessOf(head, directives, receivedMs + 1000),
    },
    {
      name: 'hop-by-hop fields taken out of 9',
      unit: 'ns',
      run: () => withoutHopByHop(responseFields),
    },
    { name: 'Via appended', unit: 'ns', run: () => appendVia(responseFields, '1.1', pseudonym) },
    { name: 'Cache-Status of a hit', unit: 'ns', run: () => cacheStatus(undefined, hit) },
    { name: 'X-Cache of a hit', unit: 'ns', run: () => xCache(hit) },
  ];
}
