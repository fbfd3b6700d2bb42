export { REALTIME_METRICS, type RealtimeMetrics } from '../core/metrics.js';
export { METRICS_REGISTRY } from './metrics.controller.js';
export { PromMetrics } from './prom-metrics.js';
export { RealtimeMetricsModule, type RealtimeMetricsOptions } from './realtime-metrics.module.js';
