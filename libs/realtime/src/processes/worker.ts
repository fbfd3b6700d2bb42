import cluster from 'node:cluster';
import type { WorkerGroup } from '../core/worker-group.js';
import type { ResolvedClusterOptions } from './cluster-options.js';
import { SERVING, type ListeningApp, type RealtimeWorker } from './realtime-worker.js';
import { listenSticky } from './sticky-worker.js';

/** Resolves when the app serves. @throws what `start` throws: the worker ends with it, and the primary starts another. */
export async function runWorker(options: ResolvedClusterOptions, { index, workers }: WorkerGroup): Promise<void> {
  endWithPrimary(options.shutdownTimeoutMs);
  let hasListened = false;
  const worker: RealtimeWorker = {
    ...{ index, workers },
    listen: async (app) => {
      if (hasListened) throw new Error('listen(app) was called already in this worker: it serves one app');
      hasListened = true;
      await (options.sticky ? listenSticky(app) : listen(app, options));
      process.send?.(SERVING);
    },
  };
  await options.start(worker);
  if (!hasListened) throw new Error('start() has not called listen(app): nobody would be served by this worker');
}

async function listen(app: ListeningApp, { port, host }: ResolvedClusterOptions): Promise<void> {
  // Without a host, Node takes IPv6 and IPv4 together: there is no address that says so everywhere.
  await (host === undefined ? app.listen(port) : app.listen(port, host));
}

/** A primary that was killed forwards no signal: who has lost it ends as if one had come, drain included. */
function endWithPrimary(timeoutMs: number): void {
  const { worker } = cluster;
  worker?.once('disconnect', () => {
    // Otherwise node:cluster ends the process within this event.
    worker.exitedAfterDisconnect = true;
    process.kill(process.pid, 'SIGTERM');
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), timeoutMs).unref();
  });
}
