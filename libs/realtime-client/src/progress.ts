import type { JoinReply, Position, RoomMeta } from 'nestjs-realtime-protocol';

/** One event of a room, as its listeners get it. */
export type Delivery = readonly [event: string, data: unknown, meta: RoomMeta];

/** Something of the room may be missing, and nobody can bring it. */
export interface RoomGap {
  /** Where the room goes on; what came before may be incomplete. Undefined: it keeps no history (any more). */
  readonly position: Position | undefined;
  /** `NOT_FOUND`: the server has forgotten what was missed, or it was too much. `UNKNOWN`: the server cannot know what it was. */
  readonly code: string;
}

export interface Answer {
  /** To be told before `deliveries`. */
  readonly gap: RoomGap | undefined;
  /** What was missed, and what was heard meanwhile. */
  readonly deliveries: readonly Delivery[];
}

/** Most that waits for the answer to a join: the answer brings what is older. */
const MAX_EARLY = 1_000;

/**
 * How far one room was delivered. It refuses to infer a gap from numbers - excluded and expired publications leave holes -
 * and to order epochs: the server judges both, and tells.
 * Invariant: what `hear` lets through and `answer` returns is in the room's order, and nothing is in it twice.
 */
export class Progress {
  position: Position | undefined;
  /** Heard while the answer to a join is awaited; undefined: none is. */
  #early: Delivery[] | undefined;

  /** A join that asks for what was missed is on its way: its answer belongs before whatever is heard from now on. */
  hold(): void {
    this.#early ??= [];
  }

  /** No answer will come. Returns what was heard meanwhile. */
  release(): readonly Delivery[] {
    const early = this.#early ?? [];
    this.#early = undefined;
    return early;
  }

  /** Whether to deliver it now: not what was delivered before, and not what has to wait. */
  hear(delivery: Delivery): boolean {
    // Without a place in the room's log it comes in no order.
    if (delivery[2].offset === undefined) return true;
    if (!this.#early) return this.#take(delivery);
    if (this.#early.push(delivery) > MAX_EARLY) this.#early.shift();
    return false;
  }

  /** The server's answer to a join. */
  answer({ room, recovered, position, publications = [] }: JoinReply): Answer {
    const isAsked = this.#early !== undefined;
    const early = this.release();
    const take = (delivery: Delivery): boolean => this.#take(delivery);
    if (recovered && position) {
      const { epoch } = position;
      const missed = publications.map(({ event, data, ...meta }): Delivery => [event, data, { ...meta, room, epoch }]);
      const deliveries = missed.filter(take);
      this.position = position;
      // As long as nothing is lost, offsets count on over epochs.
      const later = early.filter(([, , { offset = 0 }]) => offset > position.offset);
      return { gap: undefined, deliveries: [...deliveries, ...later.filter(take)] };
    }
    const code = this.position?.epoch === position?.epoch ? 'NOT_FOUND' : 'UNKNOWN';
    if (isAsked) this.position = undefined;
    const deliveries = early.filter(take);
    if (position) this.#moveTo(position);
    return { gap: isAsked ? { position, code } : undefined, deliveries };
  }

  /** The server tells a gap. Returns whether it is news: the answer to a join that is awaited knows more. */
  interrupt(position: Position | undefined): boolean {
    if (this.#early) this.#early = [];
    else this.position = position;
    return !this.#early;
  }

  #take([, , { epoch = '', offset = 0 }]: Delivery): boolean {
    return this.#moveTo({ epoch, offset });
  }

  #moveTo(position: Position): boolean {
    const own = this.position;
    if (own?.epoch === position.epoch && position.offset <= own.offset) return false;
    this.position = position;
    return true;
  }
}
