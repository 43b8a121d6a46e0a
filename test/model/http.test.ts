// What must hold of any message, tried with random ones: readers of fields never throw, time only ends
// freshness, what is served from the store is what the origin sent, and no variant answers a request that its
// Vary keeps it from. A failure prints the seed and the smallest example.

import { Buffer } from 'node:buffer';
import test from 'ava';
import fc from 'fast-check';
import {
  parseCacheControl,
  parseTargeted,
  requestDirectives,
} from '../../ts/http/cache-control.js';
import { isFilledList } from '../../ts/http/cache-status.js';
import { mayCompress } from '../../ts/http/compressible.js';
import { notModified, notModifiedFields, validationFields } from '../../ts/http/conditional.js';
import { type CachePolicy, freshnessOf, judgeResponse } from '../../ts/http/freshness.js';
import { withoutHopByHop } from '../../ts/http/hop-by-hop.js';
import { parseHttpDate } from '../../ts/http/http-date.js';
import { matchesStored, mergeNotModified } from '../../ts/http/merge.js';
import { chooseRange, parseContentRange } from '../../ts/http/range.js';
import { retryAfterMs } from '../../ts/http/retry-after.js';
import { tagsOf } from '../../ts/http/tags.js';
import { hasVia } from '../../ts/http/via.js';
import { linesOf, type Received } from '../scenario/language/reader.js';
import { head, playScenario } from '../scenario/language/scenario.js';

const latin1 = fc.string({
  unit: fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code)),
  maxLength: 40,
});
/** Bits of real fields, in any order: nearer to what parsers look for than letters at random. */
const pieces = fc
  .array(
    fc.constantFrom(
      ...['max-age', 's-maxage', 'no-cache', 'private', 'public', '=', ',', ';', '"', '\\', ' '],
      ...['60', '0', '-1', '99999999999999999999', '"v1"', 'W/', '*', 'bytes=', '-', '0-4', '/10'],
      ...['Fri, 15 Jan 2027 08:00:00 GMT', 'Friday, 15-Jan-27 08:00:00 GMT', 'gzip', '(', ')'],
      ...['stale-while-revalidate=5', 'must-understand', 'no-store', '1.1 millrace', '\t', '\xff'],
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''));
const text = fc.oneof(latin1, pieces);

const names = [
  ...['Cache-Control', 'CDN-Cache-Control', 'Pragma', 'Expires', 'Date', 'Age', 'Vary', 'ETag'],
  ...['Last-Modified', 'Connection', 'Via', 'Range', 'If-Range', 'If-None-Match', 'Set-Cookie'],
  ...['If-Modified-Since', 'Authorization', 'Content-Range', 'Content-Encoding', 'Content-Type'],
  ...['Retry-After', 'Cache-Status', 'Surrogate-Key', 'Cache-Tag', 'Accept-Ranges', 'X-Any'],
];
const fields = fc
  .array(fc.tuple(fc.constantFrom(...names), text), { maxLength: 8 })
  .map((lines) => lines.flat());

const stored = { etag: '"v1"', lastModifiedS: 1_799_000_000, dateS: 1_800_000_000 };
const now = 1_800_000_000_000;

test('http model: whatever a field holds, nobody who reads it throws', (t) => {
  fc.assert(
    fc.property(text, fields, (value, lines) => {
      const directives = parseCacheControl(value);
      for (const name of ['max-age', 's-maxage', 'private']) directives.seconds(name);
      parseTargeted(['CDN-Cache-Control', value], ['CDN-Cache-Control']);
      parseHttpDate(value, now);
      parseContentRange(value);
      isFilledList(value);
      requestDirectives(lines);
      mayCompress(lines);
      withoutHopByHop(lines);
      hasVia(lines, 'millrace');
      tagsOf(lines);
      retryAfterMs(lines, now);
      notModifiedFields(lines);
      validationFields({ etag: value, fields: lines });
      matchesStored(stored, lines, now);
      mergeNotModified(lines, lines);
      notModified({ method: 'GET', fields: lines }, stored, now);
      chooseRange({ method: 'GET', fields: ['Range', value, ...lines] }, 10, stored, now);
    }),
    { numRuns: 2000 },
  );
  t.pass();
});

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

test('http model: time makes nothing fresh again, and age never falls', (t) => {
  const moments = fc.array(fc.integer({ min: -10_000, max: 4_000_000 }), { minLength: 2 });
  fc.assert(
    fc.property(fields, fc.nat(5000), moments, (lines, delayMs, offsets) => {
      const times = { sentMs: now - delayMs, receivedMs: now };
      const request = { method: 'GET', fields: [] };
      const judgement = judgeResponse(request, { status: 200, fields: lines }, times, policy);
      const kept = { ...judgement, responseMs: now };
      let wasUsable = true;
      let ttlBefore = Number.POSITIVE_INFINITY;
      for (const offset of offsets.sort((a, b) => a - b)) {
        const { usable, ttlMs } = freshnessOf(kept, null, now + offset);
        if (usable && !wasUsable) throw new Error(`usable again after ${offset} ms`);
        if (ttlMs > ttlBefore) throw new Error(`more lifetime left after ${offset} ms`);
        wasUsable = usable;
        ttlBefore = ttlMs;
      }
    }),
    { numRuns: 2000 },
  );
  t.pass();
});

/** What we may add, and what frames the message on each side. */
const ours = new Set([
  ...['age', 'cache-status', 'x-cache', 'via', 'date', 'accept-ranges', 'connection', 'keep-alive'],
  ...['content-length', 'transfer-encoding'],
]);

const endToEnd = (lines: readonly string[]): string[] => {
  const kept: string[] = [];
  for (let at = 0; at + 1 < lines.length; at += 2) {
    const name = lines[at]!.toLowerCase();
    if (!ours.has(name)) kept.push(`${name}: ${lines[at + 1]}`);
  }
  return kept.sort();
};

const sentFields = fc.array(
  fc.tuple(
    fc.constantFrom('X-A', 'x-b', 'Content-Type', 'Content-Language', 'X-A', 'Link', 'ETag'),
    latin1.map((value) => value.replace(/^ +| +$|\x7f/g, '').replace(/[\x80-\x9f]/g, '?')),
  ),
  { maxLength: 6 },
);

test('http model: what the store serves is what the origin sent', async (t) => {
  await playScenario(t, {}, async ({ origin, client }) => {
    let count = 0;
    await fc.assert(
      fc.asyncProperty(
        sentFields,
        fc.uint8Array({ maxLength: 3000 }),
        fc.boolean(),
        async (lines, bytes, isChunked) => {
          count += 1;
          const body = Buffer.from(bytes);
          const framing = isChunked
            ? 'Transfer-Encoding: chunked'
            : `Content-Length: ${body.length}`;
          const sent = lines.map(([name, value]) => `${name}: ${value}`);
          origin.plays(async (line) => {
            await line.write(head(['Cache-Control: max-age=60', ...sent, framing]));
            if (!isChunked) await line.write(body);
            else {
              if (body.length > 0) await line.chunk(body);
              await line.write('0\r\n\r\n');
            }
          });
          const wanted = endToEnd(['Cache-Control', 'max-age=60', ...lines.flat()]);
          for (const cache of ['MISS', 'HIT']) {
            const got: Received = await client.get(`/${count}`).gives({});
            t.is(linesOf(got.fields, 'x-cache')[0], cache);
            t.true(got.body.equals(body));
            t.deepEqual(endToEnd(got.fields), wanted);
          }
        },
      ),
      { numRuns: 100 },
    );
  });
});

const choices = ['X-A', 'X-B', 'X-C'] as const;
const chosen = fc.record(
  Object.fromEntries(choices.map((name) => [name, fc.constantFrom(null, '', '1', '2', '1, 2')])),
);

test('http model: no variant answers where its Vary forbids it', async (t) => {
  await playScenario(t, {}, async ({ origin, client, clock }) => {
    let number = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(chosen, fc.subarray([...choices]), fc.nat(20)), { maxLength: 12 }),
        async (steps) => {
          number += 1;
          const target = `/${number}`;
          for (const [values, vary, seconds] of steps) {
            const lines = choices.flatMap((name) =>
              values[name] == null ? [] : [`${name}: ${values[name]}`],
            );
            // The body tells what it was made for, and what it may answer.
            origin.always(async (line, request) => {
              const seen = Object.fromEntries(
                choices.map((name) => [name, request.field(name.toLowerCase()) ?? null]),
              );
              const body = JSON.stringify({ seen, vary });
              const named = vary.length === 0 ? [] : [`Vary: ${vary.join(', ')}`];
              await line.write(
                head(['Cache-Control: max-age=60', ...named, `Content-Length: ${body.length}`]),
              );
              await line.write(body);
            });
            const got = await client.get(target, ...lines).gives({});
            const answer = JSON.parse(got.body.toString()) as {
              seen: Record<string, string | null>;
              vary: string[];
            };
            for (const name of answer.vary) t.is(answer.seen[name], values[name] ?? null, name);
            clock.advance(seconds);
          }
        },
      ),
      { numRuns: 40 },
    );
  });
});
