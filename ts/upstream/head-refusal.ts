// What is wrong with a response head although a parser took it: fields that could not be passed on, and
// framing that the reader of the body would get wrong (RFC 9112 section 6). Pure.

import { UpstreamError } from '../errors.js';
import { fieldValue, type RawFields } from '../http/fields.js';

/** Above what any sane origin sends; each costs time in every later step. */
const fieldsMax = 500;

/** Null for a head that may be used. `isOld`: it came in HTTP/1.0. */
export function refusalOfHead(
  origin: URL,
  fields: RawFields,
  isOld: boolean,
): UpstreamError | null {
  const refuse = (what: string, proxyError = 'http_protocol_error') =>
    new UpstreamError('UPSTREAM_PROTOCOL', `${origin.origin} sent ${what}`, { proxyError });
  if (fields.length / 2 > fieldsMax) {
    return refuse(`more than ${fieldsMax} header fields`, 'http_response_header_section_size');
  }
  for (let at = 1; at < fields.length; at += 2) {
    if (!isFieldText(fields[at]!)) return refuse('a malformed header field');
  }
  const coding = fieldValue(fields, 'transfer-encoding');
  // RFC 9112 section 6.1: its sender may mean another framing than its reader, whatever it looks like.
  if (coding !== undefined && isOld) return refuse('Transfer-Encoding in HTTP/1.0');
  // Only chunked is undone on the way. A body in any other coding would be taken for the plain one.
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') {
    return refuse(
      'a transfer coding other than chunked, which nobody asked for',
      'http_response_transfer_coding',
    );
  }
  return null;
}

// What RFC 9110 section 5.5 lets a value hold, obs-text included. Anything else would be refused by the
// server that has to pass it on.
export function isFieldText(text: string): boolean {
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(text);
}
