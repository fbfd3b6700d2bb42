export { createRealtimeClient, RealtimeClient } from './client.js';
export { RealtimeClientError } from './client-error.js';
export type { ClientStatus, ConnectionState } from './connection-state.js';
export type {
  EventData,
  EventName,
  RealtimeContract,
  RequestAnswer,
  RequestData,
  RequestName,
  RoomEventData,
  RoomEventName,
  RoomName,
  RoomState,
} from './contract.js';
export type { Off } from './emitter.js';
export type { OutboxOptions, OutboxStorage, RealtimeClientOptions } from './options.js';
export type { OfflinePolicy, OutboxStore } from './outbox-entry.js';
export type { Outbox, PendingRequest, RequestOptions, SettledRequest } from './outbox.js';
export { presenceOf, type PresenceChanges, type PresenceRoom, type RoomPhase, type RoomPresence } from './presence.js';
export type { RoomGap } from './progress.js';
export type { HistoryOptions, RealtimeRoom, RoomChange } from './room.js';
export { storedOutbox, type StoredOutboxOptions } from './stored-outbox.js';
export { storedPositions, type StoredPositionsOptions } from './stored-positions.js';
