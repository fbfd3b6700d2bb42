/**
 * Long waits and the timers that they wait for are scaled down together; `REALTIME_FULL=1` (`npm run test:full`) runs them
 * at full length.
 */
export const SCALE = process.env['REALTIME_FULL'] === '1' ? 1 : 0.2;

/** A timer or a wait of the product's `ms`. */
export function scaled(ms: number): number {
  return Math.round(ms * SCALE);
}

/**
 * A promised upper bound of `ms`: exact at full length. Scaled down it keeps what does not scale: a process that must be
 * given time by the system, and the reconnect backoff of up to 2 s.
 */
export function within(ms: number): number {
  return SCALE === 1 ? ms : scaled(ms) + 4_000;
}

/** A window in which a test collects samples, or in which something has to be true all the time. Never a wait for an event. */
export function observationWindow(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** For `jest.setTimeout`. */
export const TEST_TIMEOUT_MS = SCALE === 1 ? 300_000 : 120_000;

/** At full length a promised bound is printed beside what it took, because that is what the run is for. */
export function measured(what: string, sinceMs: number, boundMs: number): void {
  const tookMs = Math.round(performance.now() - sinceMs);
  if (SCALE === 1) process.stderr.write(`    ${what}: ${tookMs} ms (promised: ${boundMs} ms)\n`);
}
