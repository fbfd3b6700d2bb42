/** Something of the app that takes as long as a test wants: those who pass wait while it is shut. */
export class Gate {
  /** Who has come, in order, also those who found it open. */
  readonly arrivals: string[] = [];
  private opened: Promise<void> = Promise.resolve();
  private release: () => void = () => undefined;
  private readonly watching = new Set<() => void>();

  shut(): void {
    this.opened = new Promise((resolve) => (this.release = resolve));
  }

  open(): void {
    this.release();
    this.opened = Promise.resolve();
  }

  async pass(name: string): Promise<void> {
    this.arrivals.push(name);
    for (const look of [...this.watching]) look();
    await this.opened;
  }

  /** Resolves when as many have come by that name, since the beginning. */
  reached(name: string, times = 1): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.arrivals.filter((one) => one === name).length < times) return;
        this.watching.delete(look);
        resolve();
      };
      this.watching.add(look);
      look();
    });
  }
}
