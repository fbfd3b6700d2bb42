import type { Position } from 'nestjs-realtime-protocol';

/** What a room keeps of its publications: whichever limit is met first. */
export interface Retention {
  /** Newest publications kept. */
  readonly size: number;
  /** Milliseconds a publication is kept. */
  readonly ttlMs: number;
}

export interface NewPublication {
  readonly room: string;
  /** Ids of one publisher do not meet those of another. */
  readonly publisher: string;
  /** Known for `PUBLICATION_WINDOW_MS`: the same again is a repeat and changes nothing. */
  readonly id: string;
  /** Encoded once, by `encodeRoomMessage`: what the channel carries after its first line, and the log stores. */
  readonly text: string;
  /** Absent: the room keeps nothing, the publication gets no position. `'stored'`: what the log was last used with. */
  readonly retention?: Retention | 'stored' | undefined;
  /** Milliseconds after which it is no longer recovered, although the log still has it. */
  readonly expiresInMs?: number | undefined;
  /**
   * Milliseconds in which the id is known. Default `PUBLICATION_WINDOW_MS`; 0: not looked up and not kept. An id that
   * nobody but the publishing node can repeat need not be known for longer than that node tries.
   */
  readonly windowMs?: number | undefined;
}

export type PublishOutcome =
  | { readonly status: 'published'; readonly position?: Position | undefined }
  /** Published before, at this position: nobody got it again. */
  | { readonly status: 'repeat'; readonly position?: Position | undefined }
  /** The id was used for another payload, published at this position: nobody got this. */
  | { readonly status: 'conflict'; readonly position?: Position | undefined };

export interface LogEntry {
  readonly offset: number;
  readonly text: string;
}

/**
 * Where a log stands. An epoch ends when another server begins to count (a failover, a restart), or when the log was lost;
 * offsets go on counting over epochs, so a position of an older epoch is comparable as far as `forks` says.
 */
export interface LogState extends Position {
  /** Everything after this offset is there, except what was removed or has expired by itself. */
  readonly start: number;
  /** Ended epochs, the newest 8, and the last offset of each that this log still knows. */
  readonly forks: Readonly<Record<string, number>>;
}

export interface LogRead extends LogState {
  /** By offset, oldest first. */
  readonly entries: readonly LogEntry[];
  /** Whether `limit` or `maxBytes` cut something off: at the end for `after`, at the beginning otherwise. */
  readonly hasMore: boolean;
}

/** The oldest entries after `after`, or the newest before `before` (absent: the newest of all). */
export interface LogRange {
  readonly after?: number | undefined;
  /** Together with `after` an upper bound. */
  readonly before?: number | undefined;
  /** At most `MAX_LOG_ENTRIES` are returned, whatever this says; 0 for none. */
  readonly limit: number;
  /** Of all texts together; at least one entry is returned whatever its size. Default and most: `MAX_LOG_BYTES`. */
  readonly maxBytes?: number | undefined;
}

/**
 * The publications of rooms with history, numbered without holes in each room. `publish` looks up the id, numbers, stores
 * and publishes on the room's channel in one step: who reads the channel and the log sees one order.
 * Rejects with `UNAVAILABLE` (a `RedisUnavailableError` knows whether it may have been carried out) while the storage is
 * away, with `LIMIT_EXCEEDED` for a text that is too large. Reading creates the log, so that its position can be given out.
 */
export interface RoomLog {
  /** Calls of one node for one room are carried out in their order, as long as none of them rejects. */
  publish(publication: NewPublication): Promise<PublishOutcome>;
  read(room: string, retention: Retention, range: LogRange): Promise<LogRead>;
  /** The states of many rooms in one pipelined read. */
  states(rooms: readonly { readonly room: string; readonly retention: Retention }[]): Promise<LogState[]>;
  /** Erases all publications: positions before the present one cannot be recovered any more. */
  clear(room: string): Promise<void>;
  /** Erases one publication and leaves a hole. False if it is not there (any more). @throws RealtimeError `NOT_FOUND` for a position of an epoch that the log does not know. */
  remove(room: string, position: Position): Promise<boolean>;
}

/** Milliseconds in which a second publication with the same id is known as a repeat (Centrifugo's idempotency window). */
export const PUBLICATION_WINDOW_MS = 300_000;
/** Most publications that a client recovers, as Centrifugo does. */
export const MAX_RECOVERED = 300;
/** Most bytes of text that a client recovers. */
export const MAX_RECOVERED_BYTES = 262_144;
/** Milliseconds a log's epoch and offset outlive its last use. */
export const LOG_META_TTL_MS = 7 * 86_400_000;
/** Ended epochs that a log remembers. */
export const MAX_FORKS = 8;
