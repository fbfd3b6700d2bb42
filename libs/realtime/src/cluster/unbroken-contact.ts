/** For how long one and the same server has answered without a gap longer than `maxGapMs`. Pure but for its own state. */
export class UnbrokenContact {
  readonly #maxGapMs: number;
  #serverId: string | undefined;
  #since = 0;
  #lastAt = 0;

  constructor(maxGapMs: number) {
    this.#maxGapMs = maxGapMs;
  }

  confirmed(serverId: string, now: number): void {
    if (serverId !== this.#serverId || now - this.#lastAt > this.#maxGapMs) this.#since = now;
    this.#serverId = serverId;
    this.#lastAt = now;
  }

  broken(): void {
    this.#serverId = undefined;
  }

  lasted(ms: number, now: number): boolean {
    return this.#serverId !== undefined && now - this.#since >= ms;
  }
}
