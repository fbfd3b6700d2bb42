import { systemClock, type Clock } from '../core/clock.js';
import type { RateHit, RateStore } from '../limits/rate-store.js';

interface Counter {
  hits: number;
  endsAt: number;
  blockedUntil: number;
}

/** Counters that are looked at for expiry each time this many new ones came. */
const SWEEP_EVERY = 1_000;

/** Counters of one process. Expired ones are forgotten while new ones arrive: no timer, bounded by what is active. */
export class MemoryRateStore implements RateStore {
  readonly #counters = new Map<string, Counter>();
  readonly #clock: Clock;
  #untilSweep = SWEEP_EVERY;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  hit(key: string, { ttlMs, limit, blockMs }: { ttlMs: number; limit: number; blockMs: number }): Promise<RateHit> {
    // Whole milliseconds: in fractions `now + ttlMs - now` may be more than `ttlMs`.
    const now = Math.floor(this.#clock.now());
    let counter = this.#counters.get(key);
    if (counter === undefined) this.#sweep(now);
    if (counter !== undefined && counter.blockedUntil > now) return Promise.resolve(toHit(counter, now));
    if (counter === undefined || counter.blockedUntil > 0 || counter.endsAt <= now) {
      counter = { hits: 0, endsAt: now + ttlMs, blockedUntil: 0 };
      this.#counters.set(key, counter);
    }
    counter.hits += 1;
    if (counter.hits > limit) counter.blockedUntil = blockMs > 0 ? now + blockMs : counter.endsAt;
    return Promise.resolve(toHit(counter, now));
  }

  #sweep(now: number): void {
    this.#untilSweep -= 1;
    if (this.#untilSweep > 0) return;
    for (const [key, counter] of this.#counters) {
      if (Math.max(counter.endsAt, counter.blockedUntil) <= now) this.#counters.delete(key);
    }
    // Amortised O(1) for each new counter, whatever the number that stays.
    this.#untilSweep = Math.max(SWEEP_EVERY, this.#counters.size);
  }
}

function toHit({ hits, endsAt, blockedUntil }: Counter, now: number): RateHit {
  const isBlocked = blockedUntil > now;
  return {
    hits,
    expiresInMs: Math.ceil(Math.max(endsAt - now, 0)),
    isBlocked,
    blockExpiresInMs: isBlocked ? Math.ceil(blockedUntil - now) : 0,
  };
}
