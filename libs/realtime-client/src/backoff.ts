/** Longest wait for the first retry, and the longest of all. */
const FIRST_MS = 2_000;
const MAX_MS = 20_000;

/**
 * Full jitter: `random(0, min(20 s, 2 s · 2^attempt))`. Never without jitter: clients that lost one server at the same
 * moment must not come back at the same moment (Centrifugo uses the same range).
 *
 * @param attempt 0 for the first retry.
 * @param random a number in [0, 1).
 */
export function backoffMs(attempt: number, random: number): number {
  return Math.floor(random * Math.min(MAX_MS, FIRST_MS * 2 ** Math.min(attempt, 16)));
}
