import type { Clock } from '../core/clock.js';

/** At most one line in this many milliseconds for each kind, however many there are. */
const QUIET_MS = 1_000;
/** Characters of a client's text that reach a log line. */
const MAX_TEXT = 64;

/** Says what was refused without flooding the log; what was left out is counted in the next line. Never logs payloads. */
export class RefusalLog {
  private readonly kinds = new Map<string, { saidAt: number; unsaid: number }>();

  constructor(
    private readonly clock: Clock,
    private readonly write: (line: string) => void,
  ) {}

  /** `kind` is one of ours, so that the map stays small; `text` comes from a client and is escaped and cut. */
  say(kind: string, text: string, where: string): void {
    const now = this.clock.now();
    const state = this.kinds.get(kind);
    if (state && now - state.saidAt < QUIET_MS) {
      state.unsaid += 1;
      return;
    }
    const more = state && state.unsaid > 0 ? ` (and ${state.unsaid} more since)` : '';
    this.kinds.set(kind, { saidAt: now, unsaid: 0 });
    this.write(`Refused ${printable(text)} with ${kind} ${where}${more}`);
  }
}

/** Control and format characters (they reverse and hide text), and separators of lines. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** JSON escapes quotes and most control characters: no line of ours can be forged or broken. */
export function printable(text: string): string {
  return JSON.stringify(text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text).replace(UNPRINTABLE, '?');
}
