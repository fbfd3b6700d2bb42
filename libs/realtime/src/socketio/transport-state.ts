import type { Socket } from 'socket.io';
import type { Session } from './session.js';

const STATE = Symbol('nestjs-realtime:transport');

/** What one transport carries: its sessions by namespace, open or opening. When it ends, all of them end. */
export class TransportState {
  private readonly sessions = new Map<string, Session>();

  private constructor(transport: Socket['conn'], onEnd: (session: Session, reason: string) => void) {
    transport.once('close', (reason: string) => {
      for (const session of this.sessions.values()) onEnd(session, reason);
      this.sessions.clear();
    });
  }

  static of(socket: Socket, onEnd: (session: Session, reason: string) => void): TransportState {
    const transport = socket.conn as Socket['conn'] & { [STATE]?: TransportState };
    return (transport[STATE] ??= new TransportState(transport, onEnd));
  }

  get size(): number {
    return this.sessions.size;
  }

  /** False if the namespace is open or opening on this transport already. */
  begin(session: Session): boolean {
    if (this.sessions.has(session.namespace)) return false;
    this.sessions.set(session.namespace, session);
    return true;
  }

  end(session: Session): void {
    if (this.sessions.get(session.namespace) === session) this.sessions.delete(session.namespace);
  }
}
