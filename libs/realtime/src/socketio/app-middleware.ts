import type { WireError } from 'nestjs-realtime-protocol';
import { Socket } from 'socket.io';
import { mapException, wireOf } from './exceptions.js';
import { sessionOf } from './session-of.js';
import type { Session } from './session.js';

type Refuse = (session: Session, packet: readonly unknown[], error: WireError) => void;

/**
 * A `socket.use` for the app's own middlewares. Socket.IO drops a message that one of them refuses, and tells the server
 * alone: here the client's ack is answered, with the code of the error if it has one, else `FORBIDDEN`.
 */
export function answeringUse(refuse: Refuse): Socket['use'] {
  return function (this: Socket, middleware) {
    return Socket.prototype.use.call(this, (packet, next) =>
      middleware(packet, (error) => {
        const session = error === undefined ? undefined : sessionOf<Session>(this);
        if (session) refuse(session, packet, toWire(error));
        next(error);
      }),
    ) as Socket;
  };
}

function toWire(error: unknown): WireError {
  const { wire, isUnexpected } = mapException(error);
  return isUnexpected ? wireOf('FORBIDDEN') : wire;
}
