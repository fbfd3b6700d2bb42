export { RealtimeModule, REALTIME_OPTIONS } from './realtime.module.js';
export type {
  ClusterOptions,
  DrainOptions,
  ErrorContext,
  HeartbeatOptions,
  MetricsOptions,
  PresenceOptions,
  RealtimeOptions,
  RequestsOptions,
  RoomsOptions,
} from './realtime.options.js';

export type { AuthJwtOptions, AuthOptions, MapPrincipal, VerifiedPrincipal, Verify } from './auth/auth-options.js';
export { AllowAnonymous } from './auth/allow-anonymous.decorator.js';
export { CurrentPrincipal, RequireScopes, Roles } from './auth/auth.decorators.js';
export type { RealtimeHandshake } from './auth/handshake.js';
export { RealtimeAuthGuard, getPrincipal } from './auth/realtime-auth.guard.js';
export type { Principal } from './core/principal.js';
export { RealtimeError, type RealtimeErrorOptions } from './core/realtime-error.js';

export {
  RealtimeService,
  type ClusterAnswer,
  type RealtimeStats,
  type RoomTarget,
} from './connection/realtime.service.js';
export type { DisconnectTarget, RevokeOptions } from './cluster/command-input.js';
export { RequestId, getRequest } from './requests/request.decorators.js';
export type { RequestInfo } from './requests/request-scope.js';
export { RoomManager, type SocketLike } from './rooms/room-manager.js';
export type { EmitOptions, PublishOptions, RoomsPublishReply } from './rooms/room-publisher.js';
export type { HistoryQuery } from './rooms/room-history.js';
export type { Retention } from './history/room-log.js';
export type { RoomConnection, RoomConnectionsPage } from './rooms/member-queries.js';
export {
  RoomPolicy,
  type CanJoin,
  type CanPublish,
  type JoinDecision,
  type RoomContext,
  type RoomPolicyOptions,
} from './rooms/room-policy.js';
export { PresenceService, type PresenceEvent, type PresenceListOptions } from './presence/presence.service.js';
export type { PresencePage } from './presence/presence-store.js';

export type { LimitsOptions } from './limits/limits-options.js';
export { httpOnly } from './limits/http-only.js';
export type { RedisOptions } from './redis/redis-options.js';
export { REDIS_ADAPTER } from './core/redis-adapter-token.js';
export type { CompressionOptions } from './socketio/compression.js';
export { SOCKET_SERVERS } from './core/socket-servers.js';
export { RealtimeIoAdapter, type RealtimeAdapterDeps } from './socketio/realtime-io.adapter.js';

export { roomName, userRoom, type RealtimeCode, type RoomMeta, type WireError } from 'nestjs-realtime-protocol';
