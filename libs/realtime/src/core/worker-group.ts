import cluster from 'node:cluster';

/** Set for each worker that `RealtimeCluster` forks; JSON. */
export const WORKER_GROUP_ENV = 'NESTJS_REALTIME_WORKER';

/** The processes that share one port, as one of them sees them. */
export interface WorkerGroup {
  /** From 1 on; whoever replaces a dead worker takes over its number. */
  readonly index: number;
  readonly workers: number;
  /** The primary sends all requests of a session to one worker. */
  readonly isSticky: boolean;
}

/** Undefined outside of a worker. The environment alone says nothing: a process that a worker starts inherits it. */
export function workerGroup(): WorkerGroup | undefined {
  const text = process.env[WORKER_GROUP_ENV];
  return cluster.isWorker && text !== undefined ? (JSON.parse(text) as WorkerGroup) : undefined;
}

interface SharedOptions {
  readonly redis: unknown;
  readonly transports: readonly string[];
}

/** @throws Error that names the options with which several workers would not be one cluster. */
export function checkWorkerGroup({ redis, transports }: SharedOptions, group = workerGroup()): void {
  if (group === undefined || group.workers === 1) return;
  const problems: string[] = [];
  if (!redis)
    problems.push(
      `redis: is needed, or the ${group.workers} workers of RealtimeCluster know nothing of each other's rooms and users. Set it, or run with \`workers: 1\``,
    );
  if (transports.includes('polling') && !group.isSticky)
    problems.push(
      "transports: 'polling' needs `RealtimeCluster.run({ sticky: true })`, or requests of a session reach workers that do not know it",
    );
  if (problems.length > 0) throw new Error(`RealtimeModule has invalid options:\n- ${problems.join('\n- ')}`);
}
