/** Only there to end a hang, and an order of magnitude above what a starved machine needs. Nothing is judged by it. */
export const GENEROUS_MS = 60_000;

/**
 * Resolves with the first value `assertion` gives without throwing; past the deadline it rejects with what `assertion`
 * threw last. For states that announce nothing: prefer an event when there is one.
 * @param deadlineMs only ever `promised(…)`: a bound that the product itself promises
 */
export async function eventually<T>(assertion: () => T | Promise<T>, deadlineMs = GENEROUS_MS): Promise<T> {
  const endsAt = performance.now() + deadlineMs;
  let pauseMs = 0;
  for (;;) {
    try {
      return await assertion();
    } catch (error) {
      if (performance.now() >= endsAt) throw late(error, deadlineMs);
      await pause(pauseMs);
      pauseMs = Math.min(pauseMs + 2, 20);
    }
  }
}

function late(error: unknown, deadlineMs: number): unknown {
  if (error instanceof Error) error.message = `still not so after ${deadlineMs} ms: ${error.message}`;
  return error;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => (ms === 0 ? setImmediate(resolve) : setTimeout(resolve, ms)));
}
