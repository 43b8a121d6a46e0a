// Connections: made anew after a bound, so that a changed address is followed, and over whichever of a
// name's addresses answers.

import { Buffer } from 'node:buffer';
import type { LookupFunction } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { type Origin, openOrigin } from '../../../ts/upstream/pool.js';
import { sendRequest, type UpstreamBody } from '../../../ts/upstream/request.js';
import { steppingClock } from '../../support/harness.js';
import { always, type Script, startOrigin } from '../../support/scripted-origin.js';
import { gate } from '../../support/until.js';

const limits = {
  connectTimeoutMs: 20_000,
  headTimeoutMs: 20_000,
  idleTimeoutMs: 20_000,
  connections: 8,
};

/** Answers every name with these addresses, which may be changed. */
function resolver(addresses: string[]) {
  const asked: string[] = [];
  const lookup: LookupFunction = (name, options, callback) => {
    asked.push(name);
    const found = addresses.map((address) => ({ address, family: 4 }));
    if (options.all === true) callback(null, found);
    else callback(null, found[0]!.address, 4);
  };
  return { lookup, asked, addresses };
}

function textOf(body: UpstreamBody): Promise<string> {
  let text = '';
  return new Promise((resolve, reject) => {
    body.read({
      onData(chunk) {
        text += Buffer.from(chunk).toString();
        return true;
      },
      onEnd: () => resolve(text),
      onError: reject,
    });
  });
}

async function get(origin: Origin): Promise<string> {
  const fields = ['Host', origin.url.host];
  const request = { method: 'GET', target: '/', fields, body: null };
  const { body } = await sendRequest(origin, request, steppingClock());
  const text = await textOf(body);
  // The turn after which undici uses the connection again.
  for (let turn = 0; turn < 2; turn += 1) {
    await new Promise<void>((resolve) => void setImmediate(resolve));
  }
  return text;
}

const portOf = (address: string): number => Number(address.split(':')[1]);

async function twoPlaces(t: ExecutionContext, first: Script) {
  const one = await startOrigin(t, first);
  const port = portOf(one.address);
  const other = await startOrigin(t, always({ body: 'other' }), { host: '127.0.0.2', port });
  return { one, other, port };
}

test('pool: a changed address is followed when connections are old enough', async (t) => {
  const { one, other, port } = await twoPlaces(t, always({ body: 'one' }));
  const { lookup, addresses } = resolver(['127.0.0.1']);
  const clock = steppingClock();
  const url = new URL(`http://moving.test:${port}`);
  const origin = openOrigin(url, { ...limits, lookup, clock, connectionAgeMs: 1000 });
  t.teardown(() => origin.close());
  t.is(await get(origin), 'one');
  addresses[0] = '127.0.0.2';
  clock.advance(999);
  t.is(await get(origin), 'one', 'the same connection');
  t.is(one.connections, 1);
  clock.advance(1);
  t.is(await get(origin), 'other');
  t.is(await get(origin), 'other');
  t.is(other.connections, 1);
  t.is(other.requests[0]!.field('host'), `moving.test:${port}`);
});

test('pool: what is under way when connections are made anew ends where it began', async (t) => {
  const rest = gate();
  const slow: Script = async (_request, reply) => {
    await reply.head(200, ['Content-Length', '8']);
    await reply.raw('one ');
    await rest.opened;
    await reply.raw('more');
  };
  const { port } = await twoPlaces(t, slow);
  const { lookup, addresses } = resolver(['127.0.0.1']);
  const clock = steppingClock();
  const url = new URL(`http://moving.test:${port}`);
  const origin = openOrigin(url, { ...limits, lookup, clock, connectionAgeMs: 1000 });
  t.teardown(() => origin.close());
  const request = { method: 'GET', target: '/', fields: ['Host', 'moving.test'], body: null };
  const { body } = await sendRequest(origin, request, clock);
  const first = textOf(body);
  addresses[0] = '127.0.0.2';
  clock.advance(1000);
  t.is(await get(origin), 'other');
  rest.open();
  t.is(await first, 'one more');
});

test('pool: of several addresses of a name one that answers is enough', async (t) => {
  const { address } = await startOrigin(t, always({ body: 'here' }));
  // Nothing listens on the first two.
  const { lookup } = resolver(['127.0.0.3', '127.0.0.4', '127.0.0.1']);
  const url = new URL(`http://many.test:${portOf(address)}`);
  const origin = openOrigin(url, { ...limits, lookup });
  t.teardown(() => origin.close());
  t.is(await get(origin), 'here');
});

test('pool: no address that answers is one clear error', async (t) => {
  const { address, stop } = await startOrigin(t, always({ body: 'here' }));
  await stop();
  const { lookup } = resolver(['127.0.0.3', '127.0.0.1']);
  const url = new URL(`http://many.test:${portOf(address)}`);
  const origin = openOrigin(url, { ...limits, lookup });
  t.teardown(() => origin.close());
  await t.throwsAsync(get(origin), { code: 'ERR_MILLRACE_UPSTREAM_REFUSED' });
});
