// A 206 that may not be stored, to a request for whole chunks: its one client gets the bytes that it asked
// for, and nothing around them.

import { fieldValue, withField } from '../http/fields.js';
import { chooseRange, contentRange, parseContentRange } from '../http/range.js';
import type { Lease } from '../store/contract.js';
import type { BodySource, BodyStream } from './body.js';
import type { Answer, Exchange } from './exchange.js';

/** Null: it has one of several ranges only. */
export function trimmedPart({ method, fields, services }: Exchange, answer: Answer): Answer | null {
  const got = parseContentRange(fieldValue(answer.fields, 'content-range') ?? '');
  if (got === null || answer.body === null) return answer;
  // Which version it is does not matter: the origin has judged If-Range.
  const request = { method, fields: ['Range', fieldValue(fields, 'range') ?? ''] };
  const version = { etag: '', lastModifiedS: null, dateS: 0 };
  const length = got.length ?? got.end + 1;
  const choice = chooseRange(request, length, version, services.clock.now());
  if (choice.kind === 'parts') return null;
  if (choice.kind !== 'part' || choice.start < got.start || choice.start > got.end) return answer;
  const end = Math.min(choice.end, got.end);
  if (choice.start === got.start && end === got.end) return answer;
  const bodyLength = end - choice.start + 1;
  const range = contentRange(choice.start, end, length);
  const told = got.length === null ? range.replace(/\d+$/, '*') : range;
  return {
    ...answer,
    fields: withField(answer.fields, 'Content-Range', told),
    bodyLength,
    body: trimmedBody(answer.body, choice.start - got.start, bodyLength),
  };
}

/** `length` bytes behind the first `skipped` ones. */
function trimmedBody(body: BodySource, skipped: number, length: number): BodySource {
  return { ...body, open: () => new TrimmedStream(body.open(0, null), skipped, length) };
}

export class TrimmedStream implements BodyStream {
  readonly #stream: BodyStream;
  #skip: number;
  #left: number;

  constructor(stream: BodyStream, skipped: number, length: number) {
    this.#stream = stream;
    this.#skip = skipped;
    this.#left = length;
  }

  async next(): Promise<Lease[] | null> {
    while (this.#left > 0) {
      const leases = await this.#stream.next();
      if (leases === null) return null;
      const kept: Lease[] = [];
      for (const lease of leases) {
        const from = Math.min(this.#skip, lease.bytes.length);
        const part = lease.bytes.subarray(from, from + this.#left);
        this.#skip -= from;
        this.#left -= part.length;
        if (part.length > 0) kept.push({ bytes: part, release: () => lease.release() });
        else lease.release();
      }
      if (kept.length > 0) return kept;
    }
    return null;
  }

  /** What the client does not want is not waited for. */
  close(): void {
    this.#stream.close();
  }
}
