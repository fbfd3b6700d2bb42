import type { Server } from 'socket.io';
import { coalesceWrites } from './coalesce-writes.js';
import type { Internals } from './internals/internals.js';
import { leanBroadcasts } from './lean-broadcast.js';
import type { SendBufferWatch } from './send-buffer-watch.js';
import type { WriteTurn } from './write-turn.js';

export interface Tuning {
  readonly internals: Internals;
  /** Undefined: writes are not coalesced. */
  readonly turn: WriteTurn | undefined;
  readonly sendBuffers: SendBufferWatch;
}

/** What goes below the public interface of a Socket.IO server. The watch comes first: it sees what the others lead around. */
export function tuneServer(server: Server, { internals, turn, sendBuffers }: Tuning): void {
  sendBuffers.install(server);
  const outlets = turn && coalesceWrites(server, turn);
  if (internals.sharedBroadcasts) leanBroadcasts(server, outlets);
}
