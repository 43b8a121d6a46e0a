// The list of variants in a Vary marker: what is written is read back, bounded, and chosen by its own Vary.

import test from 'ava';
import fc from 'fast-check';
import { decodeHead, encodeHead } from '../../../ts/store/entry.js';
import {
  markerHead,
  placesFor,
  type Variant,
  variantsIn,
  variantsMax,
  withVariant,
} from '../../../ts/store/variants.js';

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
