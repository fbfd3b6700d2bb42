import type { Socket } from 'socket.io';
import type { Internals } from './internals/internals.js';
import { trimConnection } from './lean-maps.js';
import { releaseRequest } from './lean-transport.js';

/** Call it once, when everything that listens to a connection from its beginning does, and has read its request. */
export function lighten(socket: Socket, { leanRequests, leanMaps }: Internals): void {
  if (leanRequests) releaseRequest(socket);
  if (leanMaps) trimConnection(socket);
}
