import type { Socket } from 'socket.io';
import type { Session } from './session.js';

const STATE = Symbol('nestjs-realtime:transport');

type Transport = Socket['conn'] & { [STATE]?: TransportState };
type OnEnd = (session: Session, reason: string) => void;

/** What one transport carries: its sessions, open or opening, at most one for each namespace. When it ends, all of them end. */
export class TransportState {
  /** Replaced, never changed: an array that grows keeps room for more, and there is one for each connection. */
  private sessions: readonly Session[] = [];

  private constructor(private readonly onEnd: OnEnd) {}

  static of(socket: Socket, onEnd: OnEnd): TransportState {
    const transport = socket.conn as Transport;
    if (transport[STATE]) return transport[STATE];
    transport.on('close', endAll);
    return (transport[STATE] = new TransportState(onEnd));
  }

  get size(): number {
    return this.sessions.length;
  }

  /** False if the namespace is open or opening on this transport already. */
  begin(session: Session): boolean {
    if (this.sessions.some(({ namespace }) => namespace === session.namespace)) return false;
    this.sessions = this.sessions.concat(session);
    return true;
  }

  end(session: Session): void {
    this.sessions = this.sessions.filter((one) => one !== session);
  }

  endAll(reason: string): void {
    const { sessions } = this;
    this.sessions = [];
    for (const session of sessions) this.onEnd(session, reason);
  }
}

/** One function for all transports. */
function endAll(this: Transport, reason: string): void {
  this[STATE]?.endAll(reason);
}
