// The list of variants in a Vary marker: what is written is read back, bounded, and chosen by its own Vary.

import { Buffer } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { decodeHead, encodeHead, headFlags } from '../../../ts/store/entry.js';
import {
  markerHead,
  placesFor,
  type Variant,
  variantsIn,
  variantsMax,
  withVariant,
} from '../../../ts/store/variants.js';
import { repositoryRoot } from '../../support/root.js';

const stored = (list: readonly Variant[]) => decodeHead(encodeHead(markerHead(list)));
const variant = (choice: string, etag = '', place = choice): Variant => ({ choice, place, etag });

test('variants: any values and tags come back as they were, in their order', (t) => {
  const latin1 = fc.string({
    unit: fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code)),
    maxLength: 40,
  });
  const one = fc.record({
    choice: latin1.map((value) => `\naccept:${value}`),
    place: latin1.map((value) => `\naccept:${value}`),
    etag: latin1,
  });
  fc.assert(
    fc.property(fc.array(one, { maxLength: variantsMax }), (list) => {
      t.deepEqual(variantsIn(stored(list)), list);
    }),
  );
});

test('variants: more than fit are left out, the oldest first, by number and by length', (t) => {
  const many = Array.from({ length: 40 }, (_, at) => variant(`\nx:${at}`));
  t.deepEqual(variantsIn(stored(many)), many.slice(0, variantsMax));
  const long = Array.from({ length: 10 }, (_, at) => variant(`\nx:${at}${'a'.repeat(5000)}`));
  t.deepEqual(variantsIn(stored(long)), long.slice(0, 4));
});

test('variants: a choice that is known keeps its place, a new one comes first', (t) => {
  const list = [variant('\na:1', '"1"'), variant('\na:2', '"2"')];
  t.deepEqual(withVariant(list, variant('\na:2', '"3"')), [list[0]!, variant('\na:2', '"3"')]);
  t.deepEqual(withVariant(list, variant('\na:3')), [variant('\na:3'), ...list]);
});

test('variants: a request is compared with each by the names of that one', (t) => {
  const marker = stored([
    variant('\na:1\nb', '', '\na:0\nb'),
    variant('\na:1'),
    variant('\nb:2'),
    variant('\na:2'),
  ]);
  const choose = (fields: Record<string, string>) =>
    placesFor(marker, (names) =>
      names.map((name) => (name in fields ? `\n${name}:${fields[name]}` : `\n${name}`)).join(''),
    );
  t.deepEqual(choose({ a: '1' }), ['\na:0\nb', '\na:1']);
  t.deepEqual(choose({ a: '1', b: '2' }), ['\na:1', '\nb:2']);
  t.deepEqual(choose({ a: '2' }), ['\na:2']);
  t.deepEqual(choose({}), []);
});

test('variants: lines that nobody can have written are passed over', (t) => {
  const { fields, ...head } = markerHead([variant('\na:1')]);
  for (const line of ['', '{}', '[1]', '["x","",""]', '["\\na:1"]', '[', '["\\na:1","","x"]']) {
    const marker = { ...head, fields: ['variant', line, ...fields] };
    t.deepEqual(variantsIn(marker), [variant('\na:1')], line);
  }
});

/** The stored heads of the image's Vary markers. A row of the text is 32 bytes; those that lack are zero. */
function goldenMarkers(): Buffer[] {
  const path = join(repositoryRoot(), 'native/test/golden/format-1.0-parts.image.txt');
  const rows = new Map<number, Buffer>();
  for (const line of readFileSync(path, 'latin1').split('\n').slice(1)) {
    const [offset = '', hex = ''] = line.split(' ');
    rows.set(Number.parseInt(offset, 16), Buffer.from(hex, 'hex'));
  }
  const read = (begin: number, length: number): Buffer => {
    const out = Buffer.alloc(length + 64);
    const first = begin - (begin % 32);
    for (let at = first; at < begin + length; at += 32) rows.get(at)?.copy(out, at - first);
    return out.subarray(begin - first, begin - first + length);
  };
  const markers: Buffer[] = [];
  for (const [offset, row] of rows) {
    // A record of kind head without a body: fixed part, key, stored head (docs/ON-DISK-FORMAT.md).
    if (offset % 512 !== 0 || row.toString('latin1', 0, 4) !== 'MRR1' || row[4] !== 2) continue;
    const fixed = read(offset, 128);
    const head = read(offset + 128 + fixed.readUInt32LE(60), fixed.readUInt32LE(88));
    if ((decodeHead(head).flags & headFlags.varyMarker) !== 0) markers.push(head);
  }
  return markers;
}

test('variants: the markers of the golden image are made today as they lie there', (t) => {
  const markers = goldenMarkers();
  t.is(markers.length, 7);
  let longest: readonly Variant[] = [];
  for (const bytes of markers) {
    const list = variantsIn(decodeHead(bytes));
    t.not(list.length, 0);
    if (list.length > longest.length) longest = list;
    t.deepEqual(encodeHead(markerHead(list)), Buffer.from(bytes));
  }
  t.deepEqual(
    longest.map(({ choice, place }) => [choice, place]),
    [
      ['\ndnt:1', '\ndnt:1'],
      ['\naccept-language:fr', '\naccept-language:en'],
      ['\naccept-language:en', '\naccept-language:en'],
      ['\naccept-language:de', '\naccept-language:de'],
      ['\naccept-language', '\naccept-language'],
    ],
  );
});
