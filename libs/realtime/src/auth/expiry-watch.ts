import type { Cancel, Clock } from '../core/clock.js';

// When tokens end: one timer for the process, however many connections it watches.
// Deadlines lie in buckets of one second of wall-clock time, since that is what `exp` speaks of; each tick empties the
// buckets that are due. It ends no connection itself.
// Invariant: nothing fires before its time by the wall clock, and within a second after it, also when that clock jumps
// or lies further away than a `setTimeout` can reach.

/** They get the key, so that all keys can share them. */
export interface ExpiryHandlers<Key = unknown> {
  /** The token is about to end: ask for a new one. At once (next tick) if that time has already passed. */
  onRefreshDue(key: Key): void;
  /** The grace is over. The watch has forgotten the key by then. */
  onExpired(key: Key): void;
}

export interface ExpiryWatchOptions {
  readonly clock: Clock;
  /** Milliseconds before the end at which `onRefreshDue` is called. */
  readonly refreshLeadMs: number;
  /** Milliseconds after the end at which `onExpired` is called. */
  readonly expiryGraceMs: number;
  /** A handler that threw; the others are called all the same. Default: ignored. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

const TICK_MS = 1_000;

interface Entry<Key> {
  readonly key: Key;
  readonly expiresAtMs: number;
  readonly handlers: ExpiryHandlers<Key>;
  isAsked: boolean;
  bucket: number;
}

export class ExpiryWatch<Key> {
  private readonly entries = new Map<Key, Entry<Key>>();
  private readonly buckets = new Map<number, Set<Entry<Key>>>();
  /** The first bucket that no tick has emptied yet: in seconds of Unix time. */
  private cursor = 0;
  private stopTicking: Cancel | undefined;

  constructor(private readonly options: ExpiryWatchOptions) {}

  get size(): number {
    return this.entries.size;
  }

  /** O(1). `expiresAtMs` is Unix time; a key that is watched already starts anew. */
  watch(key: Key, expiresAtMs: number, handlers: ExpiryHandlers<Key>): void {
    this.unwatch(key);
    const entry: Entry<Key> = { key, expiresAtMs, handlers, isAsked: false, bucket: 0 };
    if (this.stopTicking === undefined) this.start();
    this.entries.set(key, entry);
    this.place(entry, expiresAtMs - this.options.refreshLeadMs);
  }

  /** O(1). Without anything to watch there is no timer. */
  unwatch(key: Key): void {
    const entry = this.entries.get(key);
    if (entry === undefined) return;
    this.entries.delete(key);
    const bucket = this.buckets.get(entry.bucket);
    bucket?.delete(entry);
    if (bucket?.size === 0) this.buckets.delete(entry.bucket);
    if (this.entries.size === 0) this.stop();
  }

  close(): void {
    this.entries.clear();
    this.buckets.clear();
    this.stop();
  }

  private start(): void {
    this.cursor = this.currentSecond() + 1;
    this.stopTicking = this.options.clock.every(TICK_MS, () => this.tick());
  }

  private stop(): void {
    this.stopTicking?.();
    this.stopTicking = undefined;
  }

  private currentSecond(): number {
    return Math.floor(this.options.clock.unixNow() / TICK_MS);
  }

  private place(entry: Entry<Key>, dueAtMs: number): void {
    entry.bucket = Math.max(Math.ceil(dueAtMs / TICK_MS), this.cursor);
    const bucket = this.buckets.get(entry.bucket);
    if (bucket === undefined) this.buckets.set(entry.bucket, new Set([entry]));
    else bucket.add(entry);
  }

  private tick(): void {
    const now = this.currentSecond();
    const due = this.dueBuckets(now);
    // Also when the wall clock went back: what is overdue then must not wait for the old time to come again.
    this.cursor = now + 1;
    for (const second of due) {
      const entries = this.buckets.get(second) ?? [];
      this.buckets.delete(second);
      for (const entry of entries) this.fire(entry);
    }
  }

  /** Second by second, unless the clock jumped past more seconds than there are buckets. */
  private dueBuckets(now: number): number[] {
    if (now - this.cursor > this.buckets.size)
      return [...this.buckets.keys()].filter((second) => second <= now).sort((a, b) => a - b);
    const due: number[] = [];
    for (let second = this.cursor; second <= now; second += 1) if (this.buckets.has(second)) due.push(second);
    return due;
  }

  private fire(entry: Entry<Key>): void {
    // A handler that ran before in this tick may have ended or renewed this one.
    if (this.entries.get(entry.key) !== entry) return;
    if (entry.isAsked) {
      this.unwatch(entry.key);
      this.call(() => entry.handlers.onExpired(entry.key));
      return;
    }
    entry.isAsked = true;
    this.place(entry, entry.expiresAtMs + this.options.expiryGraceMs);
    this.call(() => entry.handlers.onRefreshDue(entry.key));
  }

  private call(handler: () => void): void {
    try {
      handler();
    } catch (error) {
      this.options.onError?.(error);
    }
  }
}
