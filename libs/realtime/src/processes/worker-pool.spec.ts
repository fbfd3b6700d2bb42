import { ManualClock } from '../testing/manual-clock.js';
import { WorkerPool, type WorkerEnd, type WorkerPoolDeps, type WorkerProcess } from './worker-pool.js';

/** A process that serves and ends when the test says so. */
class Worker implements WorkerProcess {
  readonly signals: string[] = [];
  serve: () => void = () => undefined;
  end: (end: WorkerEnd) => void = () => undefined;
  readonly serving = new Promise<void>((resolve) => (this.serve = resolve));
  readonly ended = new Promise<WorkerEnd>((resolve) => (this.end = resolve));

  constructor(
    readonly index: number,
    readonly pid: number,
  ) {}

  signal(signal: NodeJS.Signals): void {
    this.signals.push(signal);
  }
}

function bootPool(options: Partial<WorkerPoolDeps> = {}) {
  const clock = new ManualClock();
  const workers: Worker[] = [];
  const lines: string[] = [];
  const say = (line: string): void => void lines.push(line.replace('RealtimeCluster: ', ''));
  const pool = new WorkerPool({
    ...{ workers: 2, restart: { minDelayMs: 100, maxDelayMs: 1_000 }, shutdownTimeoutMs: 5_000 },
    ...{ clock, logger: { log: say, warn: say, error: say }, random: () => 1 },
    fork: (index) => {
      const worker = new Worker(index, 100 + workers.length);
      workers.push(worker);
      return worker;
    },
    ...options,
  });
  pool.start();
  return { pool, clock, workers, lines };
}

describe('when a worker dies', () => {
  it('starts another one in its place after the wait, and says so in one line each', async () => {
    const { clock, workers, lines } = bootPool();
    workers[0]?.serve();
    await clock.advanceAsync(10);
    workers[0]?.end('SIGKILL');
    await clock.advanceAsync(199);
    expect(workers).toHaveLength(2);
    await clock.advanceAsync(1);
    expect(workers.map(({ index }) => index)).toEqual([1, 2, 1]);
    workers[2]?.serve();
    await clock.advanceAsync(0);
    expect(lines).toEqual([
      'worker 1 (100) serves',
      'worker 1 (100) ended: SIGKILL; another one starts in 200 ms',
      'worker 1 (102) serves',
    ]);
  });

  it('backs off when the next ones die at boot, and never starts two at once', async () => {
    const { clock, workers, lines } = bootPool({ workers: 1 });
    for (let death = 1; death <= 6; death += 1) {
      workers.at(-1)?.end(1);
      await clock.advanceAsync(99);
      expect(workers).toHaveLength(death);
      await clock.advanceAsync(1_000);
      expect(workers).toHaveLength(death + 1);
    }
    expect(lines.map((line) => Number(/in (\d+) ms$/.exec(line)?.[1]))).toEqual([200, 400, 800, 1_000, 1_000, 1_000]);
    expect(lines[0]).toContain('ended with code 1 before it served');
  });

  it('says when one could not be started at all', async () => {
    const { clock, lines } = bootPool({
      workers: 1,
      fork: () => ({
        ...{ pid: undefined, signal: () => undefined, serving: new Promise<void>(() => undefined) },
        ended: Promise.resolve('spawn EAGAIN'),
      }),
    });
    await clock.advanceAsync(0);
    expect(lines).toEqual(['worker 1 (no process) ended: spawn EAGAIN before it served; another one starts in 200 ms']);
  });
});

describe('when the pool is stopped', () => {
  it('ends all, waits for the last, and starts nobody any more', async () => {
    const { pool, clock, workers } = bootPool();
    const stopped = pool.stop();
    expect(workers.map(({ signals }) => signals)).toEqual([['SIGTERM'], ['SIGTERM']]);
    workers[0]?.end(0);
    await clock.advanceAsync(4_000);
    workers[1]?.end('SIGTERM');
    await stopped;
    expect(workers).toHaveLength(2);
    expect(clock.pending).toBe(0);
  });

  it('kills those that do not end in time', async () => {
    const { pool, clock, workers, lines } = bootPool();
    const stopped = pool.stop();
    workers[0]?.end(0);
    await clock.advanceAsync(5_000);
    expect(workers.map(({ signals }) => signals)).toEqual([['SIGTERM'], ['SIGTERM', 'SIGKILL']]);
    workers[1]?.end('SIGKILL');
    await stopped;
    expect(lines[1]).toBe('killed, because they did not end within 5000 ms: worker 2 (101)');
  });

  it('is over at once when nobody is left, and forgets whoever was to start', async () => {
    const { pool, clock, workers } = bootPool({ workers: 1 });
    workers[0]?.end(1);
    await clock.advanceAsync(10);
    await Promise.all([pool.stop(), pool.stop()]);
    await clock.advanceAsync(10_000);
    expect(workers).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });
});
