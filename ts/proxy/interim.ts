// Interim responses of the origin (RFC 9110 section 15.2) on their way to the one client whose request they
// answer. They are never stored, and none of their fields gets into the final response.

import { fieldValue, type RawFields } from '../http/fields.js';
import { withoutHopByHop } from '../http/hop-by-hop.js';
import { type Exchange, isClientGone } from './exchange.js';

/** Node writes hints in ASCII; cookies belong to the final response alone. */
const leftOut: ReadonlySet<string> = new Set(['content-length', 'set-cookie', 'date']);

/** 102 and 103 at once to an HTTP/1.1 client; an HTTP/1.0 client knows no interim responses. */
export function forwardInterim(exchange: Exchange, status: number, fields: RawFields): void {
  const { request, response } = exchange;
  const isModern = request.httpVersionMajor === 1 && request.httpVersionMinor >= 1;
  if (!isModern || response.headersSent || isClientGone(exchange)) return;
  if (status === 102) response.writeProcessing();
  if (status !== 103) return;
  try {
    response.writeEarlyHints(hintsOf(fields));
  } catch {
    // A Link that Node finds malformed: hints may be left out at any time.
  }
}

function hintsOf(fields: RawFields): Record<string, string> {
  const passed = withoutHopByHop(fields);
  const hints: Record<string, string> = {};
  for (let at = 0; at + 1 < passed.length; at += 2) {
    const name = passed[at]!.toLowerCase();
    const value = fieldValue(passed, name) ?? '';
    if (!leftOut.has(name) && /^[\t\x20-\x7e]*$/.test(value)) hints[name] = value;
  }
  return hints;
}
