import type { Clock } from '../core/clock.js';

/** Values that are forgotten `ttlMs` after they were set, or when there are more than `maxSize`: the oldest first. No timer. */
export class ExpiringMap<Value> {
  /** In the order of their end, because all live equally long. */
  private readonly items = new Map<string, { value: Value; endsAtMs: number }>();

  constructor(
    private readonly clock: Clock,
    private readonly ttlMs: number,
    private readonly maxSize: number,
  ) {}

  get(key: string): Value | undefined {
    const item = this.items.get(key);
    return item && item.endsAtMs > this.clock.now() ? item.value : undefined;
  }

  set(key: string, value: Value): void {
    const nowMs = this.clock.now();
    this.items.delete(key);
    this.items.set(key, { value, endsAtMs: nowMs + this.ttlMs });
    for (const [oldest, { endsAtMs }] of this.items) {
      if (endsAtMs > nowMs && this.items.size <= this.maxSize) break;
      this.items.delete(oldest);
    }
  }

  delete(key: string): void {
    this.items.delete(key);
  }

  clear(): void {
    this.items.clear();
  }
}
