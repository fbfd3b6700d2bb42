/**
 * The two engines under test, so that contract suites name them in one place only. Implementations are internal: the
 * library's entries export them through the module, not one by one.
 */
export type { ClusterBus, BusState } from '../../libs/realtime/src/cluster/cluster-bus.js';
export {
  COMMANDS_CHANNEL,
  REQUESTS_CHANNEL,
  answersChannel,
  roomChannel,
} from '../../libs/realtime/src/cluster/channels.js';
export type { ClusterCommand, CommandLog } from '../../libs/realtime/src/cluster/command-log.js';
export { CommandFollower } from '../../libs/realtime/src/cluster/command-follower.js';
export { ClusterRequests } from '../../libs/realtime/src/cluster/cluster-requests.js';
export type { NodeLeases } from '../../libs/realtime/src/cluster/node-leases.js';
export { NodeRegistry } from '../../libs/realtime/src/cluster/node-registry.js';
export { systemClock } from '../../libs/realtime/src/core/clock.js';
export { randomId, type Incarnation, type NodeId } from '../../libs/realtime/src/core/ids.js';
export { noMetrics } from '../../libs/realtime/src/core/metrics.js';
export type { RateStore } from '../../libs/realtime/src/limits/rate-store.js';
export { MemoryBus } from '../../libs/realtime/src/memory/memory-bus.js';
export { MemoryCommandLog } from '../../libs/realtime/src/memory/memory-command-log.js';
export { MemoryHub } from '../../libs/realtime/src/memory/memory-hub.js';
export { MemoryNodeLeases } from '../../libs/realtime/src/memory/memory-node-leases.js';
export { MemoryRateStore } from '../../libs/realtime/src/memory/memory-rate-store.js';
export { ManualClock } from '../../libs/realtime/src/testing/manual-clock.js';
export { checkRedisOptions } from '../../libs/realtime/src/redis/check-redis-options.js';
export { createRedisAdapter } from '../../libs/realtime/src/redis/redis-adapter.js';
export { RedisBus } from '../../libs/realtime/src/redis/redis-bus.js';
export { reconnectDelayMs, socketTimeouts } from '../../libs/realtime/src/redis/wire-client.js';
export { RedisCommandLog } from '../../libs/realtime/src/redis/redis-command-log.js';
export { RedisConnection } from '../../libs/realtime/src/redis/redis-connection.js';
export { RedisNodeLeases } from '../../libs/realtime/src/redis/redis-node-leases.js';
export { resolveRedisOptions, type RedisOptions } from '../../libs/realtime/src/redis/redis-options.js';
export { RedisRateStore } from '../../libs/realtime/src/redis/redis-rate-store.js';
export { MemoryPresenceStore } from '../../libs/realtime/src/memory/memory-presence-store.js';
export { NodePresence } from '../../libs/realtime/src/presence/node-presence.js';
export { parsePresenceChange } from '../../libs/realtime/src/presence/presence-change.js';
export type * from '../../libs/realtime/src/presence/presence-store.js';
export { RedisPresenceStore } from '../../libs/realtime/src/redis/redis-presence-store.js';
export { PresenceTable } from '../../libs/realtime/src/presence/presence-table.js';
export { HostedPresence } from '../../libs/realtime/src/presence/hosted-presence.js';
export { MemoryRequestStore } from '../../libs/realtime/src/memory/memory-request-store.js';
export { RedisRequestStore } from '../../libs/realtime/src/redis/redis-request-store.js';
export { RequestRunner, type RequestAnswer } from '../../libs/realtime/src/requests/request-runner.js';
export type { RequestKey, RequestStore } from '../../libs/realtime/src/requests/request-store.js';
export { MAX_LOG_BYTES, MAX_LOG_ENTRIES } from '../../libs/realtime/src/history/log-bounds.js';
export { isContinuous, isRecoverable } from '../../libs/realtime/src/history/recovery.js';
export type * from '../../libs/realtime/src/history/room-log.js';
export { LOG_META_TTL_MS, MAX_FORKS, PUBLICATION_WINDOW_MS } from '../../libs/realtime/src/history/room-log.js';
export { MemoryRoomLog } from '../../libs/realtime/src/memory/memory-room-log.js';
export { RedisRoomLog } from '../../libs/realtime/src/redis/redis-room-log.js';
