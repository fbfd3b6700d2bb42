import type { Clock } from '../core/clock.js';
import { printable } from '../core/printable.js';
import { QuietKinds } from '../core/quiet-kinds.js';

/** Says what was refused without flooding the log; what was left out is counted in the next line. Never logs payloads. */
export class RefusalLog {
  private readonly kinds: QuietKinds;

  constructor(
    clock: Clock,
    private readonly write: (line: string) => void,
  ) {
    this.kinds = new QuietKinds(clock);
  }

  /** `text` comes from a client and is escaped and cut; one line a second for each `kind`, which is one of ours. */
  say(kind: string, text: string, where: string): void {
    const more = this.kinds.say(kind);
    if (more !== undefined) this.write(`Refused ${printable(text)} with ${kind} ${where}${more}`);
  }
}
