// What is stored under a key, as lines for people and as JSON: records with their heads, and the list of
// variants where responses vary.

import { decodeHead, type Head, headFlags } from '../store/entry.js';
import type { StoredRecord } from '../store/inspect.js';
import { variantsIn } from '../store/variants.js';
import { formatDuration } from '../units.js';
import { columnLines } from './columns.js';

export const headOf = (record: StoredRecord): Head | null =>
  record.head.length === 0 ? null : decodeHead(record.head);

/** Of the list of variants, which is stored under the primary key. */
export const isMarker = (head: Head): boolean => (head.flags & headFlags.varyMarker) !== 0;

/** The names and values of Vary behind a key: "\naccept-language:de" as "accept-language: de". */
const choiceText = (choice: string): string =>
  choice.slice(1).replaceAll('\n', ', ').replaceAll(':', ': ');

function markerLines(record: StoredRecord, marker: Head): string[] {
  const variants = variantsIn(marker);
  return columnLines([
    ['kind', `list of variants (${variants.length})`],
    ['at', `byte ${record.offset} of the device, segment ${record.segment}`],
    ...variants.map(({ choice, etag }) => ['  variant', `${choiceText(choice)}  ${etag}`.trim()]),
  ]);
}

export function recordLines(key: string, record: StoredRecord, now: number): string[] {
  const head = headOf(record);
  if (head !== null && isMarker(head)) return markerLines(record, head);
  const lifetime = head === null ? null : head.freshUntilMs - now;
  const choice = record.key.slice(key.length);
  const pairs: (readonly [string, string])[] = [
    ['kind', record.kind],
    ...(choice === '' ? [] : [['variant', choiceText(choice)] as const]),
    ['at', `byte ${record.offset} of the device, segment ${record.segment}`],
    ['born', `${record.birth}, version ${record.incarnation}`],
    ['body', `${record.bodyLength} bytes, ${record.storedLength} on the device`],
  ];
  if (record.chunksWanted > 0) {
    pairs.push(['chunks', `${record.chunksFound} of ${record.chunksWanted} are named by footers`]);
  }
  if (head !== null && lifetime !== null) {
    pairs.push(
      ['status', `${head.status} ${head.reason}`.trimEnd()],
      [
        'fresh',
        lifetime > 0 ? `for ${formatDuration(Math.round(lifetime / 1000) * 1000)}` : 'not any more',
      ],
    );
    for (let at = 0; at + 1 < head.fields.length; at += 2) {
      pairs.push([`  ${head.fields[at]}`, head.fields[at + 1]!]);
    }
  }
  return columnLines(pairs);
}

/** Tags are stored as hashes: 16 hex digits each. */
export function recordJson(record: StoredRecord): object {
  const head = headOf(record);
  if (head === null) return { ...record, head: null, variants: null };
  if (isMarker(head)) return { ...record, head: null, variants: variantsIn(head) };
  const tags = Buffer.from(head.tags);
  const hashes = Array.from({ length: tags.length / 8 }, (_, index) =>
    tags.toString('hex', index * 8, index * 8 + 8),
  );
  return { ...record, head: { ...head, tags: hashes }, variants: null };
}
