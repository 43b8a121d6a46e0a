// Who has to know when a client's connection is gone. One listener per socket, however many exchanges wait
// on it: a response that is queued behind another one on the same connection gets no 'close' of its own.

import type { Socket } from 'node:net';

const watchers = new WeakMap<Socket, Set<() => void>>();

/** Calls back once when the socket has closed; the returned function takes that back. */
export function onSocketClose(socket: Socket, callback: () => void): () => void {
  let set = watchers.get(socket);
  if (set === undefined) {
    const fresh = new Set<() => void>();
    socket.once('close', () => {
      for (const watcher of [...fresh]) watcher();
    });
    watchers.set(socket, fresh);
    set = fresh;
  }
  const members = set;
  members.add(callback);
  return () => members.delete(callback);
}
