import type { Socket } from 'socket.io';
import type { RealtimeHandshake } from '../connection/connection-link.js';

/** What a Socket.IO handshake says, in the library's own words. */
export function handshakeOf(socket: Socket): RealtimeHandshake {
  const { handshake } = socket;
  return {
    namespace: socket.nsp.name,
    auth: handshake.auth,
    headers: handshake.headers,
    query: handshake.query,
    address: handshake.address,
    url: handshake.url,
    secure: handshake.secure,
  };
}
