// The fields of an answer that go on to the client as they are, and what our own are made from. For a head
// out of the store this is worked out once, however often the object is hit: what differs between two
// hits (age, lifetime left, range) is added by serve.

import { parseDeltaSeconds } from '../http/cache-control.js';
import { isFilledList } from '../http/cache-status.js';
import { notModifiedFields } from '../http/conditional.js';
import { fieldValue, listMembers, type RawFields } from '../http/fields.js';
import { withoutHopByHop } from '../http/hop-by-hop.js';
import type { Answer } from './exchange.js';

/** Written by us for each answer; what is stored or received under these names is taken out. */
const ownNames = new Set(['content-length', 'x-cache', 'cache-status', 'age', 'via']);

export interface PassedFields {
  readonly fields: RawFields;
  /** Via, Cache-Status and Age of those before us; the latter two only where they can be read. */
  readonly via: string | undefined;
  readonly cacheStatus: string | undefined;
  readonly age: string | undefined;
  readonly namesAcceptRanges: boolean;
}

/** `consumed`: names in lower case that are for us alone. */
function passedFields(all: RawFields, consumed: readonly string[]): PassedFields {
  const kept = withoutHopByHop(all);
  const fields: string[] = [];
  let namesAcceptRanges = false;
  for (let at = 0; at + 1 < kept.length; at += 2) {
    const name = kept[at]!.toLowerCase();
    if (name === 'accept-ranges') namesAcceptRanges = true;
    if (!ownNames.has(name) && !consumed.includes(name)) fields.push(kept[at]!, kept[at + 1]!);
  }
  const cacheStatus = fieldValue(all, 'cache-status');
  return {
    fields,
    via: fieldValue(all, 'via'),
    cacheStatus: cacheStatus !== undefined && isFilledList(cacheStatus) ? cacheStatus : undefined,
    age: ageField(all),
    namesAcceptRanges,
  };
}

/** The first of them decides (RFC 9111 section 5.1); what is no number says nothing to anybody. */
function ageField(all: RawFields): string | undefined {
  const [first = ''] = listMembers(fieldValue(all, 'age') ?? '');
  return parseDeltaSeconds(first) === null ? undefined : first;
}

type Make = (all: RawFields, consumed: readonly string[]) => PassedFields;

/**
 * Worked out once for the fields of a head, which never change, and kept as long as the head is. The
 * consumed names are those of the route; a head that two routes serve is worked out anew at each change.
 */
function onceForEach(make: Make): Make {
  const made = new WeakMap<RawFields, { consumed: readonly string[]; passed: PassedFields }>();
  return (all, consumed) => {
    const known = made.get(all);
    if (known !== undefined && known.consumed === consumed) return known.passed;
    const passed = make(all, consumed);
    made.set(all, { consumed, passed });
    return passed;
  };
}

const wholeOfHead = onceForEach(passedFields);
const notModifiedOfHead = onceForEach((all, consumed) =>
  passedFields(notModifiedFields(all), consumed),
);

/** Of an answer with its body, or with a part of it. */
export function passedFieldsOf(answer: Answer, consumed: readonly string[]): PassedFields {
  const { fields } = answer;
  return answer.head === null ? passedFields(fields, consumed) : wholeOfHead(fields, consumed);
}

/** Of the 304 that stands for a stored answer. */
export function notModifiedFieldsOf(answer: Answer, consumed: readonly string[]): PassedFields {
  return notModifiedOfHead(answer.fields, consumed);
}
