/**
 * Resolves with the first value `assertion` gives without throwing; past the deadline it rejects with what `assertion`
 * threw last. For states that announce nothing: prefer an event when there is one.
 */
export async function eventually<T>(assertion: () => T | Promise<T>, deadlineMs = 5_000): Promise<T> {
  const endsAt = performance.now() + deadlineMs;
  let pauseMs = 0;
  for (;;) {
    try {
      return await assertion();
    } catch (error) {
      if (performance.now() >= endsAt) throw error;
      await pause(pauseMs);
      pauseMs = Math.min(pauseMs + 2, 20);
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => (ms === 0 ? setImmediate(resolve) : setTimeout(resolve, ms)));
}
