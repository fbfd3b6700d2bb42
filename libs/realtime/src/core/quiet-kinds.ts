import type { Clock } from './clock.js';

/** At most one line in this many milliseconds for each kind, however many there are. */
const QUIET_MS = 1_000;
/** Kinds that are told apart within that time; all beyond them share one. */
const MAX_KINDS = 256;
const OTHERS = 'others';

interface Kind {
  saidAt: number;
  unsaid: number;
}

/** Which lines of a log are said and which only counted: one in a second and kind. Writes nothing itself. */
export class QuietKinds {
  private readonly kinds = new Map<string, Kind>();

  constructor(private readonly clock: Clock) {}

  /** @returns undefined if the line is only counted, else what to append to it: how many of its kind were left out. */
  say(kind: string): string | undefined {
    const now = this.clock.now();
    const key = this.kinds.has(kind) || this.hasRoom(now) ? kind : OTHERS;
    const state = this.kinds.get(key);
    if (state && now - state.saidAt < QUIET_MS) {
      state.unsaid += 1;
      return undefined;
    }
    this.kinds.set(key, { saidAt: now, unsaid: 0 });
    return state && state.unsaid > 0 ? ` (and ${state.unsaid} more since)` : '';
  }

  /** Forgets the kinds that may speak again, when there are too many. */
  private hasRoom(now: number): boolean {
    if (this.kinds.size < MAX_KINDS) return true;
    for (const [key, { saidAt }] of this.kinds) if (now - saidAt >= QUIET_MS) this.kinds.delete(key);
    return this.kinds.size < MAX_KINDS;
  }
}
