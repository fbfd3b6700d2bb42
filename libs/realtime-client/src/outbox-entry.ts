import type { Hello } from 'nestjs-realtime-protocol';
import type { ErrorLike } from './client-error.js';
import type { Debug } from './debug.js';

export type OfflinePolicy = 'queue' | 'reject' | 'drop';

export interface OutboxEntry {
  /** Random 128 bits, in hexadecimal: what the server knows the request by. */
  readonly id: string;
  readonly event: string;
  readonly data: unknown;
  /** Entries of one lane are sent one after the other; undefined: in no order. */
  readonly lane: string | undefined;
  readonly offline: OfflinePolicy;
  readonly isIdempotent: boolean;
  /** May be stored, if the outbox has a storage. */
  readonly isKept: boolean;
  /** Came from storage: nobody here waits for it, and it may be another user's. */
  readonly isRestored?: boolean;
  readonly bytes: number;
  readonly deadlineAt: number;
  /** Whose it is, as far as known when it was added. */
  readonly principal: string | undefined;
  /** How often it was sent. */
  readonly attempt: number;
  readonly firstSentAt?: number;
  readonly isInFlight?: boolean;
  /** It was sent with its id to a server that remembers it. */
  readonly isRemembered?: boolean;
  /** The server asked not to send it again before. */
  readonly notBefore?: number | undefined;
}

/** The connection, as far as the outbox cares. */
export type OutboxLink = Pick<Hello, 'limits' | 'requestWindowMs'>;

export interface OutboxState {
  readonly entries: readonly OutboxEntry[];
  readonly link: OutboxLink | undefined;
  /** Who is signed in; undefined: not known (yet). */
  readonly principal: string | undefined;
  /** Messages that may be sent now; below 0 after messages that did not ask. */
  readonly tokens: number;
  readonly tokensAt: number;
  readonly limits: { readonly maxCount: number; readonly maxBytes: number };
}

export type OutboxEvent =
  | { type: 'add'; entry: OutboxEntry }
  | { type: 'restore'; entries: readonly OutboxEntry[] }
  /** A connection is there, and whose it is: whose messages may be sent. */
  | { type: 'identified'; principal: string }
  | { type: 'opened'; link: OutboxLink }
  | { type: 'lost' }
  /** Closed or failed: nothing will be sent any more. */
  | { type: 'ended'; error: ErrorLike }
  /** `isEarly`: its lane is a room that is being joined again, so that `FORBIDDEN` may pass. */
  | { type: 'answered'; id: string; error?: ErrorLike; answer?: unknown; isEarly?: boolean }
  | { type: 'aborted'; id: string }
  /** A message went out beside the outbox. */
  | { type: 'spent' }
  | { type: 'tick' };

export type Outcome = { readonly answer: unknown } | { readonly error: ErrorLike };

export type OutboxEffect =
  { type: 'send'; entry: OutboxEntry } | { type: 'settle'; entry: OutboxEntry; outcome: Outcome };

export interface OutboxTransition {
  readonly state: OutboxState;
  readonly effects: readonly OutboxEffect[];
  /** When to send `tick`, unless something happens before. */
  readonly wakeAt: number | undefined;
}

/** What a page leaves behind for the next one. */
export interface Stored {
  readonly device: string;
  readonly entries: readonly OutboxEntry[];
}

export interface StoreEvents {
  /** What an earlier page left behind. `isFirst`: before this client has connected, so it may take over the device too. */
  restored(stored: Stored, isFirst: boolean): void;
  /** Said once: from now on everything is in memory only. */
  lost(why: unknown): void;
}

/** Where the outbox is kept over a reload: see `storedOutbox()`. */
export type OutboxStore = (
  url: string,
  events: StoreEvents,
  debug: Debug,
) => {
  /** Resolves when it is known what is stored. Never rejects. */
  readonly ready: Promise<void>;
  save(stored: Stored): void;
  close(): void;
};
