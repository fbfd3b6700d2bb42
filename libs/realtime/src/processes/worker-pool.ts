import type { Cancel, Clock } from '../core/clock.js';
import type { RealtimeLogger } from '../core/logger.js';
import { RestartBackoff, type RestartLimits } from './restart-backoff.js';

/** Exit code, signal, or why it could not be started. */
export type WorkerEnd = number | string;

/** A worker as the primary sees it. */
export interface WorkerProcess {
  /** Undefined when it could not be started. */
  readonly pid: number | undefined;
  /** Resolves when it takes connections; stays pending if it never does. */
  readonly serving: Promise<void>;
  readonly ended: Promise<WorkerEnd>;
  signal(signal: NodeJS.Signals): void;
}

export interface WorkerPoolDeps {
  readonly workers: number;
  readonly restart: RestartLimits;
  readonly shutdownTimeoutMs: number;
  readonly clock: Clock;
  readonly logger: RealtimeLogger;
  /** From 0 up to 1. */
  readonly random: () => number;
  /** @param index from 1 to `workers`. */
  readonly fork: (index: number) => WorkerProcess;
}

interface Place {
  readonly index: number;
  readonly backoff: RestartBackoff;
  worker: WorkerProcess | undefined;
  servesSince: number | undefined;
}

/**
 * Keeps one worker in each place: who dies is replaced after a jittered wait. Never ends the process, and serves nobody
 * itself. Invariant: after `stop()` nobody is started any more, and it resolves when nobody is left.
 */
export class WorkerPool {
  private readonly places: readonly Place[];
  private readonly waiting = new Set<Cancel>();
  isStopping = false;
  private onEmpty: () => void = () => undefined;
  /** Resolves when the pool was stopped and its last worker has ended. */
  readonly ended = new Promise<void>((resolve) => (this.onEmpty = resolve));

  constructor(private readonly deps: WorkerPoolDeps) {
    this.places = Array.from({ length: deps.workers }, (_, place) => ({
      ...{ index: place + 1, backoff: new RestartBackoff(deps.restart, deps.random) },
      ...{ worker: undefined, servesSince: undefined },
    }));
  }

  start(): void {
    for (const place of this.places) this.fill(place);
  }

  /** Forwards SIGTERM to all workers, and SIGKILL to those that are left after `shutdownTimeoutMs`. */
  stop(): Promise<void> {
    if (this.isStopping) return this.ended;
    this.isStopping = true;
    for (const cancel of this.waiting) cancel();
    this.waiting.clear();
    this.signal('SIGTERM');
    const cancel = this.deps.clock.after(this.deps.shutdownTimeoutMs, () => this.kill());
    this.checkEmpty();
    return this.ended.finally(cancel);
  }

  private get alive(): readonly Place[] {
    return this.places.filter(({ worker }) => worker !== undefined);
  }

  private fill(place: Place): void {
    const worker = (place.worker = this.deps.fork(place.index));
    place.servesSince = undefined;
    void worker.serving.then(() => {
      if (place.worker !== worker) return;
      place.servesSince = this.deps.clock.now();
      this.deps.logger.log(`RealtimeCluster: ${nameOf(place)} serves`);
    });
    void worker.ended.then((end) => this.replace(place, end));
  }

  private replace(place: Place, end: WorkerEnd): void {
    const { clock, logger } = this.deps;
    const name = nameOf(place);
    place.worker = undefined;
    const how = typeof end === 'number' ? `ended with code ${end}` : `ended: ${end}`;
    if (this.isStopping) {
      logger.log(`RealtimeCluster: ${name} ${how}`);
      return this.checkEmpty();
    }
    const servedMs = place.servesSince === undefined ? 0 : clock.now() - place.servesSince;
    const delayMs = place.backoff.afterDeath(servedMs);
    const when = place.servesSince === undefined ? ' before it served' : '';
    logger.warn(`RealtimeCluster: ${name} ${how}${when}; another one starts in ${delayMs} ms`);
    const cancel = clock.after(delayMs, () => {
      this.waiting.delete(cancel);
      this.fill(place);
    });
    this.waiting.add(cancel);
  }

  private signal(signal: NodeJS.Signals): void {
    for (const { worker } of this.alive) worker?.signal(signal);
  }

  private kill(): void {
    const late = this.alive.map(nameOf).join(', ');
    this.deps.logger.warn(
      `RealtimeCluster: killed, because they did not end within ${this.deps.shutdownTimeoutMs} ms: ${late}`,
    );
    this.signal('SIGKILL');
  }

  private checkEmpty(): void {
    if (this.alive.length === 0) this.onEmpty();
  }
}

function nameOf({ index, worker }: Place): string {
  return `worker ${index} (${worker?.pid ?? 'no process'})`;
}
