// A purge that cannot be made durable is said, with the same status on the public listener as on the
// operator's.

import test from 'ava';
import { loadConfig } from '../../ts/config/load.js';
import { StoreError } from '../../ts/errors.js';
import { startProxy } from '../../ts/proxy/proxy.js';
import type { CacheStore } from '../../ts/store/contract.js';
import { openStore } from '../../ts/store/store.js';
import { send } from '../support/client.js';

const mib = 1024 * 1024;
const device = '/dev/secret';

/** The store, but that its purges fail as those of a device that is broken. */
function withoutJournal(store: CacheStore): CacheStore {
  return new Proxy(store, {
    get(target, name) {
      if (name === 'purge') {
        return async () => {
          throw new StoreError('STORE_IO', `${device}: the purge journal could not be written`);
        };
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

test('purge: one that is not durable is 503 on the public listener, and names no device there', async (t) => {
  const store = await openStore({
    memoryLimit: 64 * mib,
    l1Budget: 16 * mib,
    indexMemoryLimit: 8 * mib,
    disk: { kind: 'none' },
    followerGraceMs: 1000,
  });
  t.teardown(() => store.close());
  const { config } = loadConfig({
    input: {
      upstream_address: '127.0.0.1:1',
      listen: '127.0.0.1:0',
      enable_l2_cache: false,
      purge: { enabled: true, auth_token: 'token' },
    },
    env: {},
  });
  const proxy = await startProxy({ config, store: withoutJournal(store) });
  t.teardown(() => proxy.close(0));
  const fields = ['X-Purge-Token', 'token'];
  const answer = await send(proxy.addresses[0]!, '/a', { method: 'PURGE', fields });
  t.is(answer.status, 503);
  const text = answer.body.toString();
  t.regex(text, /holds until millrace ends, and is not durable/);
  t.regex(text, /ERR_MILLRACE_STORE_IO/);
  t.false(text.includes(device));
  t.is(proxy.stats().purgesFailed, 1);
});
