import type { Clock } from '../core/clock.js';
import { Pause, backoffMs } from './backoff.js';
import type { LiveEntry } from './own-entries.js';

/** Writes at once: fills a round trip, and leaves room in the queue of the connection. */
const BATCH = 100;

/**
 * Entries whose state in the store is not what it should be. Each is written until it succeeds, all by one loop that backs
 * off together when the store is away. Never gives up before `close()`: a leave is not lost.
 */
export class EntryRepairs {
  private readonly waiting = new Set<LiveEntry>();
  private readonly pause: Pause;
  private running: Promise<void> | undefined;
  private isClosed = false;

  constructor(
    clock: Clock,
    private readonly write: (entry: LiveEntry) => Promise<void>,
    private readonly onFailure: () => void,
  ) {
    this.pause = new Pause(clock);
  }

  get size(): number {
    return this.waiting.size;
  }

  /** Resolves when nothing waits any more. */
  add(entries: Iterable<LiveEntry>): Promise<void> {
    if (this.isClosed) return Promise.resolve();
    for (const entry of entries) this.waiting.add(entry);
    if (this.waiting.size === 0) return Promise.resolve();
    this.running ??= this.run();
    return this.running;
  }

  /** The store is back: do not wait for the next attempt. */
  hurry(): void {
    this.pause.skip();
  }

  close(): void {
    this.isClosed = true;
    this.waiting.clear();
    this.pause.end();
  }

  private async run(): Promise<void> {
    let failures = 0;
    while (this.waiting.size > 0) {
      if (failures > 0) await this.pause.wait(backoffMs(failures));
      failures = (await this.runBatch()) ? 0 : failures + 1;
    }
    // In the same step as the check: an entry added later starts a new run.
    this.running = undefined;
  }

  private async runBatch(): Promise<boolean> {
    const batch = [...this.waiting].slice(0, BATCH);
    for (const entry of batch) this.waiting.delete(entry);
    const results = await Promise.allSettled(batch.map((entry) => this.write(entry)));
    if (this.isClosed) return true;
    const failed = batch.filter((_, index) => results[index]?.status === 'rejected');
    for (const entry of failed) {
      this.waiting.add(entry);
      this.onFailure();
    }
    return failed.length === 0;
  }
}
