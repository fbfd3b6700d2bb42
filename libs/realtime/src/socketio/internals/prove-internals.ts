import { setTimeout, clearTimeout } from 'node:timers';
import { NO_INTERNALS, internals, namesOf, only, type Internal, type Internals } from './internals.js';

// What reaches below a public interface is tried at boot with throw-away objects, on the versions that run, before the first
// connection is served. What does not pass is left out. Knows nothing of what is tried.

export interface Trial {
  readonly covers: readonly Internal[];
  /**
   * Resolves if everything went as it must, rejects with what did not.
   * @param signal aborted when nobody waits any more: what is open has to be closed
   */
  run(set: Internals, signal: AbortSignal): Promise<void>;
}

export interface Doubt {
  readonly name: Internal;
  readonly why: string;
}

export interface Proof {
  readonly internals: Internals;
  readonly doubts: readonly Doubt[];
}

export interface ProofOptions {
  /** Milliseconds for the first run of a trial. @default 4_000 */
  readonly deadlineMs?: number;
  /** Milliseconds for all runs that look for what is to blame, so that boot ends; after that, all is. @default 4_000 */
  readonly searchMs?: number;
}

const DEADLINE_MS = 4_000;
/** A run takes some 200 ms in a cold process, then 50. */
const SEARCH_MS = 4_000;
const SEARCH_RUN_MS = 1_000;

/** Each trial first with all that it covers, and one by one only if that failed. */
export async function proveInternals(
  wanted: Internals,
  trials: readonly Trial[],
  { deadlineMs = DEADLINE_MS, searchMs = SEARCH_MS }: ProofOptions = {},
): Promise<Proof> {
  const doubts: Doubt[] = [];
  const left = (): Internal[] => namesOf(wanted).filter((name) => !doubts.some((doubt) => doubt.name === name));
  let leftMs = searchMs;
  const search = async (trial: Trial, set: Internals): Promise<string | undefined> => {
    const startedAt = performance.now();
    const why = await outcomeOf(trial, set, Math.min(Math.ceil(leftMs), SEARCH_RUN_MS));
    leftMs = Math.max(0, leftMs - (performance.now() - startedAt));
    return why;
  };
  for (const trial of trials) {
    const covered = left().filter((name) => trial.covers.includes(name));
    const why = covered.length === 0 ? undefined : await outcomeOf(trial, only(covered), deadlineMs);
    if (why === undefined) continue;
    doubts.push(...(await culprits(covered, why, (set) => search(trial, set))));
  }
  return { internals: internals(left()), doubts };
}

async function culprits(
  covered: readonly Internal[],
  why: string,
  fails: (set: Internals) => Promise<string | undefined>,
): Promise<Doubt[]> {
  const all = (reason: string): Doubt[] => covered.map((name) => ({ name, why: reason }));
  const control = await fails(NO_INTERNALS);
  if (control !== undefined) return all(`without it, too: ${control}`);
  const found: Doubt[] = [];
  for (const name of covered) {
    const reason = await fails(only([name]));
    if (reason !== undefined) found.push({ name, why: reason });
  }
  const rest = covered.filter((name) => !found.some((doubt) => doubt.name === name));
  const isRestFine = found.length > 0 && (await fails(only(rest))) === undefined;
  return isRestFine ? found : all(why);
}

const TICK_MS = 20;

/** After `deadlineMs` in which this process ran: a stop of the whole process counts as one tick, not as time for the trial. */
function afterRunning(deadlineMs: number, onLate: () => void): () => void {
  let timer: NodeJS.Timeout;
  const tick = (leftMs: number): void => {
    if (leftMs <= 0) return onLate();
    timer = setTimeout(tick, Math.min(TICK_MS, leftMs), leftMs - TICK_MS);
  };
  tick(deadlineMs);
  return () => clearTimeout(timer);
}

async function outcomeOf(trial: Trial, set: Internals, deadlineMs: number): Promise<string | undefined> {
  const ending = new AbortController();
  let cancel = (): void => undefined;
  const late = new Promise<never>((_resolve, reject) => {
    cancel = afterRunning(deadlineMs, () => reject(new Error(`nothing came of it within ${deadlineMs} ms`)));
  });
  try {
    await Promise.race([trial.run(set, ending.signal), late]);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    cancel();
    ending.abort();
  }
}
