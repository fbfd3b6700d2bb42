import { CLIENT_EVENTS } from 'nestjs-realtime-protocol';
import { backoffMs } from './backoff.js';
import { RealtimeClientError } from './client-error.js';
import type { Debug } from './debug.js';
import type { Requests } from './requests.js';

/**
 * A new token on the living connection, before the old one ends. It tries until it works, the server refuses for good or the
 * connection is over; then the next connect asks for a token anyway.
 */
export class TokenRefresh {
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Counts connections and notices: what belongs to an older one is not worth an answer. */
  #turn = 0;
  readonly #requests: Requests;
  readonly #getToken: () => Promise<string | undefined>;
  readonly #debug: Debug;

  constructor(requests: Requests, getToken: () => Promise<string | undefined>, debug: Debug) {
    this.#requests = requests;
    this.#getToken = getToken;
    this.#debug = debug;
  }

  start(): void {
    this.stop();
    void this.#try(this.#turn, 0);
  }

  stop(): void {
    this.#turn += 1;
    clearTimeout(this.#timer);
  }

  async #try(turn: number, failures: number): Promise<void> {
    try {
      const token = await this.#getToken();
      if (turn !== this.#turn) return;
      await this.#requests.ask(CLIENT_EVENTS.refresh, { token });
    } catch (cause) {
      if (turn !== this.#turn) return;
      this.#debug('refresh failed', cause);
      // Not fatal: when the grace is over the server says TOKEN_EXPIRED, and the reconnect asks for a token again.
      if (cause instanceof RealtimeClientError && !cause.retryable) return;
      this.#timer = setTimeout(() => void this.#try(turn, failures + 1), 200 + backoffMs(failures, Math.random()));
    }
  }
}
