const WIDTH = 24;

/** One line on a terminal that grows; elsewhere (CI, a file) one line for each sample. */
export class Progress {
  private done = 0;
  private readonly startedAt = performance.now();

  constructor(
    private readonly title: string,
    private total: number,
    private readonly out: NodeJS.WriteStream = process.stderr,
  ) {}

  show(what: string): void {
    if (this.out.isTTY) this.out.write(`\r\x1b[K${this.bar()} ${this.title} · ${what}`);
  }

  /** Ends one sample, and takes those that will not be needed off the total. */
  advance(what: string, skipped = 0): void {
    this.done += 1;
    this.total -= skipped;
    if (this.out.isTTY) this.show(what);
    else this.out.write(`${this.done}/${this.total} ${this.title} · ${what}\n`);
  }

  end(): void {
    if (this.out.isTTY) this.out.write('\r\x1b[K');
  }

  private bar(): string {
    const share = this.total === 0 ? 1 : this.done / this.total;
    const filled = Math.round(share * WIDTH);
    const elapsed = (performance.now() - this.startedAt) / 1_000;
    const left = this.done === 0 ? '' : ` ${formatSeconds((elapsed / this.done) * (this.total - this.done))} left`;
    return `[${'#'.repeat(filled)}${'.'.repeat(WIDTH - filled)}] ${this.done}/${this.total}${left}`;
  }
}

function formatSeconds(seconds: number): string {
  return seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`;
}
