import type { Link } from '../core/link.js';
import type { Principal } from '../core/principal.js';

/** A connection as rooms see it; `connection/` implements it. */
export interface RoomMember {
  readonly link: Link;
  readonly principal: Principal;
  /** The client's own label for its instance; not trusted. */
  readonly device: string;
  /** Rooms it is in, joined through policies or by server code, its user's own room included. */
  readonly rooms: Set<string>;
  /** Runs tasks of one connection one after the other: joins and leaves never overtake each other. */
  inOrder<T>(task: () => Promise<T>): Promise<T>;
}
