import type { ManagerOptions, SocketOptions } from 'socket.io-client';
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

export interface RealtimeClientOptions {
  /**
   * A valid token: called before every connect and before the current token expires. A rejection is retried; one with a
   * `RealtimeClientError` that is not retryable ends the client.
   */
  getToken: () => string | undefined | Promise<string | undefined>;
  /**
   * Who is signed in: requests of one user are never sent as another. Default: the `sub` of a JWT. With opaque tokens
   * nothing is stored unless this is given.
   */
  principal?: string | ((token: string | undefined) => string | undefined);
  /** A label for this tab or app. Default: random; with a store, kept in it. */
  device?: string;
  outbox?: OutboxOptions;
  /** Anything else that socket.io-client understands, such as `path` or `extraHeaders`. */
  socket?: Partial<ManagerOptions & SocketOptions>;
  /** Told every transition, retry and decision of the outbox. Default: nobody; nothing is printed. */
  debug?: (message: string, details?: unknown) => void;
}
