import type { EventEmitter } from 'node:events';
import type { Socket } from 'socket.io';
import { SmallMap } from '../core/small-map.js';

// What Node, Engine.IO and Socket.IO keep for each connection in a larger shape than it needs: tables of listeners that are hash
// tables, arrays with room for sixteen more, maps of one entry. Together 2 KB a connection (decision 0029).
// It relies on their fields (pinned in test/contract/engine-io.spec.ts); where one is different, it is left as it is.
// Invariant: the same listeners, callbacks and entries, in the same order.

type Fields = Record<PropertyKey, unknown>;
type Table = Fields;

/** Makes tables of listeners whose shape is shared: one maker for each kind of emitter, since each has its own events. */
function tables(): new () => Table {
  const Listeners = function () {
    return undefined;
  } as unknown as new () => Table;
  // An event may have any name, `constructor` too.
  Listeners.prototype = Object.create(null) as object;
  return Listeners;
}

const Kinds = {
  conn: tables(),
  transport: tables(),
  webSocket: tables(),
  receiver: tables(),
  tcp: tables(),
  socket: tables(),
};

/** To be called once, when everybody who listens to a connection from its beginning does. */
export function trimConnection(socket: Socket): void {
  const { conn } = socket as unknown as { conn: Fields };
  const transport = conn['transport'] as Fields;
  const webSocket = transport['socket'] as Fields | undefined;
  trimListeners(socket, Kinds.socket);
  trimMap(socket as unknown as Fields, 'acks');
  trimListeners(conn, Kinds.conn);
  trimArray(conn, 'cleanupFn');
  trimClient((socket as unknown as { client?: Fields }).client);
  if (!webSocket) return;
  trimListeners(transport, Kinds.transport);
  trimListeners(webSocket, Kinds.webSocket);
  trimListeners(webSocket['_receiver'], Kinds.receiver);
  trimListeners(webSocket['_socket'], Kinds.tcp);
}

function trimClient(client: Fields | undefined): void {
  if (!client) return;
  trimMap(client, 'sockets');
  trimMap(client, 'nsps');
  const callbacks = (client['decoder'] as Fields | undefined)?.['_callbacks'] as Fields | undefined;
  for (const event of Object.keys(callbacks ?? {})) trimArray(callbacks as Fields, event);
}

/** Node's tables have no prototype and are hash tables for it: many times the size of an object of a known shape. */
function trimListeners(emitter: unknown, Listeners: new () => Table): void {
  const before = (emitter as { _events?: unknown } | undefined)?._events;
  if (typeof before !== 'object' || before === null) return;
  if (Object.getPrototypeOf(before) !== null) {
    for (const event of Reflect.ownKeys(before)) trimArray(before as Table, event);
    return;
  }
  const after = new Listeners();
  for (const event of Reflect.ownKeys(before)) {
    const listeners = (before as Table)[event];
    after[event] = Array.isArray(listeners) ? listeners.slice() : listeners;
  }
  (emitter as { _events: EventEmitter | Table })._events = after;
}

/** What is pushed to an empty array makes room for sixteen more. */
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
