export type { RealtimeLogger } from '../core/logger.js';
export type { RealtimeClusterOptions, RestartOptions } from './cluster-options.js';
export { RealtimeCluster } from './realtime-cluster.js';
export type { ListeningApp, RealtimeWorker } from './realtime-worker.js';
