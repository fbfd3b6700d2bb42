import type { Cancel, Clock } from '../core/clock.js';

/** Runs something for each item once, `delayMs` after it was added; one timer for all of them. */
export class LeaveGrace<Item> {
  /** In the order of their due times, because the delay is the same for all. */
  private readonly dueAtMs = new Map<Item, number>();
  private cancel: Cancel | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly delayMs: number,
    private readonly onDue: (item: Item) => void,
  ) {}

  add(item: Item): void {
    if (this.dueAtMs.has(item)) return;
    this.dueAtMs.set(item, this.clock.now() + this.delayMs);
    this.cancel ??= this.clock.after(this.delayMs, () => this.run());
  }

  delete(item: Item): void {
    this.dueAtMs.delete(item);
  }

  close(): void {
    this.cancel?.();
    this.cancel = undefined;
    this.dueAtMs.clear();
  }

  private run(): void {
    this.cancel = undefined;
    const nowMs = this.clock.now();
    for (const [item, dueAtMs] of this.dueAtMs) {
      if (dueAtMs > nowMs) {
        this.cancel = this.clock.after(dueAtMs - nowMs, () => this.run());
        return;
      }
      this.dueAtMs.delete(item);
      this.onDue(item);
    }
  }
}
