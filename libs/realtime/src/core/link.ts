import type { ConnectionId, TransportId } from './ids.js';

/** One Socket.IO socket as the rest of the library sees it; `socketio/` implements it. */
export interface Link {
  readonly id: ConnectionId;
  readonly transportId: TransportId;
  readonly namespace: string;
  readonly isOpen: boolean;
  emit(event: string, ...args: unknown[]): void;
  /** Lets room broadcasts on this node reach the socket, or not any more; synchronous. */
  joinRoom(room: string): void;
  leaveRoom(room: string): void;
  /** Closes the transport under all its connections: stock clients come back by themselves. */
  closeTransport(): void;
  /** Sends DISCONNECT: stock clients stay away for good. */
  disconnect(): void;
}

export interface BroadcastOptions {
  /** Connections that do not get it. */
  readonly except?: readonly string[] | undefined;
  /** May be dropped for a client that is not ready to receive. */
  readonly isVolatile?: boolean | undefined;
}

/** All sockets of this node, whatever their server or namespace. */
export interface LocalSockets {
  /** Encodes once for each namespace that has members of the room here, not at all if none has. Returns nothing: at most once. */
  broadcast(room: string, event: string, args: readonly unknown[], options?: BroadcastOptions): void;
}
