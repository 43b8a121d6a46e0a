// A port of this machine that is a test's own, also while nobody listens on it: whoever wants to be refused
// there must not meet the server of another test that was given the number meanwhile.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import type { ExecutionContext } from 'ava';

/**
 * Until the test ends. A connection from that port holds its number: the system gives it to nobody who leaves
 * the choice to it, a server that names it may listen on it, and without one who connects is refused.
 */
export async function heldPort(t: ExecutionContext, host: string): Promise<number> {
  const other = createServer((socket) => socket.on('error', () => {}));
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  const target = (other.address() as AddressInfo).port;
  const socket = connect({ host: '127.0.0.1', port: target, localAddress: host, localPort: 0 });
  t.teardown(() => {
    socket.destroy();
    other.close();
  });
  await once(socket, 'connect');
  socket.on('error', () => {});
  return socket.localPort!;
}
