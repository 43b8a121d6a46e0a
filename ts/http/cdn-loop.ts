// CDN-Loop (RFC 8586): who has forwarded a request, in a field that nobody on the way may change. It finds
// loops that lead through proxies which take Via out.

import {
  fieldLines,
  fieldValue,
  listMembers,
  type RawFields,
  trimmed,
  withField,
} from './fields.js';

/** The fields with our member at the end. */
export function appendCdnLoop(fields: RawFields, name: string): string[] {
  const earlier = fieldValue(fields, 'cdn-loop');
  const value = earlier === undefined || earlier === '' ? name : `${earlier}, ${name}`;
  return withField(fields, 'CDN-Loop', value);
}

/** Whether the request was forwarded under that name before; parameters do not matter. */
export function hasCdnLoop(fields: RawFields, name: string): boolean {
  return fieldLines(fields, 'cdn-loop').some((line) =>
    listMembers(line).some((member) => trimmed(member.split(';', 1)[0]!).toLowerCase() === name),
  );
}
