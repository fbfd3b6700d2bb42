import { EventEmitter } from 'node:events';
import { Socket } from 'socket.io';

// Socket.IO leads each message through a socket's middlewares, and in the next tick to its listeners: four closures and a copy
// of the middlewares for each. Our gate stands before that way instead of in it, one function for all sockets.
// It relies on how Socket.IO 4 dispatches (pinned in test/contract/engine-io.spec.ts); where that is different, the gate is
// a middleware like any other.
// Invariant: messages of a socket reach its listeners in their order, and none after its disconnection.

export type Dispatch = (this: Socket, packet: unknown[]) => void;

interface Dispatching {
  dispatch: Dispatch;
  readonly fns: readonly unknown[];
}

const emitLocally = Reflect.get(EventEmitter.prototype, 'emit') as (...args: unknown[]) => boolean;
const { dispatch } = Socket.prototype as unknown as Partial<Dispatching>;

/** Every message of the socket goes to `gate`, which hands over with `passOn`. False: it has to be a middleware. */
export function gateMessages(socket: Socket, gate: Dispatch): boolean {
  if (typeof dispatch !== 'function' || !Array.isArray((socket as unknown as Dispatching).fns)) return false;
  (socket as unknown as Dispatching).dispatch = gate;
  return true;
}

/** On to the app's own middlewares, if there are any, and to the listeners. */
export function passOn(socket: Socket, packet: unknown[]): void {
  if ((socket as unknown as Dispatching).fns.length === 0) process.nextTick(deliver, socket, packet);
  else dispatch?.call(socket, packet);
}

function deliver(socket: Socket, packet: unknown[]): void {
  // Its own `emit` sends to the client.
  if (socket.connected) Reflect.apply(emitLocally, socket, packet);
}
