import { setImmediate, setTimeout } from 'node:timers/promises';

export interface MemoryUse {
  /** Bytes of live JavaScript objects and of what hangs on them outside the heap. */
  readonly heap: number;
  readonly rss: number;
}

const ROUNDS = 4;
const PAUSE_MS = 50;

/** After garbage collection, until nothing more goes: weak callbacks and finalizers need turns of their own. */
export async function settledUsage(): Promise<MemoryUse> {
  if (!globalThis.gc) throw new Error('Start the server with --expose-gc');
  for (let round = 0; round < ROUNDS; round += 1) {
    globalThis.gc();
    await setImmediate();
    await setTimeout(PAUSE_MS);
  }
  globalThis.gc();
  const { heapUsed, external, rss } = process.memoryUsage();
  return { heap: heapUsed + external, rss };
}
