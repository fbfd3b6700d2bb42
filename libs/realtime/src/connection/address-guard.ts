import type { Authenticator } from '../auth/authenticator.js';
import { RealtimeError } from '../core/realtime-error.js';
import type { FailedConnects } from '../limits/failed-connects.js';
import type { ConnectAttempt } from './connection-link.js';

export interface AddressGuardDeps {
  readonly failures: FailedConnects;
  readonly authenticator: Pick<Authenticator, 'covers'>;
  /** Told of each CONNECT that is refused. */
  readonly onRefused: (address: string) => void;
}

/** Of the client's making. Others are failures of those who were asked. */
const BAD_CREDENTIALS: ReadonlySet<string> = new Set(['UNAUTHORIZED', 'FORBIDDEN', 'TOKEN_EXPIRED', 'REVOKED']);

/** Keeps an address whose CONNECTs fail from having credentials checked as fast as the check answers. */
export class AddressGuard {
  constructor(private readonly deps: AddressGuardDeps) {}

  /** @throws RealtimeError `RATE_LIMITED` if too many CONNECTs of the address have failed: nobody is asked about this one. */
  check({ address, namespace, budget }: ConnectAttempt): void {
    const { failures, authenticator, onRefused } = this.deps;
    const retryAfterMs = failures.waitMs(address, budget.hasFailed);
    if (retryAfterMs === 0 || !authenticator.covers(namespace)) return;
    onRefused(address);
    throw new RealtimeError('RATE_LIMITED', 'Too many connections of this address failed', { retryAfterMs });
  }

  /** As `check`, because others of the address may have failed while this one waited; then `authenticate`, whose refusal counts. */
  async watch<Result>(attempt: ConnectAttempt, authenticate: () => Promise<Result>): Promise<Result> {
    this.check(attempt);
    try {
      return await authenticate();
    } catch (error) {
      if (error instanceof RealtimeError && BAD_CREDENTIALS.has(error.code)) {
        attempt.budget.hasFailed = true;
        this.deps.failures.count(attempt.address);
      }
      throw error;
    }
  }
}
