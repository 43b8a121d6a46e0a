// Leases: what JavaScript keeps of a page that it gave back. Pages are poisoned when they are freed, so a
// view that still reached one would show it.

import { randomBytes } from 'node:crypto';
import test from 'ava';
import type { Lease } from '../../ts/store/contract.js';
import { encodeHead } from '../../ts/store/entry.js';
import { headFor, makeRawFile, putObject } from '../support/raw-file.js';

const poison = 0xdb;

async function leaseOf(store: Awaited<ReturnType<typeof openFile>>, key: string): Promise<Lease> {
  const found = await store.lookup(key, []);
  if (found.kind !== 'object') throw new Error(`${key} is not stored`);
  const [lease] = await found.object.read(0, 50_000);
  found.object.close();
  return lease!;
}

async function openFile(t: import('ava').ExecutionContext) {
  const file = await makeRawFile();
  t.teardown(file.remove);
  const store = await file.open();
  t.teardown(() => store.close());
  return store;
}

test('lease: after its release neither the buffer nor any view of it reaches the page', async (t) => {
  const store = await openFile(t);
  const body = randomBytes(200_000);
  await putObject(store, 'http://test/a', body);
  const lease = await leaseOf(store, 'http://test/a');
  const view = new Uint8Array(lease.bytes.buffer, lease.bytes.byteOffset, 16);
  const { buffer } = lease.bytes;
  t.deepEqual(Buffer.from(view), body.subarray(0, 16));
  lease.release();
  t.is(lease.bytes.length, 0);
  t.is(view.length, 0);
  t.is(buffer.byteLength, 0);
  lease.release();
  t.is(store.stats().openLeases, 0);
});

test('lease: pages that follow one another are one lease, and go back together', async (t) => {
  const store = await openFile(t);
  const body = randomBytes(1024 * 1024);
  await putObject(store, 'http://test/run', body);
  const found = await store.lookup('http://test/run', []);
  if (found.kind !== 'object') throw new Error('not stored');
  const leases = await found.object.read(0, body.length);
  found.object.close();
  t.true(leases.length <= 2, `${leases.length} leases for 16 pages of a new store`);
  t.is(store.stats().openLeases, leases.length);
  t.deepEqual(Buffer.concat(leases.map(({ bytes }) => bytes)), body);
  store.purgeKey('http://test/run');
  for (let number = 0; number < 80; number += 1) {
    await putObject(store, `http://test/over/${number}`, Buffer.alloc(1_000_000, number));
  }
  t.deepEqual(Buffer.concat(leases.map(({ bytes }) => bytes)), body, 'while it is lent');
  for (const lease of leases) lease.release();
  t.true(leases.every(({ bytes }) => bytes.length === 0));
  t.is(store.stats().openLeases, 0);
});

test('lease: a page on loan keeps its bytes while its object is purged and replaced', async (t) => {
  const store = await openFile(t);
  const body = randomBytes(90_000);
  await putObject(store, 'http://test/kept', body);
  const lease = await leaseOf(store, 'http://test/kept');
  store.purgeKey('http://test/kept');
  // More than the page pool holds: every page that is free is used again.
  for (let number = 0; number < 80; number += 1) {
    await putObject(store, `http://test/other/${number}`, Buffer.alloc(1_000_000, number));
  }
  t.deepEqual(Buffer.from(lease.bytes), body.subarray(0, lease.bytes.length));
  t.false(lease.bytes.every((byte) => byte === poison));
  lease.release();
});

test('lease: the same page on loan to two readers is released by each for itself', async (t) => {
  const store = await openFile(t);
  const body = randomBytes(150_000);
  await putObject(store, 'http://test/b', body);
  const [first, second] = [
    await leaseOf(store, 'http://test/b'),
    await leaseOf(store, 'http://test/b'),
  ];
  first.release();
  t.deepEqual(Buffer.from(second.bytes), body.subarray(0, second.bytes.length));
  second.release();
  t.is(store.stats().openLeases, 0);
});

test('lease: one that outlives its store still shows its own bytes until it is released', async (t) => {
  const file = await makeRawFile();
  t.teardown(file.remove);
  const store = await file.open();
  const body = randomBytes(70_000);
  await putObject(store, 'http://test/c', body);
  const lease = await leaseOf(store, 'http://test/c');
  await store.close();
  t.deepEqual(Buffer.from(lease.bytes), body.subarray(0, lease.bytes.length));
  lease.release();
  t.is(lease.bytes.length, 0);
});

test('fill: a head that does not decode is refused and leaves the store as it was', async (t) => {
  const store = await openFile(t);
  const fill = store.beginFill('http://test/d');
  const head = encodeHead(headFor(10));
  head.writeUInt32LE(0xffff_ffff, 92);
  const options = { head, bodyLength: 10, store: true, varyNames: [], requestFields: [] };
  t.throws(() => fill.begin(options));
  fill.fail(new Error('given up'));
  fill.close();
  t.is((await store.lookup('http://test/d', [])).kind, 'uri-miss');
  t.is(store.stats().openFills, 0);
});
