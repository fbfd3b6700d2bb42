import type { Socket } from 'socket.io';
import { SmallMap } from '../core/small-map.js';

// Engine.IO and Socket.IO keep maps of one entry for each connection, and arrays with room for sixteen more. Decision 0029.
// It relies on their fields (proved at boot, see internals/socket-trial.ts); a field that is different is left as it is.
// Invariant: the same callbacks and entries, in the same order. Node's own tables of listeners are not touched: newer Nodes keep
// notes of their own in them (decision 0034).

type Fields = Record<PropertyKey, unknown>;

/** Call it once, when everything that listens to a connection from its beginning does. */
export function trimConnection(socket: Socket): void {
  const { conn, client } = socket as unknown as { conn: Fields; client?: Fields };
  trimMap(socket as unknown as Fields, 'acks');
  trimArray(conn, 'cleanupFn');
  if (!client) return;
  trimMap(client, 'sockets');
  trimMap(client, 'nsps');
  const callbacks = (client['decoder'] as Fields | undefined)?.['_callbacks'] as Fields | undefined;
  for (const event of Object.keys(callbacks ?? {})) trimArray(callbacks as Fields, event);
}

/** An array that was pushed to while empty has room for sixteen more. */
function trimArray(owner: Fields, field: PropertyKey): void {
  const array = owner[field];
  if (Array.isArray(array)) owner[field] = array.slice();
}

function trimMap(owner: Fields, field: string): void {
  const map = owner[field];
  if (!(map instanceof Map) || map.size > 1) return;
  const small = new SmallMap<unknown, unknown>();
  for (const [key, value] of map) small.set(key, value);
  owner[field] = small;
}
