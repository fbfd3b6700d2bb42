import type { Link } from '../core/link.js';
import type { Principal } from '../core/principal.js';
import type { RealtimeError } from '../core/realtime-error.js';
import type { RoomLines } from './room-lines.js';

/** A connection as rooms see it; `connection/` implements it. */
export interface RoomMember {
  readonly link: Link;
  readonly principal: Principal;
  /** The client's own label for its instance; not trusted. */
  readonly device: string;
  /** What the client said that it understands (`CLIENT_VERSION`). 0: a stock client. */
  readonly clientVersion: number;
  /** Rooms it is in, joined through policies or by server code, its user's own room included. */
  readonly rooms: Set<string>;
  /** Its turns in rooms, from `takeTurn` to `endTurn`; undefined while it has none and waits for none. */
  readonly lines: RoomLines | undefined;
  /** Joins and leaves of a room never overtake each other. Resolves when the turn has come; undefined: at once. */
  takeTurn(room: string): Promise<void> | undefined;
  /** Every turn that was taken needs one. */
  endTurn(room: string): void;
  /** The refusal if its client was answered so much of what rooms have kept that it has to wait. */
  checkHistory(): RealtimeError | undefined;
  /** Bytes of it that an answer has; negative: that it did not have, although they were counted. */
  countHistory(bytes: number): void;
}
