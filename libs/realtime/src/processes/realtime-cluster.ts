import cluster from 'node:cluster';
import { systemClock } from '../core/clock.js';
import { workerGroup } from '../core/worker-group.js';
import { resolveClusterOptions, type RealtimeClusterOptions, type ResolvedClusterOptions } from './cluster-options.js';
import { forkWorker } from './fork-worker.js';
import { StickyDoor } from './sticky-door.js';
import { loadSticky } from './sticky-package.js';
import { WorkerPool } from './worker-pool.js';
import { runWorker } from './worker.js';

let hasRun = false;

/**
 * One process for each core, all on one port: the primary starts workers, replaces those that die, and ends them all when it
 * gets SIGTERM or SIGINT. It never loads Nest, never calls `process.exit`, and is no node: workers find each other in Redis,
 * which the app's option `redis` has to name.
 */
export const RealtimeCluster = {
  /**
   * Call it first in the program, which runs once as the primary and once in each worker. In a worker it resolves when the app
   * serves. In the primary it resolves when all workers have ended after a signal; nothing keeps the process alive then.
   * @throws Error that lists every problem of the options; in the primary also if the port is taken (with `sticky`).
   */
  async run(options: RealtimeClusterOptions): Promise<void> {
    const resolved = resolveClusterOptions(options);
    if (hasRun) throw new Error('RealtimeCluster.run() was called already in this process: it runs one app');
    hasRun = true;
    if (cluster.isPrimary) return runPrimary(resolved);
    const group = workerGroup();
    if (group === undefined)
      throw new Error(
        'RealtimeCluster.run() is in a worker that it did not start (cluster mode of pm2?): start it as a plain process',
      );
    return runWorker(resolved, group);
  },
};

async function runPrimary(options: ResolvedClusterOptions): Promise<void> {
  const { port, host, workers, sticky: isSticky, logger, shutdownTimeoutMs } = options;
  const door = isSticky ? await StickyDoor.open(await loadSticky(), port, host) : undefined;
  const pool = new WorkerPool({
    ...options,
    ...{ clock: systemClock, random: Math.random },
    fork: (index) => {
      const worker = forkWorker({ index, workers, isSticky });
      door?.prepare(worker.id);
      void worker.serving.then(() => door?.admit(worker.id));
      void worker.ended.then(() => door?.dismiss(worker.id));
      return worker;
    },
  });
  logger.log(`RealtimeCluster: ${workers} workers on port ${door?.port ?? port}${isSticky ? ', sticky' : ''}`);
  await untilSignal(pool, () => logger.log(`RealtimeCluster: ends, its workers within ${shutdownTimeoutMs} ms`));
  door?.close();
}

async function untilSignal(pool: WorkerPool, onSignal: () => void): Promise<void> {
  // Between the death of the last worker and the next start, nothing else would hold the process.
  const hold = setInterval(() => undefined, 2_147_483_647);
  const hear = (): void => {
    // Ctrl+C comes twice when npm passes it on, and reaches the workers by itself: one end is enough.
    if (pool.isStopping) return;
    onSignal();
    void pool.stop();
  };
  process.on('SIGTERM', hear).on('SIGINT', hear);
  pool.start();
  await pool.ended;
  process.off('SIGTERM', hear).off('SIGINT', hear);
  clearInterval(hold);
}
