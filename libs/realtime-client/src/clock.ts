let latest = 0;

/**
 * Unix milliseconds that never go back. It counts the time a device sleeps, which a monotonic clock may not, and a clock
 * that is set back does not stop it.
 */
export function steadyNow(): number {
  return (latest = Math.max(latest, Date.now(), Math.round(performance.timeOrigin + performance.now()) || 0));
}
