export { HEALTH_SOURCE, type HealthSource, type RedisHealth } from '../core/health-source.js';
export type { ReadinessReason, ReadinessRules } from './readiness.js';
export { RealtimeHealthModule, type RealtimeHealthOptions } from './realtime-health.module.js';
export { RealtimeHealthIndicator } from './realtime.health.js';
export { RedisHealthIndicator, type RedisHealthOptions } from './redis.health.js';
