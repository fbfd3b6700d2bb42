export { RealtimeEmitter, type EmitterPublishOptions, type EmitterTarget } from './realtime-emitter.js';
export type { RealtimeEmitterOptions } from './emitter-options.js';
export type { DisconnectTarget, RevokeOptions } from '../cluster/command-input.js';
export type { RealtimeLogger } from '../core/logger.js';
export { RealtimeError } from '../core/realtime-error.js';
export type { Retention } from '../history/room-log.js';
export type { RedisOptions } from '../redis/redis-options.js';
export type { EmitOptions, PublishOptions, RoomsPublishReply } from '../rooms/room-publisher.js';
export { roomName, userRoom, type PublishReply } from 'nestjs-realtime-protocol';
