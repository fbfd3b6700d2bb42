import type { Clock } from '../core/clock.js';
import { randomId, type Incarnation } from '../core/ids.js';
import type { RealtimeMetrics } from '../core/metrics.js';
import { RealtimeError } from '../core/realtime-error.js';
import type { ClaimResult, RequestKey, RequestStore, Settlement, TakeOver } from './request-store.js';

/** Whose claims hold. */
export interface ClaimOwners {
  /** This node's incarnation, while others can see that it lives; undefined: it must not claim now. */
  held(): Promise<Incarnation | undefined>;
  /** Whether that incarnation's lease ran out; false while nobody can say. */
  hasLapsed(incarnation: Incarnation): Promise<boolean>;
}

export interface RequestRunnerDeps {
  readonly store: RequestStore;
  readonly owners: ClaimOwners;
  readonly clock: Clock;
  readonly metrics: Pick<RealtimeMetrics, 'dropped'>;
  readonly windowMs: number;
  /** Milliseconds a duplicate waits for the one that runs; then `TIMEOUT`. */
  readonly waitMs: number;
}

/** What a handler was answered with, and what is kept of it. */
export interface RequestAnswer {
  readonly ack: unknown;
  readonly settlement: Settlement;
}

export type RequestWork = (attempt: number) => Promise<RequestAnswer>;

interface Running {
  readonly event: string | undefined;
  readonly ack: Promise<unknown>;
  readonly startedAt: number;
}

interface Requested {
  readonly key: RequestKey;
  readonly event: string | undefined;
}

/** Between two looks at another node's claim, in milliseconds: from the first to the last of them. */
const FIRST_PAUSE_MS = 20;
const LAST_PAUSE_MS = 500;

/**
 * Runs each request once: claim → handler → record → answer. Refuses to run what it could not claim. A duplicate gets the
 * record or waits for it, on whatever node; if the claimant's lease ran out without a record, the duplicate runs instead.
 * Invariant: a handler that this node runs holds the claim, or held it until its node was taken for dead.
 */
export class RequestRunner {
  /** In the order of their start. A handler that never answers stays for one window. */
  private readonly running = new Map<string, Running>();
  /** Ends each pause at once. */
  private readonly pauses = new Set<() => void>();
  private isClosed = false;

  constructor(private readonly deps: RequestRunnerDeps) {}

  /**
   * Resolves with the ack of the one run, `{ error }` included. Rejects with `UNAVAILABLE` (nothing ran), `TIMEOUT` (it still
   * runs elsewhere), `RATE_LIMITED` (too many in the window), `ALREADY_APPLIED` (it ran, the answer is gone), `BAD_REQUEST` (the
   * id was used for another event).
   */
  run(key: RequestKey, work: RequestWork, event?: string): Promise<unknown> {
    this.prune();
    const name = JSON.stringify([key.principalId, key.device, key.id]);
    const found = this.running.get(name);
    if (found) return found.event === event ? found.ack : Promise.reject(otherEvent());
    const end = (): void => {
      if (this.running.get(name) === running) this.running.delete(name);
    };
    const running: Running = { event, ack: this.claimed({ key, event }, work, end), startedAt: this.deps.clock.now() };
    this.running.set(name, running);
    return running.ack;
  }

  /** Whoever waits is answered `UNAVAILABLE`; what is not on record by now will not be. */
  close(): void {
    this.isClosed = true;
    for (const end of [...this.pauses]) end();
  }

  private async claimed(request: Requested, work: RequestWork, end: () => void): Promise<unknown> {
    const { key } = request;
    const token = randomId();
    let attempt: number;
    try {
      const result = await this.claim(request, token);
      if (result.status !== 'run') {
        end();
        return JSON.parse(result.body);
      }
      attempt = result.attempt;
    } catch (error) {
      end();
      throw error;
    }
    const { ack, settlement } = await work(attempt);
    // The first try is waited for: an answer that the client has seen is on record, as far as the storage is there.
    if (await this.settle(key, token, settlement)) end();
    else void this.settleLater(key, token, settlement).finally(end);
    return ack;
  }

  private async claim(
    { key, event }: Requested,
    token: string,
  ): Promise<Extract<ClaimResult, { status: 'run' | 'answered' }>> {
    const { clock, store, waitMs } = this.deps;
    const endsAt = clock.now() + waitMs;
    let takeOver: TakeOver | undefined;
    for (let pauseMs = FIRST_PAUSE_MS; ;) {
      const incarnation = await this.own();
      const result = await store.claim(key, { token, incarnation, event, takeOver }).catch((error: unknown) => {
        // Nobody runs it, but the storage may have taken the claim before the answer was lost.
        void this.settleLater(key, token, { kind: 'forget' });
        throw error;
      });
      if (result.status === 'run' || result.status === 'answered') return result;
      if (result.status === 'applied') throw new RealtimeError('ALREADY_APPLIED');
      if (result.status === 'other-event') throw otherEvent();
      if (result.status === 'full') {
        throw new RealtimeError('RATE_LIMITED', 'Too many requests', { retryAfterMs: result.retryAfterMs });
      }
      takeOver = await this.judge(result, incarnation);
      if (takeOver) continue;
      if (clock.now() >= endsAt) throw new RealtimeError('TIMEOUT');
      await this.pause(pauseMs);
      pauseMs = Math.min(pauseMs * 2, LAST_PAUSE_MS);
    }
  }

  private async own(): Promise<Incarnation> {
    const incarnation = this.isClosed ? undefined : await this.deps.owners.held();
    if (incarnation === undefined) throw new RealtimeError('UNAVAILABLE', 'Requests cannot be claimed now');
    return incarnation;
  }

  private async judge(
    { token, incarnation }: Extract<ClaimResult, { status: 'claimed' }>,
    own: Incarnation,
  ): Promise<TakeOver | undefined> {
    // Ours, and not running here: the answer to that claim was lost, and it was never run.
    if (incarnation === own) return { token, mayHaveRun: false };
    return (await this.deps.owners.hasLapsed(incarnation)) ? { token, mayHaveRun: true } : undefined;
  }

  /** False if the storage did not take it. */
  private settle(key: RequestKey, token: string, settlement: Settlement): Promise<boolean> {
    return this.deps.store.settle(key, token, settlement).then(
      () => true,
      () => false,
    );
  }

  private async settleLater(key: RequestKey, token: string, settlement: Settlement): Promise<void> {
    const endsAt = this.deps.clock.now() + this.deps.windowMs;
    this.deps.metrics.dropped('request-record');
    for (let pauseMs = LAST_PAUSE_MS; this.deps.clock.now() < endsAt; pauseMs = Math.min(pauseMs * 2, 10_000)) {
      await this.pause(pauseMs);
      if (this.isClosed || (await this.settle(key, token, settlement))) return;
    }
  }

  /** Half of it is random: duplicates of a crowd do not look all at once. */
  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        this.pauses.delete(end);
        resolve();
      };
      const cancel = this.deps.clock.after(ms * (0.5 + Math.random() / 2), end);
      this.pauses.add(end);
    });
  }

  private prune(): void {
    const oldest = this.deps.clock.now() - this.deps.windowMs;
    for (const [name, { startedAt }] of this.running) {
      if (startedAt > oldest) break;
      this.running.delete(name);
    }
  }
}

function otherEvent(): RealtimeError {
  return new RealtimeError('BAD_REQUEST', 'The id of this request was used for another event');
}
