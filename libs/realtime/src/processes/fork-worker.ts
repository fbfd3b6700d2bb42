import cluster from 'node:cluster';
import { WORKER_GROUP_ENV, type WorkerGroup } from '../core/worker-group.js';
import { SERVING } from './realtime-worker.js';
import type { WorkerEnd, WorkerProcess } from './worker-pool.js';

/** A process of node:cluster that runs this program again, as a worker. */
export function forkWorker(group: WorkerGroup): WorkerProcess & { readonly id: number } {
  const worker = cluster.fork({ [WORKER_GROUP_ENV]: JSON.stringify(group) });
  const { pid } = worker.process;
  const ended = new Promise<WorkerEnd>((resolve) => {
    worker.once('exit', (code: number | null, signal: string | null) => resolve(signal ?? code ?? 'unknown'));
    worker.on('error', (error) => {
      // Of a live one, it is about a message that was not delivered.
      if (pid === undefined) resolve(error.message);
    });
  });
  const serving = new Promise<void>((resolve) => {
    worker.on('message', (message: unknown) => {
      if (message === SERVING) resolve();
    });
  });
  return { id: worker.id, pid, ended, serving, signal: (signal) => void worker.process.kill(signal) };
}
