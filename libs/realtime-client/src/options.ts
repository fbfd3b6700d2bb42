import type { ManagerOptions, SocketOptions } from 'socket.io-client';
import type { Position } from 'nestjs-realtime-protocol';
import type { Debug } from './debug.js';
import type { OutboxStore } from './outbox-entry.js';

/** What `localStorage` and React Native's `AsyncStorage` have in common. */
export interface OutboxStorage {
  getItem(key: string): string | null | Promise<string | null>;
  setItem(key: string, value: string): void | Promise<void>;
  removeItem(key: string): void | Promise<void>;
}

export interface OutboxOptions {
  /** Most requests that may wait, those in flight included. Default 1 000. Beyond: `LIMIT_EXCEEDED`. */
  maxCount?: number;
  /** Most bytes that may wait, as JSON. Default 1 MiB. Beyond: `LIMIT_EXCEEDED`. */
  maxBytes?: number;
  /** How long a request may wait at most. Default 24 h. Beyond: `UNAVAILABLE`, or `UNKNOWN` if it was sent. */
  maxAgeMs?: number;
  /** `storedOutbox()`: requests with `offline: 'queue'` survive a reload. Default: memory. */
  store?: OutboxStore;
}

export interface JoinOptions {
  /** Shown to the others in the room; JSON, at most 2 KiB. */
  meta?: unknown;
  /** `retention`: whoever has no position in the room yet gets all that it keeps. Default: what comes from now on. */
  since?: 'retention';
}

/** Where the positions of rooms outlive a page: see `storedPositions()`. */
export type PositionStore = (
  url: string,
  debug: Debug,
) => {
  /** With each connection, before rooms are joined: whose positions they are from now on; undefined: nobody knows. Never rejects. */
  open(principal: string | undefined): Promise<void>;
  get(room: string): Position | undefined;
  /** After what it stands for was delivered; undefined: the room was left. */
  set(room: string, position: Position | undefined): void;
};

export interface RealtimeClientOptions {
  /**
   * A valid token: called before every connect and before the current token expires. A rejection is retried; one with a
   * `RealtimeClientError` that is not retryable ends the client.
   */
  getToken: () => string | undefined | Promise<string | undefined>;
  /**
   * The user who is signed in, by the id that the server knows the user by. What the server says (`hello.userRoom`) decides; this is
   * for what is queued before the first connection, and for namespaces in which the server does not say. Without either,
   * nothing that waits is sent on another connection, and nothing is stored. Default: unknown.
   */
  principal?: string | ((token: string | undefined) => string | undefined);
  /** A label for this tab or app. Default: random; with a store, kept in it. */
  device?: string;
  outbox?: OutboxOptions;
  /** `storedPositions()`: rooms go on where they were before a reload. Default: memory. */
  positions?: PositionStore;
  /**
   * Joins the room of whoever is signed in (`hello.userRoom`) with each connection: what is sent to this user while the
   * connection is away arrives when it is back. Default: only what is sent while connected.
   */
  userRoom?: boolean | JoinOptions;
  /** Anything else that socket.io-client understands, such as `path` or `extraHeaders`. */
  socket?: Partial<ManagerOptions & SocketOptions>;
  /** Told every transition, retry and decision of the outbox. Default: nobody; nothing is printed. */
  debug?: (message: string, details?: unknown) => void;
}
