// The body of a running fill, as its followers read it: small first, then a piece per turn of the loop, so
// that nobody has much before everybody has some.

import test from 'ava';
import { fillBody } from '../../../ts/proxy/body.js';
import { encodeHead } from '../../../ts/store/entry.js';
import { openStore } from '../../../ts/store/store.js';
import { bodyBytes } from '../../support/bytes.js';
import { headFor } from '../../support/raw-file.js';

const kib = 1024;
const mib = 1024 * kib;

test('fill body: a follower that comes late gets one piece per turn, the first a small one', async (t) => {
  const store = await openStore({
    memoryLimit: 64 * mib,
    l1Budget: 16 * mib,
    indexMemoryLimit: 8 * mib,
    disk: { kind: 'none' },
    followerGraceMs: 1000,
  });
  t.teardown(() => store.close());
  const body = bodyBytes(3 * mib, 7);
  const fill = store.beginFill('http://test/late');
  t.teardown(() => fill.close());
  fill.begin({
    head: encodeHead(headFor(body.length)),
    bodyLength: body.length,
    store: true,
    varyNames: [],
    requestFields: [],
  });
  const place = fill.follow(0);
  fill.append(body.subarray(0, 2 * mib));
  const share = { isCut: false, fill, retain() {}, release() {} };
  const stream = fillBody(share, body.length, null).open(0, null);
  place.close();
  t.teardown(() => stream.close());

  let turn = 0;
  let isOver = false;
  const count = (): void => {
    turn += 1;
    if (!isOver) setImmediate(count);
  };
  count();
  const lengths: number[] = [];
  const turns = new Set<number>();
  const parts: Buffer[] = [];
  for (let at = 0; at < 2 * mib; ) {
    const leases = (await stream.next())!;
    const bytes = Buffer.concat(leases.map((lease) => lease.bytes));
    for (const lease of leases) lease.release();
    lengths.push(bytes.length);
    turns.add(turn);
    parts.push(bytes);
    at += bytes.length;
  }
  isOver = true;
  t.is(lengths[0], 64 * kib);
  t.true(lengths.every((length) => length <= 256 * kib));
  t.is(turns.size, lengths.length, 'each piece has a turn of its own');
  t.deepEqual(Buffer.concat(parts), body.subarray(0, 2 * mib));
});
