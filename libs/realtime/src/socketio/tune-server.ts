import type { Server } from 'socket.io';
import { coalesceWrites, type Outlets } from './coalesce-writes.js';
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

/**
 * What goes below the public interface of a Socket.IO server. The watch comes first: it sees what the others lead around.
 * @returns Where broadcasts may be written directly; undefined: each recipient is to be written to the usual way.
 */
export function tuneServer(server: Server, { internals, turn, sendBuffers }: Tuning): Outlets | undefined {
  sendBuffers.install(server);
  const outlets = turn && coalesceWrites(server, turn);
  if (!internals.sharedBroadcasts) return undefined;
  leanBroadcasts(server, outlets);
  return outlets;
}
