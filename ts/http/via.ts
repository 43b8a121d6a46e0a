// Via (RFC 9110 7.6.3): our mark on every forwarded message, and the loop that shows when a request
// already bears it. Only the list itself is read and written; what a loop is answered with is for
// the exchange to say.

import { fieldLines, fieldValue, type RawFields, withField } from './fields.js';

/** The fields with our member at the end of Via. `httpVersion` is that of the message received. */
export function appendVia(fields: RawFields, httpVersion: string, pseudonym: string): string[] {
  return withField(fields, 'Via', viaBehind(fieldValue(fields, 'via'), httpVersion, pseudonym));
}

/** The value of Via: what came before, then our member. */
export function viaBehind(
  earlier: string | undefined,
  httpVersion: string,
  pseudonym: string,
): string {
  const own = `${httpVersion} ${pseudonym}`;
  return earlier === undefined || earlier === '' ? own : `${earlier}, ${own}`;
}

/** Whether the message has been here. Pseudonyms compare like host names, without case. */
export function hasVia(fields: RawFields, pseudonym: string): boolean {
  const wanted = pseudonym.toLowerCase();
  return fieldLines(fields, 'via').some((line) =>
    withoutComments(line)
      .split(',')
      .some((member) => receivedBy(member) === wanted),
  );
}

function receivedBy(member: string): string | undefined {
  const words = member.split(/[\t ]+/).filter((word) => word !== '');
  return words[1]?.toLowerCase();
}

// Comments nest, may hold commas, and may be full of names that have not seen the message. One that
// is never closed is no comment: it must not hide the members behind it.
function withoutComments(line: string): string {
  let kept = '';
  let depth = 0;
  let opened = 0;
  for (let i = 0; i < line.length; i += 1) {
    const character = line[i]!;
    if (depth > 0 && character === '\\') {
      i += 1;
    } else if (character === '(') {
      if (depth === 0) opened = i;
      depth += 1;
    } else if (depth === 0) {
      kept += character;
    } else if (character === ')') {
      depth -= 1;
      if (depth === 0) kept += ' ';
    }
  }
  return depth === 0 ? kept : kept + line.slice(opened);
}
