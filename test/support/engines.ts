/**
 * The two engines under test, so that contract suites name them in one place only. Implementations are internal: the
 * library's entries export them through the module, not one by one.
 */
export { MemoryHub } from '../../libs/realtime/src/memory/memory-hub.js';
export { MemoryBus } from '../../libs/realtime/src/memory/memory-bus.js';
export { RedisConnection } from '../../libs/realtime/src/redis/redis-connection.js';
export { RedisBus } from '../../libs/realtime/src/redis/redis-bus.js';
export type { ClusterBus, BusState } from '../../libs/realtime/src/cluster/cluster-bus.js';
