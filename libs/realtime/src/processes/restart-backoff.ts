export interface RestartLimits {
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
}

/**
 * How long a place stays empty after its worker died: `random(min, min(max, min · 2^deaths))`, so that workers that died
 * together do not come back together, and one that dies at boot is never started in a hot loop.
 */
export class RestartBackoff {
  private deaths = 0;

  constructor(
    private readonly limits: RestartLimits,
    private readonly random: () => number,
  ) {}

  /** @param servedMs how long the worker had served; one that served longer than the longest wait starts the count anew. */
  afterDeath(servedMs: number): number {
    const { minDelayMs, maxDelayMs } = this.limits;
    this.deaths = servedMs > maxDelayMs ? 1 : this.deaths + 1;
    const longest = Math.min(maxDelayMs, minDelayMs * 2 ** this.deaths);
    return Math.round(minDelayMs + this.random() * (longest - minDelayMs));
  }
}
