// A reset of a connection that may be half closed. Node 20 marks a socket as closing before the reset, which
// the system refuses once this side has sent its end: the descriptor then stays open, and a worker thread
// that is to end waits for it, spinning, for ever.

import type { Socket } from 'node:net';

export function resetSocket(socket: Socket): void {
  // Over TLS there is no reset to be had.
  if (socket.writableEnded || 'encrypted' in socket) socket.destroy();
  else socket.resetAndDestroy();
}
