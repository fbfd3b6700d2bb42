/** What becomes as good as new by itself, and can be forgotten then. */
export interface Ageing {
  /** As good as new at this `now()` of the clock. */
  isFull(now: number): boolean;
}

/** Most entries of a table; beyond, the oldest is forgotten. About 200 bytes each. */
const MOST = 10_000;
/** Entries that are looked at when one is added: more than one, so that a table gets smaller again. */
const LOOKS = 2;

/**
 * Budgets by name, of those who have used some of theirs. Keeps no timer.
 * Invariants: at most 10 000 entries; one that is full again is never found, and goes, at the latest while others come.
 */
export class AgeingTable<Entry extends Ageing> {
  /** Oldest first. */
  private readonly entries = new Map<string, Entry>();
  /** Goes round and round. */
  private looker = this.entries.entries();

  constructor(
    private readonly now: () => number,
    private readonly onForgotten: (entry: Entry) => void = () => undefined,
  ) {}

  get size(): number {
    return this.entries.size;
  }

  find(key: string): Entry | undefined {
    const entry = this.entries.get(key);
    return entry === undefined || this.forgetIfFull(key, entry) ? undefined : entry;
  }

  /** Under a key that is not found. */
  add(key: string, entry: Entry): void {
    for (let looks = 0; looks < LOOKS; looks += 1) this.lookOn();
    const [oldest] = this.entries;
    if (oldest && this.entries.size >= MOST) this.forget(...oldest);
    this.entries.set(key, entry);
  }

  /** True if it went. */
  forgetIfFull(key: string, entry: Entry): boolean {
    if (!entry.isFull(this.now())) return false;
    // Another one may have its place.
    if (this.entries.get(key) === entry) this.forget(key, entry);
    return true;
  }

  private lookOn(): void {
    const { done, value } = this.looker.next();
    if (done) this.looker = this.entries.entries();
    else this.forgetIfFull(...value);
  }

  private forget(key: string, entry: Entry): void {
    this.entries.delete(key);
    this.onForgotten(entry);
  }
}
