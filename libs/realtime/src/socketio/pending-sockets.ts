import { Socket, type Namespace } from 'socket.io';

// A socket between its CONNECT and the answer: Socket.IO knows it, and no event tells of its end, because it was never
// connected. What tells is `Namespace._remove`, which each way out goes through.
// Pinned in test/contract/engine-io.spec.ts.

/**
 * `listener` is told of each socket that a namespace forgets: disconnected, refused by a middleware, or gone meanwhile.
 * @throws Error if Socket.IO has no such place any more: without it refused connections would stay registered
 */
export function onRemoved(namespace: Namespace, listener: (socket: Socket) => void): void {
  const remove = Reflect.get(namespace, '_remove') as Namespace['_remove'] | undefined;
  if (typeof remove !== 'function' || typeof Reflect.get(Socket.prototype, '_cleanup') !== 'function')
    throw new Error(
      'RealtimeModule cannot see which sockets are refused: this version of socket.io has no Namespace._remove()',
    );
  namespace._remove = function (this: Namespace, socket: Socket): void {
    remove.call(this, socket);
    listener(socket);
  };
}

/** For a socket whose CONNECT will not be answered: Socket.IO keeps it until somebody calls `next`. */
export function forgetPending(socket: Socket): void {
  socket._cleanup();
}
