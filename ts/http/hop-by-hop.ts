// Which fields belong to one connection only and are neither forwarded nor stored (RFC 9110 7.6.1).
// Content-Length stays: whether it still fits is for the code that sends the body. Upgrade goes
// too: a switched protocol is passed through by code that reads the fields as received.

import { fieldLines, type RawFields, trimmed } from './fields.js';

// The Proxy-Auth fields are between the client and a proxy; this one asks for nothing in them.
const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

// Framing, routing, authentication and caching stand on these, so a Connection field that lists
// them must not be a way to strip them from a message that was judged with them.
const guarded: ReadonlySet<string> = new Set([
  'accept-ranges',
  'age',
  'authorization',
  'cache-control',
  'cache-status',
  'cdn-loop',
  'content-encoding',
  'content-length',
  'content-location',
  'content-range',
  'content-type',
  'cookie',
  'date',
  'etag',
  'expires',
  'host',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'last-modified',
  'location',
  'max-forwards',
  'pragma',
  'proxy-status',
  'range',
  'set-cookie',
  'surrogate-control',
  'vary',
  'via',
]);

// Lengths that a hop-by-hop name has, as bits: most names are told by that, without a lower-case copy. A name
// of 32 and more is looked up like one that is 32 shorter.
const hopByHopLengths = [...hopByHop].reduce((bits, { length }) => bits | (1 << length), 0);

function isHopByHop(name: string): boolean {
  if ((hopByHopLengths & (1 << name.length)) === 0) return false;
  return hopByHop.has(name.toLowerCase());
}

/** The fields that go on to the next hop or into the store, in order. */
export function withoutHopByHop(fields: RawFields): string[] {
  const named = connectionOptions(fields);
  const kept: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!;
    if (isHopByHop(name) || named?.has(name.toLowerCase())) continue;
    kept.push(name, fields[i + 1]!);
  }
  return kept;
}

/**
 * Without the fields that Connection names beside those of every hop. What is looked up in a request must
 * be what is sent on: else a field of the key could be there for us and gone for the origin.
 */
export function withoutNamed(fields: RawFields): RawFields {
  const named = connectionOptions(fields);
  if (named === null) return fields;
  const kept: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    if (!named.has(fields[i]!.toLowerCase())) kept.push(fields[i]!, fields[i + 1]!);
  }
  return kept;
}

// Options are plain tokens, so quotes mean nothing here: splitting at every comma removes more, not
// less. Null where Connection names no field that is taken out for its sake.
function connectionOptions(fields: RawFields): Set<string> | null {
  let options: Set<string> | null = null;
  for (const line of fieldLines(fields, 'connection')) {
    // What nearly every request says.
    if (line === 'keep-alive' || line === 'close') continue;
    for (const member of line.split(',')) {
      const name = trimmed(member).toLowerCase();
      // Targeted fields (CDN-Cache-Control and its like) steer caching just as Cache-Control does.
      if (name === '' || name === 'close') continue;
      if (guarded.has(name) || name.endsWith('-cache-control') || isHopByHop(name)) continue;
      options ??= new Set();
      options.add(name);
    }
  }
  return options;
}
