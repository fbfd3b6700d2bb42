import type { RateHit, RateStore } from '../limits/rate-store.js';
import { rateKey } from './key-names.js';
import { loadScript } from './load-script.js';
import type { ScriptRunner } from './script-runner.js';

const HIT = loadScript('rate-hit');

/** Counters in Redis: one script a hit, Redis' clock, keys that expire by themselves. Errors: `UNAVAILABLE`. */
export class RedisRateStore implements RateStore {
  readonly #redis: ScriptRunner;

  constructor(redis: ScriptRunner) {
    this.#redis = redis;
  }

  async hit(key: string, options: { ttlMs: number; limit: number; blockMs: number }): Promise<RateHit> {
    const args = [String(options.ttlMs), String(options.limit), String(options.blockMs)];
    const reply = await this.#redis.run(HIT, [this.#redis.keyPrefix + rateKey(key)], args);
    const [hits, expiresInMs, isBlocked, blockExpiresInMs] = reply as [number, number, number, number];
    return { hits, expiresInMs, isBlocked: isBlocked === 1, blockExpiresInMs };
  }
}
