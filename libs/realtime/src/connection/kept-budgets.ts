import type { KeptBudget, TransportBudget } from './transport-budget.js';

/** Most users that are remembered; beyond, the oldest is forgotten. About 200 bytes each. */
const MOST = 10_000;

interface Kept extends KeptBudget {
  readonly fullAt: number;
}

/**
 * What users had left on transports that have gone: who connects anew goes on from there, so that a reconnect renews nothing.
 * Invariant: an entry goes when it would be full again, at the latest when the next one comes.
 */
export class KeptBudgets {
  private readonly kept = new Map<string, Kept>();

  constructor(private readonly now: () => number) {}

  get size(): number {
    return this.kept.size;
  }

  /** A connection of the user begins on the transport. */
  resume(userId: string, budget: TransportBudget): void {
    const found = this.kept.get(userId);
    if (found === undefined) return;
    if (found.fullAt <= this.now()) this.kept.delete(userId);
    else budget.resume(found);
  }

  /** A connection of the user has ended. */
  keep(userId: string, budget: TransportBudget): void {
    const left = budget.keep();
    if (left === undefined) return;
    const now = this.now();
    this.kept.delete(userId);
    this.kept.set(userId, { ...left, fullAt: now + left.fullInMs });
    for (const [id, { fullAt }] of this.kept) {
      if (fullAt > now && this.kept.size <= MOST) break;
      this.kept.delete(id);
    }
  }
}
