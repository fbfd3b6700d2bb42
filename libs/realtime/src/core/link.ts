import type { ConnectionId, TransportId } from './ids.js';

/** An event that was encoded before: sockets put the beginning of their packet before it, and parse nothing. */
export interface EncodedEvent {
  /** JSON array of the name and the arguments, with Socket.IO's placeholders for binary ones. */
  readonly json: string;
  readonly attachments: readonly Uint8Array[];
  /** Name and arguments, decoded when somebody looks. */
  readonly content: readonly unknown[];
}

/** One Socket.IO socket as the rest of the library sees it; `socketio/` implements it. */
export interface Link {
  readonly id: ConnectionId;
  readonly transportId: TransportId;
  readonly namespace: string;
  readonly isOpen: boolean;
  /** Bytes of messages that wait for the client. */
  readonly pendingBytes: number;
  /** Called each time that all that waited has been handed to the network. Returns its own removal. */
  onDrain(listener: () => void): () => void;
  emit(event: string, ...args: unknown[]): void;
  send(event: EncodedEvent, options?: { readonly volatile?: boolean | undefined }): void;
  /** Lets the app's own `server.to(room)` reach the socket, or not any more; the library sends nothing that way. */
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
  readonly volatile?: boolean | undefined;
}

/** The members of a room on this node. */
export type RoomMembers = ReadonlySet<{ readonly link: Link }>;

/** The sockets of this node, whatever their server or namespace. */
export interface LocalSockets {
  /** To these members of the room, framed once for each namespace. Returns nothing: at most once. Never throws. */
  send(room: string, members: RoomMembers, event: EncodedEvent, options?: BroadcastOptions): void;
  /** Call it before a member of the room comes or goes. */
  changed(room: string): void;
}
