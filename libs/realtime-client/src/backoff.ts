/** Longest wait for the first retry, and the longest of all. */
const FIRST_WAIT_MS = 2_000;
const MAX_WAIT_MS = 20_000;
/** Least wait on a connection that lives, so that a wrong `retryAfterMs` of 0 is no hot loop. */
export const MIN_PAUSE_MS = 100;
/** No server keeps a client away for longer: a wrong number must not end it for good. */
const MAX_ADVICE_MS = 3_600_000;

/**
 * Full jitter: `random(0, min(20 s, 2 s · 2^attempt))`. Never without jitter: clients that lost one server at the same
 * moment must not come back at the same moment (Centrifugo uses the same range).
 *
 * @param attempt 0 for the first retry.
 * @param random a number in [0, 1).
 */
export function backoffMs(attempt: number, random: number): number {
  return Math.floor(random * Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(attempt, 16)));
}

/** `retryAfterMs` or `reconnectAfterMs` as the server sent it, within [0, 1 h]; undefined for what is no time. */
export function serverDelayMs(advice: unknown): number | undefined {
  return typeof advice === 'number' && advice >= 0 ? Math.min(advice, MAX_ADVICE_MS) : undefined;
}
