import type { Socket } from 'socket.io';
import { TransportBudget, type FloodLimit } from '../connection/transport-budget.js';
import type { Session } from './session.js';

const STATE = Symbol('nestjs-realtime:transport');

type Transport = Socket['conn'] & { [STATE]?: TransportState };
type OnEnd = (session: Session, reason: string) => void;

/**
 * What one transport carries: its sessions, open or opening, at most one for each namespace, and what they may cost together.
 * When it ends, all of them end.
 */
export class TransportState extends TransportBudget {
  /** Replaced, never changed: an array that grows keeps room for more, and there is one for each connection. */
  private sessions: readonly Session[] = [];

  private constructor(
    private readonly onEnd: OnEnd,
    flood: FloodLimit,
  ) {
    super(flood);
  }

  static of(socket: Socket): TransportState | undefined {
    return (socket.conn as Transport)[STATE];
  }

  /** Of the transport's first CONNECT. */
  static make(socket: Socket, onEnd: OnEnd, flood: FloodLimit): TransportState {
    const transport = socket.conn as Transport;
    transport.on('close', endAll);
    return (transport[STATE] = new TransportState(onEnd, flood));
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
    this.leaveUser();
    for (const session of sessions) this.onEnd(session, reason);
  }
}

/** One function for all transports. */
function endAll(this: Transport, reason: string): void {
  this[STATE]?.endAll(reason);
}
