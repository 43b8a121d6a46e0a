// The stored head in both languages: what TypeScript encodes, C++ takes, and both read the same.

import test from 'ava';
import fc from 'fast-check';
import { decodeHead, encodeHead, type Head } from '../../../ts/store/entry.js';
import { headFor, makeRawFile } from '../../support/raw-file.js';

const token = fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,12}$/);
const text = fc.stringMatching(/^[\x21-\x7e\xa0-\xff]([\x20-\x7e\xa0-\xff]{0,20}[\x21-\x7e])?$/);
const time = fc.integer({ min: 0, max: 2 ** 45 });

const heads = fc.record<Head>({
  status: fc.integer({ min: 200, max: 599 }),
  flags: fc.nat(255),
  responseMs: time,
  initialAgeMs: time,
  freshUntilMs: time,
  staleWhileRevalidateUntilMs: time,
  staleIfErrorUntilMs: time,
  bodyLength: fc.option(fc.nat(2 ** 31 - 1)),
  lastModifiedS: fc.option(time),
  dateS: time,
  etag: fc.oneof(fc.constant(''), text),
  varyNames: fc
    .uniqueArray(
      token.map((name) => name.toLowerCase()),
      { maxLength: 4 },
    )
    .map((names) => names.sort()),
  tags: fc.array(fc.uint8Array({ minLength: 8, maxLength: 8 }), { maxLength: 5 }).map((tags) => {
    const joined = new Uint8Array(tags.length * 8);
    for (const [at, tag] of tags.entries()) joined.set(tag, at * 8);
    return joined;
  }),
  fields: fc.array(fc.tuple(token, text), { maxLength: 8 }).map((pairs) => pairs.flat()),
  reason: fc.oneof(fc.constant(''), text),
});

test('entry: a head is decoded to what was encoded', (t) => {
  fc.assert(
    fc.property(heads, (head) => {
      t.deepEqual(decodeHead(encodeHead(head)), head);
    }),
  );
});

test('entry: the native decoder takes every head that is encoded here', async (t) => {
  const file = await makeRawFile();
  t.teardown(file.remove);
  const store = await file.open();
  t.teardown(() => store.close());
  const samples = fc.sample(heads, 60);
  for (const [number, sample] of samples.entries()) {
    const key = `http://test/${number}`;
    const head = { ...sample, varyNames: [], flags: sample.flags & ~8, bodyLength: 0 };
    const fill = store.beginFill(key);
    fill.begin({
      head: encodeHead(head),
      bodyLength: 0,
      store: true,
      varyNames: [],
      requestFields: [],
    });
    fill.finish();
    fill.close();
    const found = await store.lookup(key, []);
    if (found.kind !== 'object') {
      t.fail(`not stored: ${JSON.stringify(head)}`);
      return;
    }
    t.deepEqual(found.object.head, head);
    found.object.close();
  }
});

test('entry: a head cut short or with another magic is refused', (t) => {
  const bytes = encodeHead(headFor(1));
  t.throws(() => decodeHead(bytes.subarray(0, 100)), { instanceOf: RangeError });
  bytes[0] = 0;
  t.throws(() => decodeHead(bytes), { instanceOf: RangeError });
});
