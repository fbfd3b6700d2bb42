export { createRealtimeClient, RealtimeClient, type RequestOptions } from './client.js';
export { RealtimeClientError } from './client-error.js';
export type { ClientStatus, ConnectionState } from './connection-state.js';
export type {
  EventData,
  EventName,
  RealtimeContract,
  RequestAnswer,
  RequestData,
  RequestName,
  RoomState,
} from './contract.js';
export type { Off } from './emitter.js';
export type { RealtimeClientOptions } from './options.js';
export type { PresenceChanges, RoomPresence } from './presence.js';
export type { JoinOptions, RealtimeRoom, RoomChange, RoomPhase } from './room.js';
