// The stored head's binary form, the TypeScript twin of native/layout/head.h (the table of offsets is
// there). TypeScript encodes once per fill; C++ checks what it is given; both decode.

import { Buffer } from 'node:buffer';
import type { RawFields } from '../http/fields.js';

export const headFlags = {
  mustRevalidate: 1 << 0,
  noCache: 1 << 1,
  immutable: 1 << 2,
  varyMarker: 1 << 3,
  strongValidator: 1 << 4,
  acceptsRanges: 1 << 5,
  hasSetCookie: 1 << 6,
  authorized: 1 << 7,
  /** Promises no part of the body: what is there is asked for range by range. */
  incomplete: 1 << 8,
} as const;

const magic = 0x3148524d;
const fixedSize = 128;
const tagSize = 8;
const noTags = new Uint8Array(0);
/** All eight bytes of a number that is absent. */
const absentByte = 0xff;

/** A stored head. Times are Unix time; `null` where the response had none. */
export interface Head {
  readonly status: number;
  /** Bits of `headFlags`. */
  readonly flags: number;
  readonly responseMs: number;
  readonly initialAgeMs: number;
  readonly freshUntilMs: number;
  /** 0: no such window. */
  readonly staleWhileRevalidateUntilMs: number;
  readonly staleIfErrorUntilMs: number;
  /** Bytes; null while unknown. */
  readonly bodyLength: number | null;
  readonly lastModifiedS: number | null;
  readonly dateS: number;
  /** With quotes and W/ exactly as received; empty when absent. */
  readonly etag: string;
  /** Lower case, sorted. */
  readonly varyNames: readonly string[];
  /** Hashes of tags, 8 bytes each (CacheStore.tagHashes). */
  readonly tags: Uint8Array;
  readonly fields: RawFields;
  readonly reason: string;
}

/** Bytes of the head. Throws RangeError when a section is too long for its length field. */
export function encodeHead(head: Head): Buffer {
  const { etag, reason } = head;
  const vary = head.varyNames.map((name) => `${name}\0`).join('');
  const { tags } = head;
  if (tags.length % tagSize !== 0 || tags.length / tagSize > 0xffff) {
    throw new RangeError('a stored head has tags of 8 bytes each, at most 65535');
  }
  if (etag.length > 0xffff || vary.length > 0xffff || reason.length > 0xffff) {
    throw new RangeError(
      'a stored head has an ETag, Vary or reason phrase of more than 65535 bytes',
    );
  }
  let fields = '';
  for (let i = 0; i + 1 < head.fields.length; i += 2) {
    fields += `${head.fields[i]}: ${head.fields[i + 1]}\r\n`;
  }
  // Latin1: every character is one byte, so the lengths of the texts are those of the sections.
  const varyOffset = fixedSize + etag.length;
  const tagsOffset = (varyOffset + vary.length + 7) & ~7;
  const fieldsOffset = tagsOffset + tags.length;
  const padding = '\0'.repeat(fieldsOffset - varyOffset - vary.length);
  const reasonOffset = fieldsOffset + fields.length;
  const total = reasonOffset + reason.length;
  const out = Buffer.alloc(total);
  writeNumbers(out, head);
  out.writeUInt32LE(etag.length === 0 ? 0 : fixedSize, 72);
  out.writeUInt16LE(etag.length, 76);
  out.writeUInt16LE(reason.length, 78);
  out.writeUInt32LE(varyOffset, 80);
  out.writeUInt16LE(vary.length, 84);
  out.writeUInt16LE(tags.length / tagSize, 86);
  out.writeUInt32LE(tagsOffset, 88);
  out.writeUInt32LE(fieldsOffset, 92);
  out.writeUInt32LE(fields.length, 96);
  out.writeUInt32LE(reasonOffset, 100);
  out.writeUInt32LE(total, 104);
  // One write for all sections: each crossing into the runtime costs more than the bytes do.
  out.write(etag + vary + padding + fields + reason, fixedSize, 'latin1');
  if (tags.length > 0) out.set(tags, tagsOffset);
  return out;
}

function writeNumbers(out: Buffer, head: Head): void {
  out.writeUInt32LE(magic, 0);
  out.writeUInt16LE(head.status, 4);
  out.writeUInt16LE(head.flags, 6);
  writeMillis(out, 8, head.responseMs);
  writeMillis(out, 16, head.initialAgeMs);
  writeMillis(out, 24, head.freshUntilMs);
  writeMillis(out, 32, head.staleWhileRevalidateUntilMs);
  writeMillis(out, 40, head.staleIfErrorUntilMs);
  writeOptional(out, 48, head.bodyLength);
  writeOptional(out, 56, head.lastModifiedS);
  writeMillis(out, 64, head.dateS);
}

/** Reads a head that native code has checked. Throws RangeError on anything that it would have refused. */
export function decodeHead(bytes: Buffer): Head {
  if (bytes.length < fixedSize || bytes.readUInt32LE(0) !== magic) {
    throw new RangeError('not a stored head');
  }
  // Converted once, cut as text: a hit decodes a head, and each conversion is a call into the runtime.
  const text = bytes.toString('latin1', fixedSize);
  const section = (offset: number, length: number): string =>
    text.slice(Math.max(0, offset - fixedSize), Math.max(0, offset - fixedSize + length));
  const vary = section(bytes.readUInt32LE(80), bytes.readUInt16LE(84));
  return {
    status: bytes.readUInt16LE(4),
    flags: bytes.readUInt16LE(6),
    responseMs: readMillis(bytes, 8),
    initialAgeMs: readMillis(bytes, 16),
    freshUntilMs: readMillis(bytes, 24),
    staleWhileRevalidateUntilMs: readMillis(bytes, 32),
    staleIfErrorUntilMs: readMillis(bytes, 40),
    bodyLength: readOptional(bytes, 48),
    lastModifiedS: readOptional(bytes, 56),
    dateS: readMillis(bytes, 64),
    etag: section(bytes.readUInt32LE(72), bytes.readUInt16LE(76)),
    varyNames: vary === '' ? [] : vary.slice(0, -1).split('\0'),
    tags: tagsIn(bytes),
    fields: splitFieldBlock(section(bytes.readUInt32LE(92), bytes.readUInt32LE(96))),
    reason: section(bytes.readUInt32LE(100), bytes.readUInt16LE(78)),
  };
}

function tagsIn(bytes: Buffer): Uint8Array {
  const count = bytes.readUInt16LE(86);
  if (count === 0) return noTags;
  const offset = bytes.readUInt32LE(88);
  return Uint8Array.from(bytes.subarray(offset, offset + count * tagSize));
}

function splitFieldBlock(block: string): string[] {
  const fields: string[] = [];
  let position = 0;
  while (position < block.length) {
    const colon = block.indexOf(':', position);
    const end = block.indexOf('\r\n', position);
    if (colon < 0 || end < colon) throw new RangeError('a stored head has a malformed field line');
    fields.push(block.slice(position, colon), block.slice(colon + 2, end));
    position = end + 2;
  }
  return fields;
}

function writeMillis(out: Buffer, offset: number, value: number): void {
  const whole = Math.min(Math.max(0, Math.round(value)), Number.MAX_SAFE_INTEGER);
  out.writeUInt32LE(whole % 0x1_0000_0000, offset);
  out.writeUInt32LE(Math.floor(whole / 0x1_0000_0000), offset + 4);
}

function readMillis(bytes: Buffer, offset: number): number {
  return bytes.readUInt32LE(offset) + bytes.readUInt32LE(offset + 4) * 0x1_0000_0000;
}

function writeOptional(out: Buffer, offset: number, value: number | null): void {
  if (value === null || value < 0) out.fill(absentByte, offset, offset + 8);
  else writeMillis(out, offset, value);
}

function readOptional(bytes: Buffer, offset: number): number | null {
  const high = bytes.readUInt32LE(offset + 4);
  if (high === 0xffff_ffff) return null;
  return bytes.readUInt32LE(offset) + high * 0x1_0000_0000;
}
