import { SERVER_EVENTS, type WireError } from 'nestjs-realtime-protocol';
import type { Credentials } from '../auth/authenticator.js';
import type { ConnectionLink } from './connection-link.js';
import type { Principal } from '../core/principal.js';
import type { RealtimeError } from '../core/realtime-error.js';
import { RoomLines } from '../rooms/room-lines.js';
import type { RoomMember } from '../rooms/room-member.js';
import type { JoinCost } from './transport-budget.js';

export interface ConnectionInit {
  readonly link: ConnectionLink;
  readonly credentials: Credentials;
  readonly device: string;
  /** See `RoomMember`. */
  readonly clientVersion: number;
}

/** One principal in one namespace, from its authenticated handshake to its end. Keeps no timer. */
export class Connection implements RoomMember {
  readonly link: ConnectionLink;
  readonly device: string;
  readonly clientVersion: number;
  readonly rooms = new Set<string>();
  lines: RoomLines | undefined;
  credentials: Credentials;
  private ending: RealtimeError | undefined;

  constructor(init: ConnectionInit) {
    this.link = init.link;
    this.credentials = init.credentials;
    this.device = init.device;
    this.clientVersion = init.clientVersion;
  }

  get principal(): Principal {
    return this.credentials.principal;
  }

  /** Counts a message against what its transport and its user may send; the refusal if it is one too many. */
  takeMessage(): RealtimeError | undefined {
    const { budget } = this.link;
    const refusal = budget.takeMessage(this.userId);
    if (refusal && budget.isAbused) this.end(refusal);
    return refusal;
  }

  /** As `takeMessage`, for one room of a join. */
  takeJoin(cost: Omit<JoinCost, 'userId'>): RealtimeError | undefined {
    return this.link.budget.takeJoin({ userId: this.userId, isNew: cost.isNew, ahead: cost.ahead });
  }

  checkHistory(): RealtimeError | undefined {
    return this.link.budget.takeHistory(this.userId);
  }

  countHistory(bytes: number): void {
    this.link.budget.countHistory(bytes);
  }

  /** Undefined: a stranger, who has another id each time. */
  private get userId(): string | undefined {
    const { principal } = this.credentials;
    return principal.isAnonymous ? undefined : principal.id;
  }

  takeTurn(room: string): Promise<void> | undefined {
    return (this.lines ??= new RoomLines()).enter(room);
  }

  endTurn(room: string): void {
    this.lines?.leave(room);
    if (this.lines?.busy === 0) this.lines = undefined;
  }

  /**
   * Ends the connection, saying why. What may be retried closes the transport, because a stock client never comes back
   * after a DISCONNECT packet; what must stay ended sends one. A client whose CONNECT is not answered yet hears nothing:
   * `endIfTold` tells it then.
   */
  end(error: RealtimeError): void {
    if (this.ending) return;
    this.ending = error;
    this.tellEnd(error);
  }

  /** Its CONNECT is answered. True if it was ended before, and ends now. */
  endIfTold(): boolean {
    if (!this.ending) return false;
    this.tellEnd(this.ending);
    return true;
  }

  private tellEnd(error: RealtimeError): void {
    this.link.emit(SERVER_EVENTS.bye, error.toWire() satisfies WireError);
    if (error.retryable) this.link.closeTransport();
    else this.link.disconnect();
  }
}
