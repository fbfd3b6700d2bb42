import { availableParallelism } from 'node:os';
import type { RealtimeLogger } from '../core/logger.js';
import type { RealtimeWorker } from './realtime-worker.js';
import type { RestartLimits } from './restart-backoff.js';

export interface RealtimeClusterOptions {
  /**
   * Runs in each worker: makes the app and gives it to `listen`. Import the app in here (`await import('./app.js')`), so that
   * the primary, which serves nobody, does not load it. A start that rejects ends the worker; another one follows.
   */
  readonly start: (worker: RealtimeWorker) => Promise<unknown>;
  /** The one port of all workers. 0: a free one, which is another after all workers were gone; with `sticky` it stays. */
  readonly port: number;
  /** Address to listen on. @default all addresses */
  readonly host?: string | undefined;
  /** Processes that serve, 1 to 256. @default os.availableParallelism() */
  readonly workers?: number | undefined;
  /** For clients that poll: all requests of a session reach one worker. Needs `@socket.io/sticky`. @default false */
  readonly sticky?: boolean | undefined;
  readonly restart?: RestartOptions | undefined;
  /** Milliseconds that workers have to end after SIGTERM; then they are killed. More than the app needs to drain. @default 28_000 */
  readonly shutdownTimeoutMs?: number | undefined;
  /** Of the primary: a line for each worker that serves or ends. @default console */
  readonly logger?: RealtimeLogger | undefined;
}

export interface RestartOptions {
  /** Shortest wait, in milliseconds, before a dead worker is replaced. @default 200 */
  readonly minDelayMs?: number | undefined;
  /** Longest wait, in milliseconds: each death doubles it, with full jitter. @default 30_000 */
  readonly maxDelayMs?: number | undefined;
}

export interface ResolvedClusterOptions {
  readonly start: RealtimeClusterOptions['start'];
  readonly port: number;
  readonly host: string | undefined;
  readonly workers: number;
  readonly sticky: boolean;
  readonly restart: RestartLimits;
  readonly shutdownTimeoutMs: number;
  readonly logger: RealtimeLogger;
}

/** More is a mistake of units: one worker for each core is what this is for. */
const MAX_WORKERS = 256;
/** What a timer can wait. */
const MAX_MS = 2_147_483_647;

/** @throws Error that lists every problem. */
export function resolveClusterOptions(options: RealtimeClusterOptions): ResolvedClusterOptions {
  const problems = typeof options === 'object' && options !== null ? check(options) : ['options: an object is needed'];
  if (problems.length > 0) throw new Error(`RealtimeCluster cannot be used:\n- ${problems.join('\n- ')}`);
  const {
    start,
    port,
    host,
    workers = availableParallelism(),
    sticky = false,
    restart = {},
    logger = console,
  } = options;
  const { minDelayMs = 200, maxDelayMs = 30_000 } = restart;
  const { shutdownTimeoutMs = 28_000 } = options;
  return { start, port, host, workers, sticky, restart: { minDelayMs, maxDelayMs }, shutdownTimeoutMs, logger };
}

function check(options: RealtimeClusterOptions): string[] {
  const { start, port, host, workers, sticky, restart = {}, shutdownTimeoutMs, logger } = options;
  const problems: string[] = [];
  if (typeof start !== 'function')
    problems.push('start: a function is needed that makes the app and calls `listen(app)`');
  if (!isWhole(port, 0, 65_535)) problems.push('port: must be a whole number from 0 to 65535');
  if (host !== undefined && (typeof host !== 'string' || host === '')) problems.push('host: must be an address');
  if (workers !== undefined && !isWhole(workers, 1, MAX_WORKERS))
    problems.push(`workers: must be a whole number from 1 to ${MAX_WORKERS}`);
  if (sticky !== undefined && typeof sticky !== 'boolean') problems.push('sticky: must be true or false');
  const { minDelayMs, maxDelayMs } = restart;
  for (const [name, value] of Object.entries({
    'restart.minDelayMs': minDelayMs,
    'restart.maxDelayMs': maxDelayMs,
    shutdownTimeoutMs,
  })) {
    if (value !== undefined && !isWhole(value, 1, MAX_MS))
      problems.push(`${name}: must be a whole number of milliseconds, at least 1`);
  }
  if ((minDelayMs ?? 200) > (maxDelayMs ?? 30_000)) problems.push('restart.minDelayMs: is above restart.maxDelayMs');
  if (logger !== undefined && !isLogger(logger)) problems.push('logger: must have `log`, `warn` and `error`');
  return problems;
}

function isWhole(value: unknown, least: number, most: number): boolean {
  return Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
}

function isLogger(logger: object): boolean {
  return ['log', 'warn', 'error'].every((name) => typeof (logger as Record<string, unknown>)[name] === 'function');
}
