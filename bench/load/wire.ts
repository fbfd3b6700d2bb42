/** How the clients of one peer talk. */
export interface Wire {
  /** Texts without Engine.IO and Socket.IO around them: no handshake, no token, but the same `42…` and `43…`. */
  readonly isPlain: boolean;
  /** Events of the peer that enter and leave a room, with `{ room }` and an ack. */
  readonly join: string;
  readonly leave: string;
  /** What a client says when it comes back: positions of its rooms, its session and offset, or nothing. */
  readonly recovery: 'positions' | 'session' | 'none';
  /** Offers permessage-deflate, as browsers do. */
  readonly offersDeflate?: boolean;
}

/** The environment variable that carries a `Wire` to the load process. */
export const WIRE_VARIABLE = 'BENCH_WIRE';

/** The event whose deliveries are counted. */
export const MESSAGE = 'message';

/** Where the digits of `at` begin in the text of such an event: every peer puts the data first, and `at` first in it. */
export const AT_OFFSET = `42["${MESSAGE}",{"at":`.length;

/** What is sent to rooms. `at`: the microsecond at which it was due, so that a late publisher counts as latency. */
export interface Message {
  readonly at: number;
  /** Place in its room's sequence. */
  readonly n?: number;
  readonly text?: string;
  readonly records?: readonly object[];
}
