import type { Incarnation } from '../core/ids.js';
import { RealtimeError } from '../core/realtime-error.js';
import {
  MAX_REQUESTS_IN_WINDOW,
  type ClaimResult,
  type RequestClaim,
  type RequestKey,
  type RequestStore,
  type RequestStoreOptions,
  type Settlement,
} from '../requests/request-store.js';
import { requestField, requestKey } from './key-names.js';
import { loadScript } from './load-script.js';
import type { ScriptRunner } from './script-runner.js';

const CLAIM = loadScript('request-claim');
const SETTLE = loadScript('request-settle');

/** Requests in Redis: one slot for each principal, one script a step, Redis' clock. Errors: `UNAVAILABLE`. */
export class RedisRequestStore implements RequestStore {
  readonly #redis: ScriptRunner;
  readonly #options: RequestStoreOptions;

  constructor(redis: ScriptRunner, options: RequestStoreOptions) {
    this.#redis = redis;
    this.#options = options;
  }

  async claim(key: RequestKey, { token, incarnation, event, takeOver }: RequestClaim): Promise<ClaimResult> {
    const bounds = [String(this.#options.windowMs), String(MAX_REQUESTS_IN_WINDOW)];
    const replaced = [takeOver?.token ?? '', takeOver?.mayHaveRun === true ? '1' : '0'];
    const args = [requestField(key.device, key.id), token, incarnation, ...bounds, ...replaced, event ?? ''];
    return toResult((await this.#redis.run(CLAIM, this.#keys(key).slice(0, 2), args)) as unknown[]);
  }

  async settle(key: RequestKey, token: string, settlement: Settlement): Promise<boolean> {
    const body = settlement.kind === 'answer' ? settlement.body : '';
    const bounds = [this.#options.windowMs, this.#options.maxPerDevice, this.#options.maxBytesPerUser].map(String);
    const args = [requestField(key.device, key.id), token, settlement.kind, body, ...bounds];
    return (await this.#redis.run(SETTLE, this.#keys(key), args)) === 1;
  }

  #keys({ principalId, device }: RequestKey): string[] {
    const names = [
      ...['q', 'qt', 'qb'].map((part) => requestKey(principalId, part)),
      requestKey(principalId, 'qa', device),
    ];
    return names.map((name) => this.#redis.keyPrefix + name);
  }
}

function toResult([status, first, second]: unknown[]): ClaimResult {
  switch (status) {
    case 'run':
      return { status, attempt: Number(first) };
    case 'claimed':
      return { status, token: String(first), incarnation: String(second) as Incarnation };
    case 'answered':
      return { status, body: String(first) };
    case 'applied':
    case 'other-event':
      return { status };
    case 'full':
      return { status, retryAfterMs: Number(first) };
    default:
      throw new RealtimeError('INTERNAL', 'request-claim.lua gave an unknown answer');
  }
}
