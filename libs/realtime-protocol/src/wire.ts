import type { ErrorAck, WireError } from './codes.js';

/** Version of this wire, in `realtime:hello`. */
export const WIRE_VERSION = 1;

/**
 * What a client understands, in CONNECT's `rt.v`. 1: the wire. 2: also `PresenceDiff.devices`. A server takes any number, and sends
 * what the client understands; `hello.v` stays 1, because nothing else of the wire has changed.
 */
export const CLIENT_VERSION = 2;

export const SERVER_EVENTS = {
  hello: 'realtime:hello',
  presence: 'realtime:presence',
  room: 'realtime:room',
  token: 'realtime:token',
  drain: 'realtime:drain',
  bye: 'realtime:bye',
} as const;

export const CLIENT_EVENTS = {
  join: 'realtime:join',
  leave: 'realtime:leave',
  publish: 'realtime:publish',
  history: 'realtime:history',
  presence: 'realtime:presence',
  meta: 'realtime:meta',
  refresh: 'realtime:refresh',
} as const;

/** A place in a log: offsets count up by one within an epoch; positions of two epochs cannot be compared. */
export interface Position {
  epoch: string;
  offset: number;
}

/** CONNECT's `auth`. `rt` marks our client: it understands `retryAfterMs`, a stock client does not. */
export interface ConnectAuth {
  token?: string;
  rt?: { v: number; device?: string };
}

export interface Hello {
  connectionId: string;
  v: number;
  /** The node that serves this connection: for support and demos, never for logic. */
  node: string;
  limits: { messagesPerSecond: number; burst: number; maxPayloadBytes: number; maxRooms: number };
  requestWindowMs: number;
  /** The room of this connection's user, which it is in already; join it to recover what was sent meanwhile. Absent for anonymous ones. */
  userRoom?: string;
}

export interface PresenceDevice {
  device: string;
  meta?: unknown;
}

export interface PresenceUser {
  id: string;
  /** At most 16, oldest first. */
  devices: PresenceDevice[];
  /** Devices that are not listed. Absent: all are. */
  more?: number;
}

/**
 * What changed of one user's list of devices. In this order: `drop` takes the device with this label off the list, `set` replaces
 * the device with its label, or appends it, and `more` is the number of devices that are not listed.
 */
export interface PresenceDeviceChange {
  /** The user's. */
  id: string;
  set?: PresenceDevice;
  drop?: string;
  more?: number;
}

export interface PresenceState {
  epoch: string;
  version: number;
  /** Users in the room. */
  count: number;
  /** Absent in a room that is too large to list: counts only. */
  users?: PresenceUser[];
}

/**
 * `realtime:presence`: all that changed between version `from` and version `to`, or only the count in a large room.
 * `from` is the `to` of the diff before on this connection, also when the epoch changes; 0: `join` is the whole list.
 * A user whose devices changed is in `update`, or, for clients of version 2, what changed is in `devices`.
 */
export interface PresenceDiff {
  room: string;
  epoch: string;
  from: number;
  to: number;
  join?: PresenceUser[];
  leave?: string[];
  update?: PresenceUser[];
  devices?: PresenceDeviceChange[];
}

export interface PresenceCount {
  room: string;
  count: number;
}

export interface JoinRequest {
  room: string;
  position?: Position;
  since?: 'retention';
  meta?: unknown;
  ticket?: string;
}

export interface JoinReply {
  room: string;
  state?: unknown;
  presence?: PresenceState;
  position?: Position;
  recovered?: boolean;
  /** All that was missed since the request's `position`, oldest first; only with `recovered: true`. */
  publications?: Publication[];
  ticket?: string;
}

export type JoinResult = JoinReply | (ErrorAck & { room?: string });

/** Second argument of every event that comes from a room. */
export interface RoomMeta {
  room: string;
  id?: string;
  offset?: number;
  epoch?: string;
  publisher?: string;
}

/** A message of a room's history, as join and history replies carry it. Its epoch is the reply's position's. */
export interface Publication {
  event: string;
  data: unknown;
  id: string;
  offset: number;
  publisher?: string;
}

/** The oldest `limit` publications after `after`, or the newest `limit` before `before`, or the newest of all. */
export interface HistoryRequest {
  room: string;
  after?: Position;
  before?: Position;
  limit: number;
}

export interface HistoryReply {
  /** Oldest first. */
  publications: Publication[];
  /** Where the room stands now. */
  position: Position;
  /** There are more in this direction: the reply is full, by number or by bytes. Absent: that was all. */
  hasMore?: boolean;
}

export interface PublishReply {
  id: string;
  offset?: number;
  epoch?: string;
}

export interface RoomStatus {
  room: string;
  status: 'kicked' | 'closed' | 'gap';
  code: string;
  /** The room may be joined again, as with errors. Absent: false. */
  retryable?: boolean;
  position?: Position;
}

export interface TokenNotice {
  /** Unix time in milliseconds at which the token expires. */
  expiresAt: number;
}

export interface DrainNotice {
  reconnectAfterMs: number;
  reason: string;
}

export type Bye = WireError;
