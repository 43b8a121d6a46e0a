// An answer out of the store, and the way on when a part of a body turns out to be missing: the rest comes
// from the origin, if its validator proves that it is still the same version.

import { UpstreamError } from '../errors.js';
import { fieldValue } from '../http/fields.js';
import { parseContentRange } from '../http/range.js';
import type { StoredObject } from '../store/contract.js';
import { type Head, headFlags } from '../store/entry.js';
import type { UpstreamResponse } from '../upstream/request.js';
import { type BodySource, type Resume, storedBody, UpstreamStream } from './body.js';
import type { Answer, Exchange } from './exchange.js';
import { askOrigin } from './origin-request.js';
import { isIncomplete } from './part-request.js';
import { readAheadFor } from './read-ahead.js';
import { inFlightLimit } from './send-body.js';
import { TrimmedStream } from './trimmed-part.js';

export function answerFromStore(exchange: Exchange, object: StoredObject, head: Head): Answer {
  return {
    status: head.status,
    reason: head.reason,
    fields: head.fields,
    bodyLength: head.bodyLength ?? 0,
    body: bodyOf(exchange, object, head, resumeOf(exchange, head)),
    head,
    isPurged: () => object.purgeState() === 'gone',
  };
}

/** What is stored of it; what lacks is for the reader to have from elsewhere. */
export function storedPartsOf(exchange: Exchange, object: StoredObject, head: Head): BodySource {
  return bodyOf(exchange, object, head, null);
}

function bodyOf(exchange: Exchange, object: StoredObject, head: Head, resume: Resume): BodySource {
  const bodyLength = head.bodyLength ?? 0;
  const { store, clock } = exchange.services;
  return storedBody({
    object,
    bodyLength,
    resume,
    // An incomplete one lacks parts anyway: the rest of it is as good as before.
    onMissing: () => (isIncomplete(object) ? undefined : store?.forget(object)),
    // Beside what is in flight: a whole chunk while the clients are not too many.
    readBytes: () => 2 * inFlightLimit(exchange),
    ahead: readAheadFor(exchange.socket, object, bodyLength, clock),
  });
}

/** Null without a strong validator: then nothing proves that two parts belong together. */
export function resumeOf(exchange: Exchange, head: Head): Resume {
  if ((head.flags & headFlags.strongValidator) === 0 || head.bodyLength === null) return null;
  const { etag } = head;
  return async (offset, end) => {
    exchange.services.counters.rangeResumes += 1;
    const condition = ['Range', `bytes=${offset}-${end - 1}`, 'If-Range', etag];
    const response = await askOrigin(exchange, 'fill', condition);
    const from = sentFrom(response, head, offset, end);
    if (from === null) {
      response.body.abort();
      throw new UpstreamError(
        'UPSTREAM_VALIDATOR_CHANGED',
        `${exchange.key}: the origin no longer has the version whose bytes from ${offset} on are missing`,
      );
    }
    const rest = new UpstreamStream(response.body);
    return response.status === 206 ? rest : new TrimmedStream(rest, offset - from, end - offset);
  };
}

/** Where in the body the answer begins: an origin without ranges sends all of it. Null: not this version. */
function sentFrom(
  { status, fields }: UpstreamResponse,
  { bodyLength, etag }: Head,
  offset: number,
  end: number,
): number | null {
  if ((fieldValue(fields, 'etag') ?? '') !== etag) return null;
  if (status === 200) {
    const length = fieldValue(fields, 'content-length') ?? `${bodyLength}`;
    return length === `${bodyLength}` ? 0 : null;
  }
  const range = parseContentRange(fieldValue(fields, 'content-range') ?? '');
  const isWanted =
    range !== null &&
    range.start === offset &&
    range.end === end - 1 &&
    range.length === bodyLength;
  return status === 206 && isWanted ? offset : null;
}
