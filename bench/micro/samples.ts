// The request and the response that the micro suites use: curl's request for a package file, and the file's
// head as a registry sends it. The native twin of the head is native/bench/heads.h.

import { Buffer } from 'node:buffer';
import type { FillHead } from '../../ts/store/contract.js';
import { encodeHead, type Head, headFlags } from '../../ts/store/entry.js';

/** 2027-01-15T08:00:00Z */
export const receivedMs = 1_800_000_000_000;

export const requestFields: readonly string[] = [
  'Host',
  'packages.example.com',
  'User-Agent',
  'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
  'Accept',
  'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  'Accept-Language',
  'en-US,en;q=0.5',
  'Accept-Encoding',
  'gzip, deflate, br',
  'Connection',
  'keep-alive',
];

export const responseFields: readonly string[] = [
  'Date',
  'Fri, 15 Jan 2027 08:00:00 GMT',
  'Content-Type',
  'application/octet-stream',
  'Cache-Control',
  'public, max-age=31536000, immutable',
  'ETag',
  '"5f2b51ca-3c0f1"',
  'Last-Modified',
  'Tue, 05 Jan 2027 10:11:12 GMT',
  'Accept-Ranges',
  'bytes',
  'Server',
  'origin',
  'X-Content-Type-Options',
  'nosniff',
  'Access-Control-Allow-Origin',
  '*',
];

export const target =
  '/pool/main/m/millrace/archives/by-number/millrace-runtime_1.2.3_amd64.deb?token=0123456789';

/** About 100 bytes, as package and layer URLs are. */
export function keyOf(number: number): string {
  const directory = 'pool/main/m/millrace/archives/by-number';
  return `http://packages.example.com/${directory}/millrace-runtime_1.2.3_${number}.deb`;
}

export function headOfLength(bodyLength: number, varyNames: readonly string[] = []): Head {
  return {
    status: 200,
    flags: headFlags.strongValidator | headFlags.immutable | headFlags.acceptsRanges,
    responseMs: receivedMs,
    initialAgeMs: 0,
    freshUntilMs: receivedMs + 31_536_000_000,
    staleWhileRevalidateUntilMs: 0,
    staleIfErrorUntilMs: 0,
    bodyLength,
    lastModifiedS: 1_799_143_872,
    dateS: receivedMs / 1000,
    etag: '"5f2b51ca-3c0f1"',
    varyNames,
    tags: new Uint8Array(0),
    fields: responseFields,
    reason: 'OK',
  };
}

export function fillHeadOf(bodyLength: number, varyNames: readonly string[] = []): FillHead {
  return {
    head: encodeHead(headOfLength(bodyLength, varyNames)),
    bodyLength,
    store: true,
    varyNames,
    requestFields,
  };
}

/** Bytes that no compression and no zero page makes cheaper than others. */
export function noise(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let state = 0x9e3779b9;
  for (let at = 0; at < length; at += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}
