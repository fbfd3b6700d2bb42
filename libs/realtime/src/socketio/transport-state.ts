import type { Socket } from 'socket.io';
import type { Admission } from '../connection/admission.js';
import { TransportBudget, type FloodLimit } from '../connection/transport-budget.js';
import { PendingConnect } from './pending-connect.js';
import type { Session } from './session.js';

const STATE = Symbol('nestjs-realtime:transport');

type Transport = Socket['conn'] & { [STATE]?: TransportState };
export type OnEnd = (session: Session, reason: string) => void;
/** What all transports are made with. */
export interface TransportDeps {
  readonly flood: FloodLimit;
  /** Told when a transport asks for its first namespace. */
  readonly admission: Pick<Admission, 'heard'>;
}

/** With a socket, or before there is one. */
type Entry = Session | PendingConnect;

/**
 * What one transport carries: its sessions, open or opening, at most one for each namespace, and what they may cost together.
 * When it ends, all of them end.
 */
export class TransportState extends TransportBudget {
  /** Replaced, never changed: an array that grows keeps room for more, and there is one for each connection. */
  private entries: readonly Entry[] = [];

  private constructor(
    private readonly onEnd: OnEnd,
    flood: FloodLimit,
  ) {
    super(flood);
  }

  static of(transport: Transport): TransportState | undefined {
    return transport[STATE];
  }

  /** Of the transport's first CONNECT. */
  static make(transport: Transport, onEnd: OnEnd, { flood, admission }: TransportDeps): TransportState {
    admission.heard(transport.request);
    transport.on('close', endAll);
    return (transport[STATE] = new TransportState(onEnd, flood));
  }

  get size(): number {
    return this.entries.length;
  }

  /** False if the namespace is open or opening on this transport already. */
  begin(entry: Entry): boolean {
    if (this.entries.some(({ namespace }) => namespace === entry.namespace)) return false;
    this.entries = this.entries.concat(entry);
    return true;
  }

  /** Puts the session in the place of the CONNECT that was authenticated for it, and returns that. */
  replacePending(session: Session): PendingConnect | undefined {
    const pending = this.entries.find(
      (entry): entry is PendingConnect => entry instanceof PendingConnect && entry.namespace === session.namespace,
    );
    if (!pending?.credentials) return undefined;
    this.entries = this.entries.map((entry) => (entry === pending ? session : entry));
    return pending;
  }

  end(entry: Entry): void {
    this.entries = this.entries.filter((one) => one !== entry);
  }

  endAll(reason: string): void {
    const { entries } = this;
    this.entries = [];
    this.leaveUser();
    for (const entry of entries) if (!(entry instanceof PendingConnect)) this.onEnd(entry, reason);
  }
}

/** One function for all transports. */
function endAll(this: Transport, reason: string): void {
  this[STATE]?.endAll(reason);
}
