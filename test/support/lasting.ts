/**
 * How long a fault lasts, or when a client does its next thing: part of a test's story, drawn from its seed. Never a wait
 * for an effect; that is what `eventually` and inboxes are for.
 */
export function lasting(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
